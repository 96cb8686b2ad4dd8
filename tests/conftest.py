"""A local Slack, a local RealtimeKit and the bot between them, over real sockets."""

import asyncio
import contextlib
import functools
import io
import json
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import pytest
import structlog

from bot import logs
from bot.app import running
from bot.clock import Clock as TimeOfTheBot
from bot.settings import Settings
from bot.slack.responder import STILL_CHECKING
from bot.uvicorn_server import listen, serving
from sandbox.bot_process import Mode, settings_for
from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit
from sandbox.slack import ANN, GENERAL, Delivery, Message, Outcome, Slack

# Machines are noisy, so no example has a deadline; in CI every run gets the same examples.
hypothesis.settings.register_profile("bot", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("bot")

LONG = (
    "bench",
    "chaos",
    "following/test_sweeper.py",
    "fuzz",
    "sandbox/page/browser",
    "scenarios",
    "store/test_interleavings.py",
    "store/test_racing.py",
)
"""What runs long, or in browsers and processes of its own: `make check` runs it, `make test` does not.

What it covers is covered by quicker tests, so no coverage is measured, and it runs at full speed.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run long, and measure no coverage in them."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix().startswith(LONG):
            item.add_marker("no_cover")
            item.add_marker("long")


PATIENCE = 15.0
"""Real seconds for what comes at once on a machine that has time."""

OURS = (
    "HTTPS_PROXY",
    "SSL_CERT_",
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


SHM = Path("/dev/shm")
if SHM.is_dir() and os.access(SHM, os.W_OK) and shutil.disk_usage(SHM).free > 1 << 30:
    # SQLite waits for the disk after each transaction: not there.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(SHM))


@pytest.fixture(autouse=True)
def _unmeasured_children(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure no coverage in the processes that an unmeasured test starts, either."""
    if request.node.get_closest_marker("no_cover"):
        for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the settings, and the .env, of the person who runs the tests."""
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


shared_client_context = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def _shared_client_contexts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load the trusted certificates once for all clients: each time takes 75 ms of CPU time."""
    monkeypatch.setattr(ssl, "create_default_context", shared_client_context)


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    """Everything that the bot logs, one JSON object a line, down to DEBUG."""
    stream = io.StringIO()
    logs.configure(level="DEBUG", style="json", stream=stream)
    yield stream
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@dataclass
class World:
    """Slack, RealtimeKit, and what a person does in between."""

    slack: Slack
    kit: RealtimeKit
    kit_url: str
    log: io.StringIO
    bot_url: str = ""
    database_url: str | None = None
    """Where the bot keeps what it knows, if not in a file of its own."""
    seen: set[str] = field(default_factory=set)

    def settings(self, mode: Mode = "http", **changes: Any) -> Settings:
        environment = settings_for(self.slack, self.slack.base_url, self.kit, self.kit_url, mode)
        values: dict[str, Any] = {name.lower(): value for name, value in environment.items()}
        if self.database_url is not None:
            values["database_url"] = self.database_url
        return Settings(_env_file=None, **{**values, **changes})

    @contextlib.asynccontextmanager
    async def bot(
        self, mode: Mode = "http", *, wait: bool = True, clock: TimeOfTheBot | None = None, **changes: Any
    ) -> AsyncIterator[None]:
        """Run the bot in this process until the block ends, by the world's clock; `wait` for its Socket Mode
        connection. Acknowledgements are not late yet where only the machine is slow."""
        self.slack.ack_seconds = max(self.slack.ack_seconds, PATIENCE)
        async with running(self.settings(mode, **changes), listen(), clock or self.slack.clock) as self.bot_url:
            self.slack.request_url = f"{self.bot_url}/slack/events" if mode == "http" else None
            if mode == "socket" and wait:
                await self.slack.wait_for_connections(timeout=PATIENCE)
            yield

    async def ask(self, text: str, *, user: str = ANN, channel: str = GENERAL) -> Message:
        """Type `/livestream ...` and wait for the private answer."""
        self.look()
        return await self.answer(await self.slack.command(text, user=user, channel=channel))

    async def answer(self, delivery: Delivery) -> Message:
        """Return the private answer to a command or a click, through its response_url; not the note that it is late."""
        assert delivery.outcome is Outcome.OK, delivery
        return await self.slack.wait_for_message(
            lambda message: (
                message.trigger_id == delivery.trigger_id
                and message.ephemeral_to is not None
                and message.text != STILL_CHECKING
            ),
            timeout=PATIENCE,
        )

    def look(self) -> None:
        """See every message that is there."""
        self.seen |= {message.ts for message in self.slack.workspace.every_message()}

    async def next_message(self, predicate: Callable[[Message], bool]) -> Message:
        """Return the next message that fits and was not there at the last `look`."""
        return await self.slack.wait_for_message(
            lambda message: message.ts not in self.seen and predicate(message), timeout=PATIENCE
        )

    async def told_beside(self, answer: Message) -> Message:
        """Return the next private message to the person who got this private answer."""
        return await self.slack.wait_for_message(
            lambda message: (
                message.ephemeral_to == answer.ephemeral_to
                and message.ts > answer.ts
                and message.text != STILL_CHECKING
            ),
            timeout=PATIENCE,
        )

    async def idle(self) -> None:
        """Wait until no request is in flight."""
        await self._until("/metrics", "livestream_bot_requests_in_flight 0.0")

    async def ready(self) -> None:
        """Wait until the bot says that it is ready."""
        await self._until("/readyz", '"ready":true')

    async def _until(self, path: str, text: str) -> None:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            while True:
                async with session.get(self.bot_url + path) as response:
                    if text in await response.text():
                        return
                await asyncio.sleep(0.01)

    async def logged(self, event: str) -> dict[str, Any]:
        """Return the first log line of this event, already there or still to come."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for line in self.log.getvalue().splitlines():
                    fields: dict[str, Any] = json.loads(line)
                    if fields["event"] == event:
                        return fields
                await asyncio.sleep(0.01)


@pytest.fixture
async def world(clock: Clock, log: io.StringIO) -> AsyncIterator[World]:
    """Yield a seeded RealtimeKit and a Slack, with no bot yet."""
    kit, slack = RealtimeKit(clock), Slack(clock)
    kit.seed()
    async with slack.running(), serving(kit.asgi, listen(), drain_seconds=1) as kit_url:
        yield World(slack, kit, kit_url, log)


@pytest.fixture
async def connected(world: World) -> AsyncIterator[World]:
    """Yield the same with a bot that is connected by HTTP."""
    async with world.bot():
        yield world
