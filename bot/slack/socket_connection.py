"""One Socket Mode WebSocket: receives Slack's envelopes and sends the acknowledgements back the same way."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import structlog

HEARTBEAT_SECONDS = 10.0
"""Silence after which the bot pings Slack; without a reply in half that time the connection counts as dead."""
CLOSE_SECONDS = 2.0
"""How long to wait for the other side to confirm a close; a dead connection never does."""
_MAX_REASON_LENGTH = 40

Envelope = dict[str, Any]
EnvelopeHandler = Callable[[Envelope], Awaitable[Envelope | None]]
"""Handles an envelope and returns the acknowledgement, or None to send none."""

log = structlog.get_logger(__name__)


class HandshakeError(Exception):
    """Slack closed or refused a WebSocket before greeting it; the message is Slack's reason."""


class SocketModeConnection:
    """An open WebSocket that Slack has greeted. `closing` is set when Slack announces the end, or at the end itself."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse, handle: EnvelopeHandler) -> None:
        self.closing = asyncio.Event()
        self.reason = ""
        """Slack's reason for the disconnect; "" if it gave none."""
        self.unacknowledged: set[asyncio.Task[None]] = set()
        self._websocket = websocket
        self._handle = handle

    @classmethod
    async def open(
        cls, session: aiohttp.ClientSession, url: str, handle: EnvelopeHandler, *, heartbeat: float = HEARTBEAT_SECONDS
    ) -> "SocketModeConnection":
        """Connect and wait for Slack's greeting. Raises aiohttp.ClientError or HandshakeError."""
        close_timeout = aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS)
        websocket = await session.ws_connect(url, heartbeat=heartbeat, timeout=close_timeout)
        try:
            greeting = _read(await websocket.receive())
            if greeting.get("type") != "hello":
                raise HandshakeError(_reason(greeting.get("reason")))  # noqa: TRY301 - the socket must be closed
        except BaseException:
            await websocket.close()
            raise
        return cls(websocket, handle)

    @property
    def is_open(self) -> bool:
        """Whether Slack can still send envelopes."""
        return not self._websocket.closed

    async def receive(self) -> None:
        """Handle incoming envelopes until either side closes the connection."""
        try:
            async for message in self._websocket:
                self._dispatch(_read(message))
        finally:
            self.closing.set()

    async def close(self) -> None:
        """Close the connection. Slack gets no acknowledgement of the remaining envelopes."""
        await self._websocket.close()

    def _dispatch(self, envelope: Envelope) -> None:
        if envelope.get("type") == "disconnect":
            self.reason = _reason(envelope.get("reason"))
            log.info("socket_closing", reason=self.reason)
            self.closing.set()
        elif isinstance(envelope.get("envelope_id"), str):
            task = asyncio.create_task(self._respond(envelope), name="envelope")
            self.unacknowledged.add(task)
            task.add_done_callback(self.unacknowledged.discard)

    async def _respond(self, envelope: Envelope) -> None:
        try:
            acknowledgement = await self._handle(envelope)
            if acknowledgement is not None:
                await self._websocket.send_json({"envelope_id": envelope["envelope_id"], **acknowledgement})
        except aiohttp.ClientError as error:
            log.warning("ack_failed", error=type(error).__name__)
        except Exception:
            log.exception("envelope_crashed")


def _read(message: aiohttp.WSMessage) -> Envelope:
    """Return the message's JSON object, or an empty one if it has none."""
    if message.type is not aiohttp.WSMsgType.TEXT:
        return {}
    try:
        envelope = json.loads(message.data)
    except ValueError:
        return {}
    return envelope if isinstance(envelope, dict) else {}


def _reason(value: object) -> str:
    return value[:_MAX_REASON_LENGTH] if isinstance(value, str) else ""
