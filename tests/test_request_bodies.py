"""Unsigned bodies take little memory and delay no request, over real sockets."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from pytest_mock import MockerFixture
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from bot.http_server import create_web
from bot.metrics import Metrics
from bot.request_bodies import BodyLimits
from bot.slack.signature import RequestVerifier
from bot.uvicorn_server import ConnectionLimits, listen, serving
from tests.conftest import PATIENCE
from tests.realtimekit.keys import signature_headers as webhook_signature

FREE = 1_000
"""Bytes of a body that need no reader, in these tests."""


class Client:
    """A connection on which what is sent is under control to the byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, url: str) -> AsyncIterator["Client"]:
        parts = urlsplit(url)
        client = cls(*await asyncio.open_connection(parts.hostname, parts.port))
        try:
            yield client
        finally:
            client.writer.close()
            with contextlib.suppress(OSError):
                await client.writer.wait_closed()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, path: str, headers: dict[str, str]) -> None:
        lines = [f"POST {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items())]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def answer(self) -> tuple[int, dict[str, str]]:
        """Return status and headers of the next response; read its body."""
        async with asyncio.timeout(PATIENCE):
            status = int((await self.reader.readline()).split()[1])
            headers: dict[str, str] = {}
            while line := (await self.reader.readline()).decode().strip():
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
            await self.reader.readexactly(int(headers.get("content-length", 0)))
            return status, headers

    async def closed(self) -> None:
        """Wait until the bot has closed the connection."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(OSError):
                while await self.reader.read(65_536):
                    pass


@contextlib.asynccontextmanager
async def connections(url: str, number: int) -> AsyncIterator[list[Client]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Client.connect(url)) for _ in range(number)]


def plausible_headers() -> dict[str, str]:
    """Return the headers of a request that looks like Slack's."""
    return {"X-Slack-Signature": "v0=" + "0" * 64, "X-Slack-Request-Timestamp": str(int(time.time()))}


def buffered_bytes() -> int:
    """Return the bytes of bodies that the HTTP server holds in this process."""
    return sum(len(each.body) for each in gc.get_objects() if isinstance(each, RequestResponseCycle))


@contextlib.asynccontextmanager
async def server(
    body_limits: BodyLimits | None = None, connection_limits: ConnectionLimits | None = None
) -> AsyncIterator[str]:
    """Yield the bot's HTTP server without a bot: no request here passes the signature check."""
    slack: Any = (None, RequestVerifier("secret"))
    webhooks: Any = SimpleNamespace(key=None, hint=None)
    web = create_web(Metrics(), {}, slack, webhooks, body_limits)
    async with serving(web, listen(), drain_seconds=1, limits=connection_limits) as url:
        yield url


SLACK, WEBHOOKS = "/slack/events", "/realtimekit/webhooks"
TOO_LONG = {"Content-Length": str(256 * 1024 + 1)}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (SLACK, {}, 401),
        (SLACK, {"X-Slack-Signature": "v0=" + "0" * 64}, 401),
        (SLACK, {**plausible_headers(), "X-Slack-Signature": "v0=0"}, 401),
        (SLACK, {**plausible_headers(), "X-Slack-Request-Timestamp": "1531420618"}, 401),
        (WEBHOOKS, {}, 401),
        (WEBHOOKS, {"rtk-signature": ""}, 401),
        (WEBHOOKS, {"rtk-signature": "abcd"}, 401),
        (WEBHOOKS, {"rtk-signature": "?"}, 401),
        (SLACK, {**plausible_headers(), **TOO_LONG}, 413),
        (WEBHOOKS, {**webhook_signature(b"x"), **TOO_LONG}, 413),
    ],
)
async def test_unsigned_or_too_long_request_is_rejected_before_its_body(
    path: str, headers: dict[str, str], status: int
) -> None:
    async with server() as url, Client.connect(url) as client:
        await client.head(path, {"Content-Length": "200000", **headers})

        assert (await client.answer())[0] == status


@pytest.mark.parametrize("path", [SLACK, "/healthz", "/nothing/here"])
async def test_rejected_bodies_are_not_buffered(path: str) -> None:
    async with server() as url, connections(url, 30) as clients:
        for client in clients:
            await client.head(path, {"Content-Length": "1000000"})
            await client.send(b"x" * 10_000)
        for client in clients:
            assert (await client.answer())[0] in (401, 404, 405, 413)
        for client in clients:
            await client.send(b"x" * 290_000)

        assert buffered_bytes() == 0


async def test_body_is_not_read_ahead_of_the_app() -> None:
    asked, go = asyncio.Event(), asyncio.Event()

    async def app(scope: object, receive: object, send: object) -> None:
        asked.set()
        await go.wait()

    async with serving(app, listen(), drain_seconds=1) as url, connections(url, 2) as (client, other):
        await client.head("/", {"Content-Length": "1000000"})
        sending = asyncio.create_task(client.send(b"x" * 999_000))
        await asyncio.wait_for(asked.wait(), PATIENCE)
        # Another request arrives, so that what could be read has been.
        asked.clear()
        await other.head("/", {})
        await asyncio.wait_for(asked.wait(), PATIENCE)

        assert buffered_bytes() <= 16 * 1024

        sending.cancel()
        go.set()


async def send_more_than_is_free(client: Client) -> None:
    """Send the head of a long request, and so much of its body that it needs a reader."""
    await client.head(SLACK, {**plausible_headers(), "Content-Length": "100000"})
    await client.send(b"x" * (FREE + 1))


async def test_long_body_without_a_free_reader_is_rejected_with_retry_after() -> None:
    limits = BodyLimits(free_bytes=FREE, readers=2, reader_seconds=0.2, seconds=60)
    async with server(limits) as url, connections(url, 8) as slow, Client.connect(url) as short:
        for client in slow:
            await send_more_than_is_free(client)
        await short.head(SLACK, {**plausible_headers(), "Content-Length": "900"})
        await short.send(b"x" * 900)

        assert (await short.answer())[0] == 401  # forged: it was read
        answers = [await client.answer() for client in slow]

        # Each waits for a while, and each that reads makes room in time: so none is read, and the bot is free again.
        assert {status for status, _ in answers} <= {408, 503}
        assert all(headers["retry-after"] == "1" for status, headers in answers if status == 503)
        assert any(status == 503 for status, _ in answers)


async def test_slow_bodies_lose_their_reader_to_a_quick_one() -> None:
    limits = BodyLimits(free_bytes=FREE, readers=2, reader_seconds=0.5, seconds=3600)
    async with server(limits) as url, connections(url, 2) as slow, Client.connect(url) as quick:
        for client in slow:
            await send_more_than_is_free(client)
        await quick.head(SLACK, {**plausible_headers(), "Content-Length": "100000"})
        await quick.send(b"x" * 100_000)

        assert (await quick.answer())[0] == 401  # forged: it was read
        assert (await slow[0].answer())[0] == 408


async def test_request_beyond_the_waiting_limit_is_rejected_at_once() -> None:
    limits = BodyLimits(free_bytes=FREE, readers=1, waiting=1, reader_seconds=3600, seconds=3600)
    async with server(limits) as url, connections(url, 3) as clients:
        for client in clients:
            await send_more_than_is_free(client)

        answers = {asyncio.create_task(client.answer()) for client in clients}
        [refused], rest = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)

        assert refused.result()[0] == 503
        for answer in rest:
            answer.cancel()


async def test_slow_body_times_out() -> None:
    async with server(BodyLimits(seconds=0.05)) as url, Client.connect(url) as client:
        await client.head(SLACK, {**plausible_headers(), "Content-Length": "100"})
        await client.send(b"x")

        assert (await client.answer())[0] == 408


@pytest.mark.parametrize("sent", [b"", b"POST /slack/ev", b"POST /slack/events HTTP/1.1\r\nHost: x\r\nX-A: "])
async def test_connection_with_a_slow_head_is_closed(sent: bytes) -> None:
    async with server(connection_limits=ConnectionLimits(head_seconds=0.05)) as url, Client.connect(url) as client:
        await client.send(sent)

        await client.closed()


async def use(client: Client) -> None:
    """Get the answer to a first request on the connection."""
    await client.head("/healthz", {"Content-Length": "0"})
    assert (await client.answer())[0] == 405


async def test_connection_with_a_slow_second_head_is_closed() -> None:
    async with server(connection_limits=ConnectionLimits(head_seconds=0.2)) as url, Client.connect(url) as client:
        await use(client)
        await client.send(b"GET /healthz HTTP/1.1\r\nHost: ")

        await client.closed()


async def test_idle_connection_outlasts_the_proxys(mocker: MockerFixture) -> None:
    """Usual proxies and load balancers keep theirs for 60 s: they must be the ones to close it."""
    later = mocker.spy(asyncio.get_running_loop(), "call_later")
    async with server() as url, Client.connect(url) as client:
        await use(client)

        idle = [call.args[0] for call in later.call_args_list if "keep_alive" in getattr(call.args[1], "__name__", "")]
        assert [seconds > 60 for seconds in idle] == [True]


async def test_idle_connection_is_closed_in_the_end() -> None:
    async with server(connection_limits=ConnectionLimits(idle_seconds=1)) as url, Client.connect(url) as client:
        await use(client)

        await client.closed()


async def test_endless_head_is_rejected() -> None:
    async with server() as url, Client.connect(url) as client:
        with contextlib.suppress(OSError):
            await client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-A: %s\r\n" % (b"x" * 100) * 10_000)
            assert (await client.answer())[0] == 431

        await client.closed()


@pytest.mark.parametrize("limits", [ConnectionLimits(discarded_bytes=100_000), ConnectionLimits(discarded_seconds=0.1)])
async def test_client_that_keeps_sending_after_a_rejection_is_cut_off(limits: ConnectionLimits) -> None:
    async with server(connection_limits=limits) as url, Client.connect(url) as client:
        await client.head(SLACK, {"Transfer-Encoding": "chunked"})
        assert (await client.answer())[0] == 401

        with contextlib.suppress(OSError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await client.send(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await client.closed()


async def test_connection_is_reused_after_a_rejection() -> None:
    async with server() as url, Client.connect(url) as client:
        for _ in range(2):
            await client.head(SLACK, {"Content-Length": "50000"})
            await client.send(b"x" * 50_000)
            assert (await client.answer())[0] == 401
