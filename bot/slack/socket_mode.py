"""Socket Mode: Slack's requests through a WebSocket that the bot opens.

When Slack renews the connection, slack_sdk's own client closes the old WebSocket before it opens the next, and sends
acknowledgements through whichever is open. It loses the commands in between: about 3 per renewal at 200 a second. This
client opens the next WebSocket first, reads the old one until Slack closes it, and acknowledges each envelope through
the WebSocket it came from.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.clock import Clock
from bot.errors import ConfigurationError
from bot.network import describe
from bot.slack.api_client import TRANSPORT_ERRORS
from bot.slack.app import Dispatch
from bot.slack.errors import error_code
from bot.slack.identity import is_final
from bot.slack.socket_connection import HEARTBEAT_SECONDS, Envelope, HandshakeError, SocketModeConnection

MAX_CONNECTIONS = 5
"""Slack allows an app 10 open connections, shared by all its replicas. A replica has one, or two during a renewal;
it has more only if Slack announces the end of each new connection and closes none."""
ACK_SECONDS = 3.0
_REMEDY = "Make one with connections:write on the app's page, Basic Information, App-Level Tokens."
_MEANINGS = {
    "link_disabled": "Socket Mode was switched off on the app's page",
    "too_many_websockets": "the app has as many connections open as Slack allows, 10",
}
"""Explanations of Slack's less obvious reasons for a disconnect."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts and intervals, in seconds."""

    connect: float = 10.0
    heartbeat: float = HEARTBEAT_SECONDS
    retire_after: float = 15.0
    """How long to keep an old connection beside the next one; Slack closes it about ten seconds after its warning."""
    min_backoff: float = 1.0
    max_backoff: float = 60.0
    """The wait between connection attempts starts at `min_backoff` and doubles up to `max_backoff`. A connection that
    lasts at least `max_backoff` resets it."""


class SocketMode:
    """A permanent Socket Mode connection, briefly two while Slack renews it."""

    def __init__(
        self,
        dispatch: Dispatch,
        app_token: str,
        client: AsyncWebClient,
        session: aiohttp.ClientSession,
        clock: Clock,
        timing: Timing | None = None,
    ) -> None:
        self._dispatch = dispatch
        self._app_token = app_token
        self._client = client
        self._session = session
        self._clock = clock
        self._timing = timing or Timing()
        self._connections: list[SocketModeConnection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._problem = ""

    async def start(self) -> None:
        """Start connecting in the background, even if Slack is unreachable now.

        Raises ConfigurationError if Slack refuses the app token.
        """
        url = None
        try:
            url = await self._request_url()
        except SlackApiError as error:
            if is_final(error_code(error)):
                raise ConfigurationError([_token_problem(error)]) from None
            log.warning("socket_open_failed", error=error_code(error))
        except TRANSPORT_ERRORS as error:
            log.warning("socket_open_failed", error=describe(error))
        self._run(self._maintain(url), "socket-mode")

    async def problem(self) -> str | None:
        """Return a sentence that says why no request reaches the bot now, or None."""
        if any(connection.is_open for connection in self._connections):
            return None
        reason = f": {self._problem}" if self._problem else ""
        return f"There is no Socket Mode connection to Slack{reason}."

    async def stop(self) -> None:
        """Send the outstanding acknowledgements, then disconnect."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ACK_SECONDS):
                while due := [task for connection in self._connections for task in connection.unacknowledged]:
                    await asyncio.wait(due)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(connection.close() for connection in self._connections))

    async def _maintain(self, url: str | None) -> None:
        """Keep a connection open at all times. Each WebSocket URL is valid for one attempt.

        A long-lived connection is replaced at once. After a short-lived or failed one, whatever the cause, the
        intervals between attempts grow, with jitter so that replicas do not reconnect in step.
        """
        backoff = self._timing.min_backoff
        while True:
            started = self._clock.monotonic()
            if connection := await self._connect(url):
                await connection.closing.wait()
                self._problem = _explain(connection.reason)
            url = None
            lasted = self._clock.monotonic() - started
            if connection is not None and lasted >= self._timing.max_backoff:
                backoff = self._timing.min_backoff
                continue
            # Jitter needs no secure source.
            await self._clock.sleep(max(0, backoff * random.uniform(0.5, 1) - lasted))  # noqa: S311
            backoff = min(backoff * 2, self._timing.max_backoff)

    async def _connect(self, url: str | None) -> SocketModeConnection | None:
        try:
            async with asyncio.timeout(self._timing.connect):
                address = url or await self._request_url()
                await self._close_oldest()
                connection = await SocketModeConnection.open(
                    self._session, address, self._handle, heartbeat=self._timing.heartbeat
                )
        except SlackApiError as error:
            code = error_code(error)
            self._problem = _token_problem(error).removesuffix(".") if is_final(code) else code
        except HandshakeError as error:
            self._problem = _explain(str(error)) or "Slack did not greet it"
        except TRANSPORT_ERRORS as error:
            self._problem = describe(error)
        else:
            for old in self._connections:
                self._run(self._retire(old), "socket-leaving")
            self._connections.append(connection)
            self._run(self._receive(connection), "socket-receiving")
            return connection
        log.warning("socket_connect_failed", error=self._problem)
        return None

    async def _close_oldest(self) -> None:
        """Close the oldest connections, whose end Slack has announced, until one more may be opened."""
        while len(self._connections) >= MAX_CONNECTIONS:
            oldest = self._connections[0]
            await oldest.close()
            with contextlib.suppress(ValueError):
                self._connections.remove(oldest)

    async def _receive(self, connection: SocketModeConnection) -> None:
        await connection.receive()
        with contextlib.suppress(ValueError):
            self._connections.remove(connection)

    async def _retire(self, connection: SocketModeConnection) -> None:
        """Close an old connection after a while: Slack may still send through it until Slack closes it."""
        await asyncio.sleep(self._timing.retire_after)
        await connection.close()

    async def _request_url(self) -> str:
        response = await self._client.apps_connections_open(app_token=self._app_token)
        return str(response.get("url"))

    async def _handle(self, envelope: Envelope) -> Envelope | None:
        payload = envelope.get("payload")
        if not isinstance(payload, dict):
            log.warning("payload_invalid", detail="envelope without a payload")
            return None
        return _acknowledgement(await self._dispatch(payload, _retry_headers(envelope)))

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _retry_headers(envelope: Envelope) -> dict[str, str]:
    """Return the envelope's retry fields as the headers that Slack sends over HTTP."""
    names = {"x-slack-retry-num": "retry_attempt", "x-slack-retry-reason": "retry_reason"}
    return {header: str(envelope[name]) for header, name in names.items() if name in envelope}


def _acknowledgement(response: BoltResponse) -> Envelope | None:
    if response.status != 200:
        return None
    if not response.body:
        return {}
    is_json = response.headers.get("content-type", [""])[0].startswith("application/json")
    return {"payload": json.loads(response.body) if is_json else {"text": response.body}}


def _explain(reason: str) -> str:
    return f"{reason} ({_MEANINGS[reason]})" if reason in _MEANINGS else reason


def _token_problem(error: SlackApiError) -> str:
    return f"SLACK_APP_TOKEN is refused by Slack ({error_code(error)}). {_REMEDY}"
