"""Everything that is there while the chaos lasts: both peers, the bots, the livestreams, and who watches."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
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
from tests.chaos.answers import Answers
from tests.chaos.broadcasts import Director
from tests.chaos.databases import Server, Sqlite, database
from tests.chaos.evidence import Channel, Evidence
from tests.chaos.faults import WEATHERS, HalfAnswers, Weather
from tests.chaos.fleet import Bot, fleet
from tests.chaos.observer import Witness

LEAVERS = "C0LEAVERS01"
"""Here meetings are unfollowed, and followed again."""
CHANNELS = (
    Channel(GENERAL),
    Channel(EVENTS, loud=True),
    Channel(RANDOM, quiet=True),
    Channel(BACKSTAGE, closes=True),
    Channel(LEAVERS, leaves=True),
)
GRACE_SECONDS = 30
_MANY_MESSAGES = 1_000_000
_APART = (0.0, 70.0, -70.0)
_ANSWER_SECONDS = 5.0
_CONFIRMED_SECONDS = 0.3
"""Real seconds: what Slack has answered by then was answered in time, whatever a client waits for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to be like."""

    cycles: int = 200
    seed: int = 7
    database: str = "sqlite"
    bots: int = 1
    meetings: int = 6
    speed: float = 30.0
    cycle_seconds: float = 2.0
    """In real time."""
    calm_seconds: float = 3.0
    """In real time, too: how long to listen when all seems settled."""
    dedupe: bool = True
    weather: frozenset[str] = WEATHERS
    """What goes wrong."""

    @property
    def offsets(self) -> list[float]:
        """By how many seconds the clock of each process is ahead."""
        apart = "clocks" in self.weather and self.bots > 1
        return [_APART[number % len(_APART)] if apart else 0.0 for number in range(self.bots)]


@dataclass(slots=True)
class Stage:
    """The parts, put together."""

    plan: Plan
    slack: Slack
    kit: RealtimeKit
    director: Director
    witness: Witness
    weather: Weather
    bots: list[Bot]
    database: Sqlite | Server
    answers: Answers

    @property
    def clock(self) -> Clock:
        return self.slack.clock

    async def follow_everything(self, seconds: float = 60) -> None:
        """Type it in every channel until the bot has heard it. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            for channel in CHANNELS:
                how = "loud" if channel.loud else "quiet" if channel.quiet else ""
                for each in self.director.broadcasts:
                    await self.type(f"follow {each.meeting_id} {how}".strip(), channel.id)

    async def type(self, text: str, channel: str) -> None:
        """Type it until the bot has said that it is so: a bot whose database is slow may have to refuse."""
        while not await self._is_done(text, channel):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.1)

    async def _is_done(self, text: str, channel: str) -> bool:
        delivery = await self.slack.command(text, channel=channel)
        if not delivery.acked:
            return False

        def says_so(message: Message) -> bool:
            return message.trigger_id == delivery.trigger_id and "follow" in message.text.partition("Then ")[0]

        with contextlib.suppress(TimeoutError):
            await self.slack.wait_for_message(says_so, timeout=_ANSWER_SECONDS)
            return True
        return False

    def evidence(self) -> Evidence:
        """What there is to judge."""
        return Evidence(
            self.director.broadcasts,
            CHANNELS,
            self.witness.told,
            self.witness.troubles,
            GRACE_SECONDS,
            self.witness.deleted,
            self.witness.absences,
            self.witness.signs,
            unconfirmed=self.answers.unconfirmed,
            cards=self.witness.cards,
            edits=self.witness.edits,
            calms=self.witness.calms,
        )


@contextlib.asynccontextmanager
async def stage(plan: Plan, folder: Path) -> AsyncIterator[Stage]:
    """Put it up; the bots are ready, and nothing is followed yet."""
    clock = Clock(speed=plan.speed)
    slack, kit = Slack(clock), RealtimeKit(clock)
    slack.ack_seconds *= plan.speed  # three real seconds, as outside
    slack.honors_client_msg_id = plan.dedupe
    slack.workspace.messages_per_channel = _MANY_MESSAGES
    for channel in CHANNELS:
        known = slack.workspace.channels.get(channel.id) or Room(channel.id, "leavers", PEOPLE)
        slack.workspace.put_channel(dataclasses.replace(known, has_bot=True))
    half = HalfAnswers(slack.connections_in.app)
    answers = Answers(half, _CONFIRMED_SECONDS, time.monotonic)
    slack.connections_in.app = answers
    director = Director(kit, Random(plan.seed), plan.meetings)
    director.late_reasons = "changes" in plan.weather
    witness = Witness(slack, kit, director.broadcasts)
    async with (
        database(plan.database, folder) as store,
        slack.running(),
        serving(kit.asgi, listen(), drain_seconds=1) as kit_url,
        kit.delivering(),
    ):
        environment = settings_for(slack, slack.base_url, kit, kit_url, "http")
        environment |= {"DATABASE_URL": store.url, "END_GRACE_PERIOD_SECONDS": str(GRACE_SECONDS), "LOG_FORMAT": "json"}
        async with fleet(plan.offsets, environment, clock, folder) as bots:
            slack.request_url = f"{bots[0].url}/slack/events"
            yield Stage(plan, slack, kit, director, witness, Weather(slack, kit, half), bots, store, answers)
