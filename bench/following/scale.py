"""Thousands of followed meetings, some live, without webhooks: what they cost, and how late changes are announced."""

import random
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from statistics import median
from uuid import UUID

from bench.following.databases import Followed, announced, database, fill, open_second_engine, since
from bench.usage import cpu_seconds, peak_mb
from bot.domain.episode import Episode
from bot.domain.transitions import initial
from bot.realtimekit.lookup import Lookup, observation_of
from bot.realtimekit.models import Livestream, Session
from bot.store.database import Database
from bot.uvicorn_server import listen, serving
from sandbox.bot_process import bot_process, settings_for
from sandbox.clock import Clock
from sandbox.realtimekit import Call, RealtimeKit
from sandbox.realtimekit.envelopes import livestream_view, session_view
from sandbox.slack import GENERAL, Message, Slack

SPEED = 6.0
"""Sandbox seconds per real second. More saves time until the machine can't keep up: see `without_list`."""
CHANGE_EVERY = 15.0
"""Seconds between changes if 200 livestreams of fifty minutes each start and end."""
BURST = 300
MINUTES = 10
_SETTLING = 60.0
_GRACE = 60.0
_LATEST = 360.0
"""How long to wait for the last change, in seconds. By then the request window that it fell into is over, so a change
that is still not announced is lost."""
_AFTER_BURST = 180.0
_POLL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Scale:
    """The results of one measurement. Delays are in sandbox seconds, and of an end from the end of the grace period; a
    change that was not announced counts as infinitely late."""

    database: str
    followed: int
    speed: float
    """Sandbox seconds per real second."""
    live: int
    changes: int
    announced: int
    extra: int
    """Announcements without a change, or sent twice."""
    p50: float
    slowest: float
    without_list: float
    """The longest time between two reads of the list, which a bot that keeps up reads every 15 seconds. A livestream
    that starts and ends in between goes unnoticed."""
    calls: float
    """Requests to Cloudflare in the busiest five minutes."""
    core: float
    """The share of one core that the bot uses: CPU seconds per second."""
    memory: float
    burst_seen: float
    """Seconds until the last of 300 simultaneous changes was recorded."""
    burst_announced: int
    """How many of the 300 were announced within three minutes."""


async def measure(
    kind: str, count: int, live: int, minutes: float = MINUTES, speed: float = SPEED, change_every: float = CHANGE_EVERY
) -> Scale:
    """Measure `count` followed meetings at `speed` times real time. Every `change_every` s, one starts or ends."""
    clock = Clock(speed=speed)
    kit, slack = RealtimeKit(clock), Slack(clock)
    slack.ack_seconds *= speed
    changing = min(BURST, (count - live) // 2)
    followed = _meetings(kit, slack, count, live, 2 * changing)
    with database(kind) as url:
        await fill(url, followed, clock.now())
        async with slack.running(), serving(kit.asgi, listen(), drain_seconds=1) as kit_url:
            environment = settings_for(slack, slack.base_url, kit, kit_url, "http") | {"DATABASE_URL": url}
            environment["PYTHONPATH"] = ":".join(sys.path)
            arguments = ["-m", "bench.following.fast_bot", str(clock.now()), str(time.time()), str(speed)]
            async with bot_process(environment, arguments) as bot, open_second_engine(url) as into:
                run = _Run(kit, clock, bot.pid, change_every)
                waiting = [each for each in followed if each.episode is None]
                await run.steadily(waiting[:changing], minutes)
                await run.until_announced(into)
                await run.at_once(waiting[changing : 2 * changing])
        async with open_second_engine(url) as into:
            return run.figures(kind, count, live, await announced(into))


def _meetings(kit: RealtimeKit, slack: Slack, count: int, live: int, shown: int) -> list[Followed]:
    """Build the followed meetings, all with a card. Only the cards of live or changing ones also exist in Slack."""
    now, numbers = kit.clock.now(), random.Random(7)
    members = slack.workspace.channels[GENERAL].members
    known = type(slack.workspace.channels[GENERAL])
    followed = []
    for n in range(count):
        meeting_id = str(UUID(int=numbers.getrandbits(128), version=4))
        title = kit.add_meeting(f"Meeting {n}", meeting_id).title
        channel, ts = f"C{n:010}", f"{n}.000001"
        if n < live + shown:
            slack.workspace.put_channel(known(channel, f"channel-{n}", members, has_bot=True))
            ts = slack.workspace.post(Message(channel, slack.workspace.next_ts(now), slack.app.user_id, "A card")).ts
        episode = _go_live(kit, meeting_id) if n < live else None
        followed.append(Followed(UUID(meeting_id), channel, ts, title, episode))
    return followed


def _go_live(kit: RealtimeKit, meeting_id: str) -> Episode:
    """Let the meeting go live; return the episode that following it would store."""
    now, meeting = kit.clock.now(), kit.go_live(meeting_id)
    assert meeting.livestream is not None
    assert meeting.livestream.session is not None
    livestream = Livestream.model_validate(livestream_view(meeting.livestream))
    session = Session.model_validate(session_view(meeting.livestream, meeting.livestream.session, now))
    lookup = Lookup(UUID(meeting_id), meeting.title, livestream, session, since(now))
    return initial(observation_of(lookup), since(now))


class _Run:
    def __init__(self, kit: RealtimeKit, clock: Clock, pid: int, change_every: float) -> None:
        self._kit, self._clock, self._pid, self._change_every = kit, clock, pid, change_every
        self._calls: list[float] = []
        self._lists: list[float] = []
        self._changed: dict[tuple[str, str], float] = {}
        self._burst: dict[str, float] = {}
        self._core = self._memory = 0.0
        kit.on_call.append(self._on_call)

    def _on_call(self, call: Call) -> None:
        self._calls.append(call.at)
        if "/livestreams?status=LIVE&page_no=1&" in call.path:
            self._lists.append(call.at)

    async def steadily(self, changing: list[Followed], minutes: float) -> None:
        """Let the meetings go live one after another, and end each three minutes later."""
        await self._clock.sleep(_SETTLING)
        began, cpu = self._clock.now(), cpu_seconds(self._pid)
        running: list[str] = []
        waiting = [str(each.meeting_id) for each in changing]
        while self._clock.now() - began < minutes * 60:
            if waiting:
                self._go_live(running, waiting.pop(0))
            if len(running) > 180 / self._change_every:
                self._end(running.pop(0))
            await self._clock.sleep(self._change_every)
        await self._clock.sleep(_GRACE)
        self._core = (cpu_seconds(self._pid) - cpu) / (self._clock.now() - began)
        self._memory = peak_mb(self._pid)

    async def until_announced(self, into: Database) -> None:
        """Wait for the last changes, so that one that is then not announced is lost rather than late."""
        deadline = max(self._changed.values()) + _LATEST
        while self._clock.now() < deadline and len(self._sent(await announced(into))) < len(self._changed):
            await self._clock.sleep(_POLL_SECONDS)

    async def at_once(self, changing: list[Followed]) -> None:
        """Let all the meetings go live at the same moment."""
        for each in changing:
            self._kit.go_live(str(each.meeting_id))
            self._burst[str(each.meeting_id)] = self._clock.now()
        await self._clock.sleep(_AFTER_BURST)

    def _go_live(self, running: list[str], meeting_id: str) -> None:
        self._kit.go_live(meeting_id)
        self._changed[meeting_id, "live"] = self._clock.now()
        running.append(meeting_id)

    def _end(self, meeting_id: str) -> None:
        self._kit.end(meeting_id)
        self._changed[meeting_id, "ended"] = self._clock.now() + _GRACE

    def figures(
        self, kind: str, count: int, live: int, rows: list[tuple[str, str, float, float, float | None]]
    ) -> Scale:
        """Read the announcements in the database."""
        delays = [sent - self._changed[change] for change, sent in self._sent(rows).items()]
        announced = [(meeting, what) for meeting, what, *_ in rows if meeting not in self._burst]
        never = [inf] * (len(self._changed) - len(delays))
        burst = [row for row in rows if row[0] in self._burst]
        return Scale(
            database=kind,
            followed=count,
            speed=self._clock.speed,
            live=live,
            changes=len(self._changed),
            announced=len(delays),
            extra=len(announced) - len(self._changed.keys() & announced),
            p50=median(delays + never),
            slowest=max(delays + never),
            without_list=max(later - earlier for earlier, later in pairwise(self._lists)),
            calls=max(sum(1 for at in self._calls if first <= at < first + 300) for first in self._calls),
            core=self._core,
            memory=self._memory,
            burst_seen=max(recorded - self._burst[meeting] for meeting, _, _, recorded, _ in burst),
            burst_announced=sum(1 for row in burst if row[4] is not None),
        )

    def _sent(self, rows: list[tuple[str, str, float, float, float | None]]) -> dict[tuple[str, str], float]:
        """Return when each change was first announced."""
        sent: dict[tuple[str, str], float] = {}
        for meeting, what, _, _, sent_at in rows:
            if (meeting, what) in self._changed and sent_at is not None:
                sent.setdefault((meeting, what), sent_at)
        return sent
