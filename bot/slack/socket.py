"""Socket Mode: Slack's requests through a WebSocket that the bot opens."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import ConfigurationError
from bot.slack.client import TRANSPORT_ERRORS, error_code
from bot.slack.identity import PASSING_ERRORS

CONNECT_SECONDS = 10.0
WATCH_SECONDS = 5.0
DEAD_AFTER_SECONDS = 30.0
"""How long slack_sdk is given to reconnect by itself."""
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0
_ACK_SECONDS = 3.0
_REMEDY = "Make one with connections:write on the app's page, Basic Information, App-Level Tokens."

log = structlog.get_logger(__name__)


def _quiet_logger() -> logging.Logger:
    """slack_sdk logs a traceback at each try that fails, with the address and its ticket in it."""
    logger = logging.getLogger("slack_sdk.quiet")
    logger.setLevel(logging.CRITICAL)
    return logger


class _Handler(AsyncSocketModeHandler):
    """Knows which requests are not acknowledged yet."""

    def __init__(self, app: AsyncApp, app_token: str, client: AsyncWebClient, proxy: str | None) -> None:
        super().__init__(app, app_token, logger=_quiet_logger(), web_client=client)
        self.client.proxy = proxy
        self.unacknowledged: set[asyncio.Task[Any]] = set()

    async def handle(self, client: Any, req: Any) -> None:
        task = asyncio.current_task()
        if task is not None:
            self.unacknowledged.add(task)
            task.add_done_callback(self.unacknowledged.discard)
        await super().handle(client, req)


class SocketMode:
    """One Socket Mode connection, kept up."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        client: AsyncWebClient,
        proxy: str | None = None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app_token = app_token
        self._client = client
        self._handler = _Handler(app, app_token, client, proxy)
        self._timer = timer
        self._keeping: asyncio.Task[None] | None = None
        self._was_connected = False

    async def start(self) -> None:
        """Connect, in the background where Slack is out of reach. Raises ConfigurationError for a bad app token, with
        which slack_sdk would try for ever."""
        try:
            response = await self._client.apps_connections_open(app_token=self._app_token)
            self._handler.client.wss_uri = response["url"]
        except SlackApiError as error:
            if error_code(error) not in PASSING_ERRORS:
                raise ConfigurationError([_refusal(error)]) from None
            log.warning("socket_not_open_yet", why=error_code(error))
        except TRANSPORT_ERRORS as error:
            log.warning("socket_not_open_yet", why=type(error).__name__)
        self._keeping = asyncio.create_task(self._keep(), name="socket-mode")

    async def connected(self) -> bool:
        """Whether requests reach the bot now."""
        return await self._handler.client.is_connected()

    async def stop(self) -> None:
        """Send the acknowledgements that are due, then disconnect."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ACK_SECONDS):
                while self._handler.unacknowledged:
                    await asyncio.wait(self._handler.unacknowledged)
        await self._handler.client.close()  # type: ignore[no-untyped-call]

    async def _keep(self) -> None:
        """Connect, and look from outside whether the connection holds.

        slack_sdk tries an address whose ticket Slack refuses again and again, without end, and sessions were reported
        to die in silence after weeks: so each try has a deadline, and the next one a new address.
        """
        wait, last_seen = _FIRST_WAIT, self._timer()
        if self._handler.client.wss_uri is not None:
            await self._connected_in_time(self._handler.client.connect)
        while True:
            if await self.connected():
                wait, last_seen = _FIRST_WAIT, self._timer()
                await asyncio.sleep(WATCH_SECONDS)
            elif self._was_connected and self._timer() - last_seen < DEAD_AFTER_SECONDS:
                await asyncio.sleep(WATCH_SECONDS)
            else:
                log.warning("socket_reopened", silent_seconds=round(self._timer() - last_seen))
                if await self._connected_in_time(self._connect_anew):
                    last_seen = self._timer()
                else:
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, _LONGEST_WAIT)

    async def _connect_anew(self) -> None:
        await self._handler.client.connect_to_new_endpoint(force=True)

    async def _connected_in_time(self, connect: Callable[[], Awaitable[None]]) -> bool:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connect()
        except SlackApiError as error:
            why = error_code(error)
            log.warning("socket_not_connected", why=why if why in PASSING_ERRORS else _refusal(error))
        except TRANSPORT_ERRORS as error:
            log.warning("socket_not_connected", why=type(error).__name__)
        else:
            self._was_connected = True
            return True
        return False


def _refusal(error: SlackApiError) -> str:
    return f"SLACK_APP_TOKEN is refused by Slack ({error_code(error)}). {_REMEDY}"
