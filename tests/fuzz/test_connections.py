"""Clients that hold connections, or send too much or too slowly, do not prevent others from being served."""

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from sandbox.bot_process import BotProcess, bot_process, settings_for
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, Outcome
from tests.conftest import PATIENCE, World
from tests.fuzz.checks import assert_no_secrets

PROMPT = 3.0
"""Seconds. Slack waits no longer."""
IDLE = 1_000
MUCH = 100 * 1024 * 1024
CHUNK = b"x" * 65_536

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def bot(world: World) -> AsyncIterator[BotProcess]:
    """Yield the bot in its own process, with a low limit of open files. It must stop cleanly, with a harmless log."""
    environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "http")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    async with bot_process(environment) as bot:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        world.slack.request_url = f"{bot.url}/slack/events"
        yield bot
        os.kill(bot.pid, signal.SIGTERM)
        assert await bot.ended() == 0
        assert_no_secrets(world, bot.log.read_text())


async def connect(bot: BotProcess) -> Streams:
    return await asyncio.open_connection("127.0.0.1", urlsplit(bot.url).port)


async def assert_served(world: World, bot: BotProcess) -> None:
    """Assert that a command and a health check are answered promptly."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as session, session.get(f"{bot.url}/healthz") as response:
        assert response.status == 200
    assert (await world.slack.command(seeds.LIVE)).outcome is Outcome.OK
    assert time.monotonic() - began < PROMPT
    await world.slack.wait_for_message(lambda message: message.ephemeral_to == ANN, timeout=PATIENCE)


def memory_mb(bot: BotProcess) -> float:
    status = Path(f"/proc/{bot.pid}/status").read_text().splitlines()
    [line] = [line for line in status if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def plausible_headers() -> bytes:
    """Return the headers of a signature that only the body can disprove."""
    return b"X-Slack-Signature: v0=%s\r\nX-Slack-Request-Timestamp: %d\r\n" % (b"0" * 64, time.time())


async def close(streams: list[Streams]) -> None:
    for _, writer in streams:
        writer.close()
    for _, writer in streams:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_idle_connections_cost_little_memory_and_block_no_request(world: World, bot: BotProcess) -> None:
    before = memory_mb(bot)
    idle = [await connect(bot) for _ in range(IDLE)]

    await assert_served(world, bot)
    assert memory_mb(bot) - before < 60

    await close(idle)


@pytest.mark.parametrize(
    "sent", [b"POST /slack/ev", b"POST /slack/events HTTP/1.1\r\nHost: x\r\nX-A: ", b"\x16\x03\x01\x02"]
)
async def test_slow_heads_block_no_request(world: World, bot: BotProcess, sent: bytes) -> None:
    slow = [await connect(bot) for _ in range(100)]
    for _, writer in slow:
        writer.write(sent)

    await assert_served(world, bot)

    await close(slow)


async def test_slow_bodies_time_out_and_block_no_request(world: World, bot: BotProcess) -> None:
    slow = [await connect(bot) for _ in range(50)]
    for _, writer in slow:
        writer.write(b"POST /slack/events HTTP/1.1\r\nHost: x\r\n%sContent-Length: 100\r\n\r\nx" % plausible_headers())

    await assert_served(world, bot)
    async with asyncio.timeout(20):
        assert b" 408 " in await slow[0][0].readline()

    await close(slow)


@pytest.mark.parametrize("path", ["/slack/events", "/realtimekit/webhooks", "/healthz"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_huge_body_is_rejected_without_being_stored(
    world: World, bot: BotProcess, path: str, chunked: bool
) -> None:
    before = memory_mb(bot)
    reader, writer = await connect(bot)
    size = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % MUCH
    writer.write(b"POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n" % (path.encode(), size))
    part = b"%x\r\n%s\r\n" % (len(CHUNK), CHUNK) if chunked else CHUNK
    with contextlib.suppress(OSError):
        for _ in range(MUCH // len(CHUNK)):
            writer.write(part)
            await writer.drain()
    await assert_served(world, bot)
    assert memory_mb(bot) - before < 30

    # A client that keeps sending after the rejection may lose its connection; one without a response would wait.
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            assert (await reader.readline()).split()[1:2] in ([b"413"], [b"405"], [])
    await close([(reader, writer)])


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00" * 10_000,
        b"GET / HTTP/1.1\r\n\r\n" * 500,
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /slack/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_malformed_http_closes_only_its_connection(world: World, bot: BotProcess, noise: bytes) -> None:
    reader, writer = await connect(bot)
    with contextlib.suppress(OSError):
        writer.write(noise)
        await writer.drain()

    await assert_served(world, bot)

    await close([(reader, writer)])
