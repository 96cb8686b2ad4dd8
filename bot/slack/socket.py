"""Socket Mode: Slack's requests through a WebSocket that the bot opens.

slack_sdk has a client for it, which closes the old WebSocket before it opens the next when Slack renews it, and sends
acknowledgements through whichever is open: what people type in between is lost, some 3 commands at each renewal with
200 a second. Here the next one is opened first, the old one is read until Slack closes it, and each envelope is
acknowledged where it came from.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Coroutine
from typing import Any

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import ConfigurationError
from bot.slack.bolt import dispatch
from bot.slack.client import TRANSPORT_ERRORS
from bot.slack.connection import Connection, Envelope, NotGreeted
from bot.slack.errors import error_code
from bot.slack.identity import is_final

CONNECT_SECONDS = 10.0
LINGER_SECONDS = 15.0
"""How long an old connection is kept beside the next one; Slack closes it about ten seconds after it has said so."""
_LASTING_SECONDS = 5.0
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_ACK_SECONDS = 3.0
_REMEDY = "Make one with connections:write on the app's page, Basic Information, App-Level Tokens."

log = structlog.get_logger(__name__)


class SocketMode:
    """One Socket Mode connection, kept up; two for a while, when Slack renews it."""

    def __init__(self, app: AsyncApp, app_token: str, client: AsyncWebClient, session: aiohttp.ClientSession) -> None:
        self._app = app
        self._app_token = app_token
        self._client = client
        self._session = session
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect, in the background where Slack is out of reach. Raises ConfigurationError for a bad app token."""
        url = None
        try:
            url = await self._address()
        except SlackApiError as error:
            if is_final(error_code(error)):
                raise ConfigurationError([_refusal(error)]) from None
            log.warning("socket_not_open_yet", why=error_code(error))
        except TRANSPORT_ERRORS as error:
            log.warning("socket_not_open_yet", why=type(error).__name__)
        self._run(self._keep(url), "socket-mode")

    async def connected(self) -> bool:
        """Whether requests reach the bot now."""
        return any(connection.is_open for connection in self._connections)

    async def stop(self) -> None:
        """Send the acknowledgements that are due, then disconnect."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ACK_SECONDS):
                while due := [task for connection in self._connections for task in connection.unacknowledged]:
                    await asyncio.wait(due)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _keep(self, url: str | None) -> None:
        """Have a connection at all times. An address is good for one try; where that fails, the next one waits."""
        wait, before = _FIRST_WAIT, None
        while True:
            began = time.monotonic()
            if connection := await self._opened(url):
                if before is not None:
                    self._run(self._let_go(before), "socket-leaving")
                before = connection
                await connection.leaving.wait()
            url = None
            lasted = time.monotonic() - began >= _LASTING_SECONDS
            if connection and (connection.is_open or lasted):
                wait = _FIRST_WAIT
            else:
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)

    async def _opened(self, url: str | None) -> Connection | None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await Connection.open(self._session, url or await self._address(), self._take)
        except SlackApiError as error:
            why = error_code(error)
            log.warning("socket_not_connected", why=_refusal(error) if is_final(why) else why)
        except NotGreeted as error:
            log.warning("socket_not_connected", why=str(error) or "not greeted")
        except TRANSPORT_ERRORS as error:
            log.warning("socket_not_connected", why=type(error).__name__)
        else:
            self._connections.add(connection)
            self._run(self._receive(connection), "socket-receiving")
            return connection
        return None

    async def _receive(self, connection: Connection) -> None:
        await connection.receive()
        self._connections.discard(connection)

    @staticmethod
    async def _let_go(connection: Connection) -> None:
        """Slack may still send something through it, until it closes it."""
        if connection.is_open:
            await asyncio.sleep(LINGER_SECONDS)
            await connection.close()

    async def _address(self) -> str:
        response = await self._client.apps_connections_open(app_token=self._app_token)
        return str(response.get("url"))

    async def _take(self, envelope: Envelope) -> Envelope | None:
        payload = envelope.get("payload")
        if not isinstance(payload, dict):
            log.warning("not_understood", detail="envelope without a payload")
            return None
        return _acknowledgement(await dispatch(self._app, payload, _retry_headers(envelope)))

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _retry_headers(envelope: Envelope) -> dict[str, str]:
    """As Slack sends them over HTTP."""
    names = {"x-slack-retry-num": "retry_attempt", "x-slack-retry-reason": "retry_reason"}
    return {header: str(envelope[name]) for header, name in names.items() if name in envelope}


def _acknowledgement(response: BoltResponse) -> Envelope | None:
    if response.status != 200:
        return None
    if not response.body:
        return {}
    is_json = response.headers.get("content-type", [""])[0].startswith("application/json")
    return {"payload": json.loads(response.body) if is_json else {"text": response.body}}


def _refusal(error: SlackApiError) -> str:
    return f"SLACK_APP_TOKEN is refused by Slack ({error_code(error)}). {_REMEDY}"
