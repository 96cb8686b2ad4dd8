"""Everything that runs during the chaos: Slack, RealtimeKit, the bots, the livestreams and the observer."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bot.uvicorn_server import listen, serving
from sandbox.bot_process import settings_for
from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit
from sandbox.slack import BACKSTAGE, EVENTS, GENERAL, RANDOM, Message, Slack
from sandbox.slack import Channel as Room
from sandbox.slack.seed import PEOPLE
from tests.chaos.answers import UnconfirmedPosts
from tests.chaos.broadcasts import Director
from tests.chaos.databases import Server, Sqlite, database
from tests.chaos.evidence import Channel, Evidence
from tests.chaos.faults import FAULTS, FaultInjector, TruncatedResponses
from tests.chaos.fleet import Bot, fleet
from tests.chaos.observer import Observer

LEAVERS = "C0LEAVERS01"
"""The channel in which meetings are unfollowed, and followed again."""
CHANNELS = (
    Channel(GENERAL),
    Channel(EVENTS, loud=True),
    Channel(RANDOM, quiet=True),
    Channel(BACKSTAGE, removes_bot=True),
    Channel(LEAVERS, unfollows=True),
)
GRACE_SECONDS = 30
_MAX_MESSAGES = 1_000_000
_CLOCK_OFFSETS = (0.0, 70.0, -70.0)
_ANSWER_SECONDS = 5.0
_CONFIRMED_SECONDS = 0.3
"""Real seconds: a response within them arrives in time for every client."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of one chaos run."""

    cycles: int = 200
    seed: int = 7
    database: str = "sqlite"
    bots: int = 1
    meetings: int = 6
    speed: float = 30.0
    cycle_seconds: float = 2.0
    """In real time."""
    calm_seconds: float = 3.0
    """In real time: how long to wait after everything has settled."""
    dedupe: bool = True
    faults: frozenset[str] = FAULTS
    """The faults to inject."""

    @property
    def offsets(self) -> list[float]:
        """Return by how many seconds the clock of each process is ahead."""
        apart = "clocks" in self.faults and self.bots > 1
        return [_CLOCK_OFFSETS[number % len(_CLOCK_OFFSETS)] if apart else 0.0 for number in range(self.bots)]


@dataclass(slots=True)
class Environment:
    """The parts, put together."""

    plan: Plan
    slack: Slack
    kit: RealtimeKit
    director: Director
    observer: Observer
    injector: FaultInjector
    bots: list[Bot]
    database: Sqlite | Server
    answers: UnconfirmedPosts

    @property
    def clock(self) -> Clock:
        return self.slack.clock

    async def follow_everything(self, seconds: float = 60) -> None:
        """Follow every meeting in every channel. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            for channel in CHANNELS:
                how = "loud" if channel.loud else "quiet" if channel.quiet else ""
                for each in self.director.broadcasts:
                    await self.type(f"follow {each.meeting_id} {how}".strip(), channel.id)

    async def type(self, text: str, channel: str) -> None:
        """Repeat the command until the bot has confirmed it: with a slow database it may have to refuse."""
        while not await self._is_done(text, channel):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.1)

    @contextlib.contextmanager
    def _asking(self, text: str) -> Iterator[None]:
        """Record that within the block the command may look its meeting up."""
        began = self.clock.now()
        try:
            yield
        finally:
            for each in self.director.broadcasts:
                if text.startswith(f"follow {each.meeting_id}"):
                    each.asked.append((began, self.clock.now()))

    async def _is_done(self, text: str, channel: str) -> bool:
        with self._asking(text):
            delivery = await self.slack.command(text, channel=channel)
            if not delivery.acked:
                return False

            def confirms(message: Message) -> bool:
                return message.trigger_id == delivery.trigger_id and "follow" in message.text.partition("Then ")[0]

            with contextlib.suppress(TimeoutError):
                await self.slack.wait_for_message(confirms, timeout=_ANSWER_SECONDS)
                return True
            return False

    def evidence(self) -> Evidence:
        """Return what the checker needs."""
        return Evidence(
            self.director.broadcasts,
            CHANNELS,
            self.observer.replies,
            self.observer.troubles,
            GRACE_SECONDS,
            self.observer.deleted,
            self.observer.absences,
            self.observer.activities,
            unconfirmed=self.answers.unconfirmed,
            cards=self.observer.cards,
            edits=self.observer.edits,
            calms=self.observer.calms,
        )


@contextlib.asynccontextmanager
async def open_environment(plan: Plan, folder: Path) -> AsyncIterator[Environment]:
    """Open it; the bots are ready, and nothing is followed yet."""
    clock = Clock(speed=plan.speed)
    slack, kit = Slack(clock), RealtimeKit(clock)
    slack.ack_seconds *= plan.speed  # three real seconds, as in production
    slack.honors_client_msg_id = plan.dedupe
    slack.workspace.messages_per_channel = _MAX_MESSAGES
    for channel in CHANNELS:
        known = slack.workspace.channels.get(channel.id) or Room(channel.id, "leavers", PEOPLE)
        slack.workspace.put_channel(dataclasses.replace(known, has_bot=True))
    half = TruncatedResponses(slack.connections_in.app)
    answers = UnconfirmedPosts(half, _CONFIRMED_SECONDS, time.monotonic)
    slack.connections_in.app = answers
    director = Director(kit, Random(plan.seed), plan.meetings)
    director.late_reasons = "changes" in plan.faults
    observer = Observer(slack, kit, director.broadcasts)
    async with (
        database(plan.database, folder) as store,
        slack.running(),
        serving(kit.asgi, listen(), drain_seconds=1) as kit_url,
        kit.delivering(),
    ):
        variables = settings_for(slack, slack.base_url, kit, kit_url, "http")
        variables |= {"DATABASE_URL": store.url, "END_GRACE_PERIOD_SECONDS": str(GRACE_SECONDS), "LOG_FORMAT": "json"}
        async with fleet(plan.offsets, variables, clock, folder) as bots:
            slack.request_url = f"{bots[0].url}/slack/events"
            yield Environment(
                plan, slack, kit, director, observer, FaultInjector(slack, kit, half), bots, store, answers
            )
