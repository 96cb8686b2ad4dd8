"""The bots: processes that are killed without warning and started again."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import aiohttp

from sandbox.bot_process import below_the_usual
from sandbox.clock import Clock

_REPOSITORY = Path(__file__).parents[2]
_ERROR_LEVELS = ("error", "critical")
_CUT_WHILE_CONNECTING = (
    "Future exception was never retrieved\n"
    "future: <Future finished exception=ConnectionError('unexpected connection_lost() call')>"
)
"""What asyncio logs if a connection to PostgreSQL is cut after asyncpg has given up setting it up, as it is here."""


class Bot:
    """A slot for a process, whose port and log stay the same."""

    def __init__(
        self, number: int, environment: Mapping[str, str], clock: Clock, folder: Path, offset: float = 0.0
    ) -> None:
        """`offset` is by how many sandbox seconds its clock is ahead of that of the others."""
        with below_the_usual() as sock:
            port = sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = folder / f"bot-{number}.log"
        self._environment = {**os.environ, **environment, "HOST": "127.0.0.1", "PORT": str(port)}
        self._clock = clock
        self._offset = offset
        self._folder = folder
        self.gave_up = 0
        """How often it has exited, as it does when its database is unreachable at the start."""
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()

    @property
    def runs(self) -> bool:
        """Return whether the process is running. It may still be starting."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start a process unless one is running; do not wait until it is ready."""
        async with self._starting:
            if not self.runs:
                self.gave_up += self._process is not None and self._process.returncode != -signal.SIGKILL
                self._process = await self._spawn()

    async def _spawn(self) -> asyncio.subprocess.Process:
        times = (self._clock.now(), time.time(), self._clock.speed, self._offset)
        with self.log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.chaos.bot_under_test", *map(str, times)),
                cwd=self._folder,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def kill(self) -> bool:
        """Send SIGKILL; return whether a process was running."""
        if self._process is None or not self.runs:
            return False
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        return True

    async def freeze(self, seconds: float) -> bool:
        """Stop the process (SIGSTOP) for so many real seconds; return whether one was running."""
        process = self._process
        if process is None or not self.runs:
            return False
        _signal(process.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            if process.returncode is None:
                _signal(process.pid, signal.SIGCONT)
        return True

    async def ready(self, seconds: float = 30) -> None:
        """Wait until it is ready. Raises TimeoutError."""
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
            while True:
                await self.start()
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    async def awake(self) -> None:
        """Wait until the process serves requests."""
        async with aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/healthz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    @property
    def starts(self) -> int:
        """Return how often it has started fully; a process that is killed before that has not."""
        return self.log.read_text(errors="replace").count('"event": "bot_started"')

    def failures(self) -> Counter[str]:
        """Return the events that it has logged as errors, and how often."""
        found: Counter[str] = Counter()
        for line in self.log.read_text(errors="replace").splitlines():
            try:
                fields = json.loads(line)
            except ValueError:
                found["traceback"] += line.startswith("Traceback")
                continue  # otherwise a line that was being written when it was killed
            if (
                isinstance(fields, dict)
                and fields.get("level") in _ERROR_LEVELS
                and fields.get("event") != _CUT_WHILE_CONNECTING
            ):
                found[str(fields.get("event"))] += 1
        return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@contextlib.asynccontextmanager
async def fleet(
    offsets: Sequence[float], environment: Mapping[str, str], clock: Clock, folder: Path
) -> AsyncIterator[list[Bot]]:
    """Start a ready process for each of these clocks; kill them all in the end."""
    environment = {**environment, "PYTHONPATH": str(_REPOSITORY)}
    places = [Bot(n, environment, clock, folder, offset) for n, offset in enumerate(offsets)]
    try:
        for each in places:
            await each.ready()
        yield places
    finally:
        for each in places:
            await each.kill()
