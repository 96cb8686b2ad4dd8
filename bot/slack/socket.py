"""Socket Mode: Slack's requests through a WebSocket that the bot opens."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import ConfigurationError
from bot.slack.client import TRANSPORT_ERRORS, error_code
from bot.slack.identity import PASSING_ERRORS

WATCH_SECONDS = 15.0
DEAD_AFTER_SECONDS = 60.0
_ACK_SECONDS = 3.0
_REMEDY = "Make one with connections:write on the app's page, Basic Information, App-Level Tokens."

log = structlog.get_logger(__name__)


class _Handler(AsyncSocketModeHandler):
    """Knows which requests are not acknowledged yet."""

    def __init__(self, app: AsyncApp, app_token: str, client: AsyncWebClient, proxy: str | None) -> None:
        super().__init__(app, app_token, web_client=client)
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

    async def start(self) -> None:
        """Connect, in the background where Slack is out of reach. Raises ConfigurationError for a bad app token, with
        which slack_sdk would try for ever."""
        try:
            response = await self._client.apps_connections_open(app_token=self._app_token)
            self._handler.client.wss_uri = response["url"]
        except SlackApiError as error:
            code = error_code(error)
            if code not in PASSING_ERRORS:
                raise ConfigurationError([f"SLACK_APP_TOKEN is refused by Slack ({code}). {_REMEDY}"]) from None
            log.warning("socket_not_open_yet", why=code)
        except TRANSPORT_ERRORS as error:
            log.warning("socket_not_open_yet", why=type(error).__name__)
        self._keeping = asyncio.create_task(self._keep(), name="socket-mode")

    async def connected(self) -> bool:
        """Whether requests reach the bot now."""
        return await self._handler.client.is_connected()

    async def stop(self) -> None:
        """Send the acknowledgements that are due, then disconnect."""
        if self._handler.unacknowledged:
            await asyncio.wait(self._handler.unacknowledged, timeout=_ACK_SECONDS)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._handler.client.close()  # type: ignore[no-untyped-call]

    async def _keep(self) -> None:
        """Sessions were reported to die in silence after weeks, past slack_sdk's own watch: look from outside."""
        await self._handler.client.connect()  # type: ignore[no-untyped-call]
        last_seen = self._timer()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if await self.connected():
                last_seen = self._timer()
            elif self._timer() - last_seen > DEAD_AFTER_SECONDS:
                log.warning("socket_reopened", silent_seconds=round(self._timer() - last_seen))
                last_seen = self._timer()
                await self._reopen()

    async def _reopen(self) -> None:
        try:
            await self._handler.client.connect_to_new_endpoint(force=True)
        except (SlackApiError, *TRANSPORT_ERRORS) as error:
            log.warning("socket_reopen_failed", why=type(error).__name__)
