"""The contenders as processes: how each is started, and how long it takes to become ready."""

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import aiohttp

from bench import peer
from bot.uvicorn_server import listen, url_of

HERE = Path(__file__).parents[1]

_READY_SECONDS = 30.0
_POLL_SECONDS = 0.01
_STOP_SECONDS = 10.0
_LAST_WORDS = 2_000
_CONTENDER_VARIABLES = (
    "SLACK_",
    "CLOUDFLARE_",
    "REALTIMEKIT_",
    "DATABASE_",
    "FOLLOW_",
    "LOG_",
    "HOST",
    "PORT",
    "WEB_CONCURRENCY",
)


@dataclass(frozen=True, slots=True)
class Contender:
    """A program, as arguments to Python; `{port}` in them is the port to listen on."""

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()
    """Packages that the contender needs and the bot does not."""
    socket_mode: bool = False
    checkout: Path = HERE
    """The checkout whose code runs."""

    @property
    def missing(self) -> list[str]:
        """The required packages that are not installed."""
        return [package for package in self.needs if find_spec(package) is None]


_GUNICORN = (
    "--worker-class",
    "gthread",
    "--workers",
    "1",
    "--threads",
    "64",
    "--keep-alive",
    "65",
    "--no-control-socket",
)

FLOOR = Contender("floor", ("-m", "bench.contenders.floor"))
SAME_REQUESTS = Contender("floor, bot's requests", ("-m", "bench.contenders.floor", "--same-questions"))
BOT = Contender("bot", ("-m", "bot", "run"))
BOT_SOCKET = Contender("bot, Socket Mode", ("-m", "bot", "run"), socket_mode=True)
BOLT_ASYNC = Contender("async Bolt", ("-m", "bench.contenders.bolt_async"), needs=("cloudflare",))
BOLT_SYNC = Contender(
    "sync Bolt",
    ("-m", "gunicorn", "--bind", "127.0.0.1:{port}", *_GUNICORN, "bench.contenders.bolt_sync:wsgi()"),
    needs=("cloudflare", "gunicorn"),
)
ALL = {
    "floor": FLOOR,
    "same-questions": SAME_REQUESTS,
    "bot": BOT,
    "socket": BOT_SOCKET,
    "bolt-async": BOLT_ASYNC,
    "bolt-sync": BOLT_SYNC,
}


class DidNotStart(Exception):
    """A contender ended, or was not ready in time; the message is the end of its log."""


@dataclass(frozen=True, slots=True)
class Running:
    """A contender that is ready for commands."""

    url: str
    pid: int
    start_seconds: float
    """Seconds from exec to ready."""


@contextlib.asynccontextmanager
async def running(contender: Contender, peer_url: str) -> AsyncIterator[Running]:
    """Run the contender in an empty folder until the block ends. Raises DidNotStart."""
    with listen() as sock:
        url, port = url_of(sock), sock.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="livestream-bench-") as folder:
        log = Path(folder) / "log"
        began = time.perf_counter()
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *(argument.format(port=port) for argument in contender.arguments),
                cwd=folder,
                env=_environment(contender, peer_url, port),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            await _ready(process, url, log)
            yield Running(url, process.pid, time.perf_counter() - began)
        finally:
            await _stop(process)


def _environment(contender: Contender, peer_url: str, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_CONTENDER_VARIABLES)}
    transport_secret = (
        {"SLACK_APP_TOKEN": peer.APP_TOKEN} if contender.socket_mode else {"SLACK_SIGNING_SECRET": peer.SIGNING_SECRET}
    )
    return {
        **kept,
        **transport_secret,
        "PYTHONPATH": str(contender.checkout),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        # Thousands of commands in a second, each for another meeting, are more than Cloudflare accepts.
        "CLOUDFLARE_RATE_LIMIT": "1000000",
        "LOG_FORMAT": "json",
        "SLACK_BOT_TOKEN": peer.BOT_TOKEN,
        "SLACK_API_URL": f"{peer_url}/api/",
        "CLOUDFLARE_API_TOKEN": peer.API_TOKEN,
        "CLOUDFLARE_ACCOUNT_ID": peer.ACCOUNT_ID,
        "REALTIMEKIT_APP_ID": peer.APP_ID,
        "CLOUDFLARE_BASE_URL": f"{peer_url}/client/v4",
    }


async def _ready(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    """Wait until /readyz answers with a status below 500 (sync Bolt doesn't have it). Raises DidNotStart."""
    try:
        async with asyncio.timeout(_READY_SECONDS), aiohttp.ClientSession() as session:
            while process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{url}/readyz") as response:
                        if response.status < 500:
                            return
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        pass
    raise DidNotStart(_last_words(log))


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-_LAST_WORDS:] or "Its log is empty."


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
