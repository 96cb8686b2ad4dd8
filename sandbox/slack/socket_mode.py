"""Socket Mode: the bot's WebSockets and their envelopes."""

import asyncio
import itertools
import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.clock import Clock
from sandbox.slack.events import EventKind, Events

Payload = dict[str, Any]

MOST_CONNECTIONS = 10
TICKET_LIFETIME = 30
KEPT_TICKETS = 1_000
HOST = "applink-sandbox"


class NoConnection(Exception):
    """The app has no WebSocket open, or the chosen one broke before the acknowledgement."""


@dataclass(frozen=True, slots=True)
class ConnectionCount:
    """The number of open WebSockets."""

    open: int

    def to_dict(self) -> Payload:
        """Return the count as JSON-compatible values."""
        return {"open": self.open}


@dataclass(slots=True, eq=False)
class Connection:
    """A WebSocket, with the envelopes that await acknowledgement.

    A draining connection gets no further envelopes once there is another.
    """

    websocket: WebSocket
    draining: bool = False
    waiting: dict[str, asyncio.Future[Payload]] = field(default_factory=dict)

    async def send(self, kind: str, payload: Payload, fields: Payload) -> Payload:
        """Send an envelope and wait for the payload of its acknowledgement. Raises NoConnection."""
        envelope_id = secrets.token_hex(16)
        acknowledged: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self.waiting[envelope_id] = acknowledged
        try:
            await self._send_json({"envelope_id": envelope_id, "type": kind, "payload": payload, **fields})
            return await acknowledged
        finally:
            self.waiting.pop(envelope_id, None)

    async def disconnect(self, reason: str) -> None:
        """Announce that this connection will close, so that the bot opens another."""
        self.draining = True
        await self._send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": HOST}})

    async def greet(self, app_id: str, connections: int) -> None:
        """Send the first message of a connection."""
        debug = {"host": HOST, "build_number": 1, "approximate_connection_time": 3600}
        hello = {"type": "hello", "num_connections": connections, "debug_info": debug}
        await self._send_json({**hello, "connection_info": {"app_id": app_id}})

    def acknowledge(self, message: Any) -> None:
        """Handle a message from the bot; ignore one that acknowledges no waiting envelope, as Slack does."""
        envelope_id = message.get("envelope_id") if isinstance(message, dict) else None
        waiting = self.waiting.get(envelope_id) if isinstance(envelope_id, str) else None
        if waiting is not None and not waiting.done():
            payload = message.get("payload")
            waiting.set_result(payload if isinstance(payload, dict) else {})

    def lost(self) -> None:
        """Fail the waiting envelopes, because the connection is gone."""
        self.draining = True
        for waiting in self.waiting.values():
            if not waiting.done():
                waiting.set_exception(NoConnection())

    async def _send_json(self, message: Payload) -> None:
        try:
            await self.websocket.send_json(message)
        except (WebSocketDisconnect, RuntimeError):
            raise NoConnection from None


class SocketMode:
    """The tickets for WebSockets, and the open connections, which take payloads in turn."""

    def __init__(self, app_id: str, clock: Clock, events: Events) -> None:
        self._app_id = app_id
        self._clock = clock
        self._events = events
        self._tickets: OrderedDict[str, float] = OrderedDict()
        self._connections: list[Connection] = []
        self._turn = itertools.count()

    @property
    def open(self) -> int:
        """The number of open connections, draining ones included."""
        return len(self._connections)

    @property
    def ready(self) -> int:
        """The number of connections that are not draining."""
        return sum(not connection.draining for connection in self._connections)

    def issue_ticket(self) -> str:
        """Return the path of a WebSocket that the bot may open once, within the ticket's lifetime."""
        ticket = secrets.token_urlsafe(18)
        self._tickets[ticket] = self._clock.now() + TICKET_LIFETIME
        if len(self._tickets) > KEPT_TICKETS:
            self._tickets.popitem(last=False)
        return f"/socket/{ticket}"

    async def endpoint(self, websocket: WebSocket) -> None:
        """Serve one connection until the bot closes it."""
        if self._clock.now() >= self._tickets.pop(websocket.path_params["ticket"], 0):
            await websocket.close()
            return
        await websocket.accept()
        connection = Connection(websocket)
        try:
            await self._hold(connection)
        except (WebSocketDisconnect, NoConnection):
            pass  # The bot has closed the connection.
        finally:
            self._remove(connection)

    async def _hold(self, connection: Connection) -> None:
        if self.open >= MOST_CONNECTIONS:
            await connection.disconnect("too_many_websockets")
            await connection.websocket.close()
            return
        await connection.greet(self._app_id, self.open + 1)
        self._connections.append(connection)
        self._publish()
        while True:
            connection.acknowledge(_decoded(await connection.websocket.receive_text()))

    def _remove(self, connection: Connection) -> None:
        connection.lost()
        if connection in self._connections:
            self._connections.remove(connection)
            self._publish()

    def _publish(self) -> None:
        self._events.publish(EventKind.CONNECTIONS_CHANGED, ConnectionCount(self.open))

    async def deliver(self, kind: str, payload: Payload, fields: Payload) -> Payload:
        """Send a payload, with further envelope `fields`, to the next connection, and return the acknowledgement's.

        A draining connection is used only if there is no other: Slack announces the end of a connection some seconds
        ahead, to leave time for opening the next one. Raises NoConnection.
        """
        ready = [connection for connection in self._connections if not connection.draining] or self._connections
        if not ready:
            raise NoConnection
        return await ready[next(self._turn) % len(ready)].send(kind, payload, fields)

    async def disconnect(self, reason: str) -> None:
        """Ask the bot to replace all connections; with `link_disabled` Slack closes them at once."""
        for connection in tuple(self._connections):
            await connection.disconnect(reason)
            if reason == "link_disabled":
                await connection.websocket.close()


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
