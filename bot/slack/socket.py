"""Socket Mode: Slack's requests through a WebSocket that the bot opens.

slack_sdk has a client for it, which closes the old WebSocket before it opens the next when Slack renews it, and sends
acknowledgements through whichever is open: what people type in between is lost, some 3 commands at each renewal with
200 a second. Here the next one is opened first, the old one is read until Slack closes it, and each envelope is
acknowledged where it came from.
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import ConfigurationError
from bot.network import describe
from bot.slack.bolt import dispatch
from bot.slack.client import TRANSPORT_ERRORS
from bot.slack.connection import HEARTBEAT_SECONDS, Connection, Envelope, NotGreeted
from bot.slack.errors import error_code
from bot.slack.identity import is_final

MAX_OPEN = 5
"""Slack lets an app have 10 connections open, which all its replicas share. One bot has one, or two during a renewal;
more only where Slack announces the end of each new one and closes none."""
ACK_SECONDS = 3.0
_REMEDY = "Make one with connections:write on the app's page, Basic Information, App-Level Tokens."
_MEANINGS = {
    "link_disabled": "Socket Mode was switched off on the app's page",
    "too_many_websockets": "the app has as many connections open as Slack allows, 10",
}
"""What Slack's reasons for a disconnect mean, where the word does not say it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient the bot is with Slack, in seconds."""

    connect: float = 10.0
    heartbeat: float = HEARTBEAT_SECONDS
    linger: float = 15.0
    """How long an old connection is kept beside the next one; Slack closes it about ten seconds after the warning."""
    first_pause: float = 1.0
    longest_pause: float = 60.0
    """Attempts to connect begin this far apart: at first `first_pause`, doubled each time up to `longest_pause`, which
    is also how long a connection must last for the next attempt to be a first one again."""


class SocketMode:
    """One Socket Mode connection, kept up; two for a while, when Slack renews it."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        client: AsyncWebClient,
        session: aiohttp.ClientSession,
        *,
        timing: Timing | None = None,
        timer: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._app = app
        self._app_token = app_token
        self._client = client
        self._session = session
        self._timing = timing or Timing()
        self._timer = timer
        self._sleep = sleep
        self._connections: list[Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._why = ""

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
            log.warning("socket_not_open_yet", why=describe(error))
        self._run(self._keep(url), "socket-mode")

    async def problem(self) -> str | None:
        """Return why no request reaches the bot now, in a sentence, or None."""
        if any(connection.is_open for connection in self._connections):
            return None
        why = f": {self._why}" if self._why else ""
        return f"There is no Socket Mode connection to Slack{why}."

    async def stop(self) -> None:
        """Send the acknowledgements that are due, then disconnect."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ACK_SECONDS):
                while due := [task for connection in self._connections for task in connection.unacknowledged]:
                    await asyncio.wait(due)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _keep(self, url: str | None) -> None:
        """Have a connection at all times. An address is good for one attempt.

        A connection that lasted is replaced at once. Attempts after one that did not begin further and further apart,
        whatever it was that ended it, and never in step with other replicas.
        """
        pause = self._timing.first_pause
        while True:
            began = self._timer()
            if connection := await self._opened(url):
                await connection.leaving.wait()
                self._why = _meaning(connection.reason)
            url = None
            lasted = self._timer() - began
            if connection is not None and lasted >= self._timing.longest_pause:
                pause = self._timing.first_pause
                continue
            # Jitter does not need a secure source.
            await self._sleep(max(0, pause * random.uniform(0.5, 1) - lasted))  # noqa: S311
            pause = min(pause * 2, self._timing.longest_pause)

    async def _opened(self, url: str | None) -> Connection | None:
        try:
            async with asyncio.timeout(self._timing.connect):
                address = url or await self._address()
                await self._make_room()
                connection = await Connection.open(self._session, address, self._take, heartbeat=self._timing.heartbeat)
        except SlackApiError as error:
            code = error_code(error)
            self._why = _refusal(error).removesuffix(".") if is_final(code) else code
        except NotGreeted as error:
            self._why = _meaning(str(error)) or "Slack did not greet it"
        except TRANSPORT_ERRORS as error:
            self._why = describe(error)
        else:
            for old in self._connections:
                self._run(self._let_go(old), "socket-leaving")
            self._connections.append(connection)
            self._run(self._receive(connection), "socket-receiving")
            return connection
        log.warning("socket_not_connected", why=self._why)
        return None

    async def _make_room(self) -> None:
        """Close the oldest connections, which Slack has announced to close, before they are too many."""
        while len(self._connections) >= MAX_OPEN:
            oldest = self._connections[0]
            await oldest.close()
            with contextlib.suppress(ValueError):
                self._connections.remove(oldest)

    async def _receive(self, connection: Connection) -> None:
        await connection.receive()
        with contextlib.suppress(ValueError):
            self._connections.remove(connection)

    async def _let_go(self, connection: Connection) -> None:
        """Slack may still send something through it, until it closes it."""
        await asyncio.sleep(self._timing.linger)
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


def _meaning(reason: str) -> str:
    return f"{reason} ({_MEANINGS[reason]})" if reason in _MEANINGS else reason


def _refusal(error: SlackApiError) -> str:
    return f"SLACK_APP_TOKEN is refused by Slack ({error_code(error)}). {_REMEDY}"
