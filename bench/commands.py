"""Slash commands, signed as Slack signs them, and the ways they reach a contender."""

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import urlencode, urlsplit

import httptools
from websockets.asyncio.server import ServerConnection, serve

from bench.peer import SIGNING_SECRET

_FIELDS = {
    "token": "gIkuvaNzQIHg97ATvDxqgjtO",
    "team_id": "T0BENCH01",
    "team_domain": "bench",
    "channel_id": "C0GENERAL",
    "channel_name": "general",
    "user_id": "U0ANN0001",
    "user_name": "ann",
    "command": "/livestream",
    "api_app_id": "A0BENCH01",
    "is_enterprise_install": "false",
    "trigger_id": "1234567890.1234567890.0123456789abcdef0123456789abcdef",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One command; its response_url contains its number."""

    number: int
    text: str
    peer_url: str

    def fields(self) -> dict[str, str]:
        """Return the form, or the payload of an envelope."""
        # Thousands of people, because the bot limits each person's rate.
        user = {"user_id": f"U0ANN{self.number:04d}"}
        return {**_FIELDS, **user, "text": self.text, "response_url": f"{self.peer_url}/commands/{self.number}"}


class Way(Protocol):
    """How commands reach a contender."""

    async def deliver(self, command: Command) -> bool:
        """Send a command and return whether it was acknowledged. Raises OSError if the connection broke."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class Http:
    """Commands over kept-alive HTTP connections, as many as are in use at a time."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._host, self._port = self._address.hostname or "", self._address.port or 80
        self._idle: list[_Line] = []

    async def deliver(self, command: Command) -> bool:
        """Sign the command now and post it."""
        line = await self._line()
        try:
            status = await line.ask(self._request(command))
        except ConnectionResetError:
            # It was idle, and the server closed it just now.
            line = await self._new_line()
            status = await line.ask(self._request(command))
        if not line.closed:
            self._idle.append(line)
        return status == 200

    def close(self) -> None:
        """Close all connections."""
        for line in self._idle:
            line.close()

    async def _line(self) -> "_Line":
        while self._idle:
            if not (line := self._idle.pop()).closed:
                return line
        return await self._new_line()

    async def _new_line(self) -> "_Line":
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(_Line, self._host, self._port)
        return line

    def _request(self, command: Command) -> bytes:
        body = urlencode(command.fields()).encode()
        timestamp = str(int(time.time())).encode()
        signed = hmac.new(SIGNING_SECRET.encode(), b"v0:" + timestamp + b":" + body, hashlib.sha256).hexdigest()
        return (
            b"POST /slack/events HTTP/1.1\r\nhost: %b\r\nuser-agent: Slackbot 1.0 (+https://api.slack.com/robots)\r\n"
            b"accept-encoding: gzip,deflate\r\naccept: application/json,*/*\r\n"
            b"x-slack-request-timestamp: %b\r\nx-slack-signature: v0=%b\r\n"
            b"content-type: application/x-www-form-urlencoded\r\ncontent-length: %d\r\n\r\n%b"
        ) % (self._address.netloc.encode(), timestamp, signed.encode(), len(body), body)


class _Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._status: asyncio.Future[int] | None = None

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def ask(self, request: bytes) -> int:
        """Return the status of the answer."""
        assert self._transport is not None
        self._status = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._status

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the base

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._status is not None and not self._status.done():
            self._status.set_result(self._parser.get_status_code())
        if not self._parser.should_keep_alive():
            self.close()

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        if self._status is not None and not self._status.done():
            self._status.set_exception(ConnectionResetError("closed without an answer"))


class Socket:
    """Commands over the Socket Mode connection that the contender opens."""

    def __init__(self) -> None:
        self._connections: list[ServerConnection] = []
        self._waiting: dict[str, asyncio.Future[None]] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Listen until the block ends; yield the URL that `apps.connections.open` returns."""
        async with serve(self._hold, "127.0.0.1", 0, compression=None) as server:
            yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"

    async def deliver(self, command: Command) -> bool:
        """Send the command in an envelope."""
        if not self._connections:
            raise ConnectionResetError("no connection")
        envelope_id = f"envelope-{command.number}"
        acknowledged = self._waiting[envelope_id] = asyncio.get_running_loop().create_future()
        envelope = {"envelope_id": envelope_id, "type": "slash_commands", "accepts_response_payload": True}
        await self._connections[-1].send(json.dumps({**envelope, "payload": command.fields()}))
        await acknowledged
        return True

    def close(self) -> None:
        """Leave closing the connection to the contender."""

    async def _hold(self, connection: ServerConnection) -> None:
        hello = {"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A0BENCH01"}}
        await connection.send(json.dumps(hello))
        self._connections.append(connection)
        async for message in connection:
            waiting = self._waiting.pop(json.loads(message)["envelope_id"], None)
            if waiting is not None:
                waiting.set_result(None)
        self._connections.remove(connection)
