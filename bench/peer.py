"""A lean Cloudflare and Slack in one, with fixed answers, so that the load costs less than what is measured.

The sandbox checks everything and uses more CPU time per command than the floor does. Here a request is parsed, counted,
and answered with prepared bytes.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID, uuid5

import httptools

from bot.uvicorn_server import listen, url_of

ACCOUNT_ID, APP_ID = "0123456789abcdef0123456789abcdef", "50c8940e-0000-4000-8000-02687b7feca4"
BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, API_TOKEN = "xoxb-bench", "xapp-bench", "bench-signing-secret", "bench-token"

_MEETINGS = UUID("0b5e2d4e-91f3-4d0e-8d55-6f3a4f6d2a10")
_TIME = "2026-11-24T08:03:14.629Z"
# The headers that Cloudflare sends with each answer, so that parsing them costs what it does in production.
_HEADERS = (
    b"date: Tue, 24 Nov 2026 08:03:14 GMT\r\nserver: cloudflare\r\ncf-ray: 8e7a1b2c3d4e5f60-FRA\r\n"
    b'ratelimit: "default";r=1000;t=300\r\ncontent-type: application/json\r\n'
)


def meeting_id(number: int) -> str:
    """Return the ID of the peer's meeting with this number; every number has one."""
    return str(uuid5(_MEETINGS, str(number)))


def playback_url(meeting: str) -> str:
    """Return the meeting's playback URL; a reply without it doesn't count as an answer."""
    return f"https://customer-s4ndb0xr3altim3k.cloudflarestream.com/{meeting}/manifest/video.m3u8"


@dataclass(slots=True)
class Peer:
    """An API that answers a contender's requests and records when each command got its reply."""

    cloudflare_seconds: float
    url: str = ""
    socket_url: str = ""
    requests: Counter[str] = field(default_factory=Counter)
    expected: dict[int, bytes] = field(default_factory=dict)
    """The text that the reply to each command must contain, by the command's number."""
    replied: dict[int, float] = field(default_factory=dict)
    """The time of each command's reply."""
    on_reply: Callable[[], None] = lambda: None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Listen until the block ends; yield the base URL."""
        sock, connections = listen(), set[_Connection]()
        server = await asyncio.get_running_loop().create_server(lambda: _Connection(self, connections), sock=sock)
        self.url = url_of(sock)
        async with server:
            yield self.url
            for connection in tuple(connections):
                connection.close()
        await asyncio.sleep(0)  # closed in the loop's next iteration

    def answer(self, path: str, body: bytes) -> tuple[bytes, float]:
        """Return the whole response, and how many seconds to wait before sending it."""
        kind, *rest = path.partition("?")[0].removeprefix("/").split("/")
        if kind == "client":
            return self._cloudflare(rest), self.cloudflare_seconds
        if kind == "commands":
            return self._response_url(int(rest[0]), body), 0
        return _json(self._web_api(rest[0])), 0

    def _cloudflare(self, path: list[str]) -> bytes:
        """Answer a request to Cloudflare. `path`: v4, accounts, the account, realtime, kit, the app, the resource."""
        match path[6:]:
            case ["meetings", meeting, "active-livestream" as endpoint]:
                data = _livestream(meeting)
            case ["livestreams", livestream, "active-livestream-session" as endpoint]:
                data = {"livestream": _livestream(livestream), "session": _session(livestream)}
            case ["meetings" as endpoint, meeting]:
                data = _meeting(meeting)
            case _:
                self.requests["unknown"] += 1
                return _json({"success": False, "error": {"code": 404, "message": "Not found"}}, b"404 Not Found")
        self.requests[endpoint] += 1
        return _json({"success": True, "data": data})

    def _response_url(self, number: int, body: bytes) -> bytes:
        if self.expected[number] in body and number not in self.replied:
            self.replied[number] = time.perf_counter()
            self.on_reply()
        return b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nok"

    def _web_api(self, method: str) -> dict[str, object]:
        if method == "apps.connections.open":
            return {"ok": True, "url": self.socket_url}
        if method == "auth.test":
            who = {
                "team": "Bench",
                "team_id": "T0BENCH01",
                "user": "livestream",
                "user_id": "U0BOT0001",
                "bot_id": "B1",
            }
            return {"ok": True, "url": "https://bench.slack.com/", "is_enterprise_install": False, **who}
        return {"ok": True, "ts": "1700000000.000001"}


class _Connection(asyncio.Protocol):
    def __init__(self, peer: Peer, open_ones: "set[_Connection]") -> None:
        self._peer = peer
        self._open_ones = open_ones
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the base

        self._open_ones.add(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._open_ones.discard(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        response, seconds = self._peer.answer(self._url.decode(), self._body)
        self._url = self._body = b""
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._send, response)
        else:
            self._send(response)

    def _send(self, response: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(response)


def _json(value: object, status: bytes = b"200 OK") -> bytes:
    body = json.dumps(value, separators=(",", ":")).encode()
    return b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, _HEADERS, len(body), body)


def _livestream(meeting: str) -> dict[str, object]:
    """Return a live livestream without a name, as is common; its ID is the meeting's."""
    return {
        "id": meeting,
        "name": None,
        "status": "LIVE",
        "meeting_id": meeting,
        "playback_url": playback_url(meeting),
        "ingest_server": "rtmps://live.bench.example:443/live/17899b6bf266fa5f",
        "stream_key": "sk-bench-0184b0eef5bc04551917e7a153c0ef272f41d99f16c66c1a5bc4122297dc0aa0",
        "disabled": False,
        "created_at": _TIME,
        "updated_at": _TIME,
    }


def _session(livestream: str) -> dict[str, object]:
    return {
        "id": "b26bfc38-dc0b-4ce3-a9e2-6772032b402c",
        "livestream_id": livestream,
        "err_message": None,
        "invoked_time": _TIME,
        "started_time": _TIME,
        "stopped_time": None,
        "ingest_seconds": 60,
        "viewer_seconds": 0,
        "created_at": _TIME,
        "updated_at": _TIME,
    }


def _meeting(meeting: str) -> dict[str, object]:
    return {
        "id": meeting,
        "title": "Town hall",
        "status": "ACTIVE",
        "record_on_start": False,
        "live_stream_on_start": False,
        "persist_chat": False,
        "summarize_on_end": False,
        "created_at": _TIME,
        "updated_at": _TIME,
    }
