"""The real bot in its own process, connected to the sandbox only by its settings."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp

from bot.uvicorn_server import listen, url_of
from sandbox.realtimekit import RealtimeKit
from sandbox.slack import Slack

Mode = Literal["socket", "http"]

_READY_SECONDS = 20.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.05
_OURS = (
    "HTTPS_PROXY",
    "https_proxy",
    "SLACK_",
    "CLOUDFLARE_",
    "REALTIMEKIT_",
    "DATABASE_",
    "FOLLOW_",
    "LOG_",
    "HOST",
    "PORT",
)
_LAST_WORDS = 4_000
_TRIES = 50


class BotDidNotStart(Exception):
    """The bot stopped, or was not ready in time; the message is the end of its log."""


@dataclass(frozen=True, slots=True)
class BotProcess:
    """A running bot."""

    url: str
    log: Path
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        """The process ID."""
        return self.process.pid

    async def ended(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        return await self.process.wait()

    def last_words(self) -> str:
        """Return the end of the bot's log."""
        return _end_of(self.log)


def settings_for(slack: Slack, slack_url: str, kit: RealtimeKit, kit_url: str, mode: Mode) -> dict[str, str]:
    """Return the environment variables that connect a bot to these two, by HTTP or Socket Mode."""
    way_in = (
        {"SLACK_APP_TOKEN": slack.credentials.app_token}
        if mode == "socket"
        else {"SLACK_SIGNING_SECRET": slack.credentials.signing_secret}
    )
    return {
        "SLACK_BOT_TOKEN": slack.credentials.bot_token,
        "SLACK_API_URL": f"{slack_url}/api/",
        **way_in,
        "CLOUDFLARE_API_TOKEN": kit.api_token,
        "CLOUDFLARE_ACCOUNT_ID": kit.account_id,
        "REALTIMEKIT_APP_ID": kit.app_id,
        "CLOUDFLARE_BASE_URL": f"{kit_url}/client/v4",
        "REALTIMEKIT_WEBHOOK_KEY_URL": f"{kit_url}/.well-known/webhooks.json",
    }


@contextlib.asynccontextmanager
async def bot_process(
    settings: Mapping[str, str], arguments: Sequence[str] = ("-m", "bot", "run")
) -> AsyncIterator[BotProcess]:
    """Run `livestream-bot run` until the block ends; the block starts once the bot is ready. Raises BotDidNotStart.

    The bot runs in an empty folder and without this process's settings, so that no `.env` of a real workspace reaches
    it.
    """
    with below_the_usual() as sock:
        url, port = url_of(sock), sock.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="livestream-bot-") as folder:
        log = Path(folder) / "bot.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        environment |= {"HOST": "127.0.0.1", "PORT": str(port), "LOG_FORMAT": "json", **settings}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                cwd=folder,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C should reach only the parent, which then stops the bot cleanly.
            )
        try:
            await _ready(process, url, log)
            yield BotProcess(url, log, process)
        finally:
            await _stop(process)


def below_the_usual() -> socket.socket:
    """Listen on a free port that no outgoing connection takes before the bot does: systems use 32,768 and above."""
    for port in random.sample(range(10_000, 32_000), _TRIES):
        with contextlib.suppress(OSError):
            return listen(port=port)
    return listen()


async def _ready(process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    try:
        async with asyncio.timeout(_READY_SECONDS), aiohttp.ClientSession() as session:
            while process.returncode is None:
                if await _answers(session, f"{url}/readyz"):
                    return
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        pass
    raise BotDidNotStart(_end_of(log) or "It logged nothing.")


def _end_of(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LAST_WORDS))
        return file.read().decode(errors="replace")


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal, unless the process has just ended by itself.

    `process.send_signal` would first poll for that end. In Python 3.11 it may reap the process before asyncio does,
    which leaves asyncio without an exit status.
    """
    with contextlib.suppress(ProcessLookupError):
        if process.returncode is None:
            os.kill(process.pid, number)
