"""A poller over a real store and a scripted Cloudflare, with a clock that only a test advances."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from bot.clock import Clock as TimeSource
from bot.clock import utc
from bot.domain.episode import Change, Episode
from bot.domain.follow import Level
from bot.errors import RealtimeKitError
from bot.following.poller import MeetingPoller
from bot.following.rate_budget import RateBudget
from bot.following.schedule import ListFreshness
from bot.metrics import Metrics
from bot.realtimekit.lookup import Lookup
from bot.realtimekit.models import Livestream, Session
from bot.realtimekit.rate_limit import RateLimitState
from bot.store.due_cards import DueCard, load_cards
from bot.store.leases import new_lease
from bot.store.schema import cards
from bot.store.store import Store, open_store
from bot.worker import WakeUps, WorkerContext
from sandbox.clock import Clock
from tests.store.helpers import ANN, CHANNEL, MEETING, TEAM, sqlite_with_tables

EPOCH = 1_800_000_000.0
GRACE = timedelta(seconds=60)
PATIENCE = 30.0
PLAYBACK = "https://customer-s4ndb0x.cloudflarestream.com/0123456789abcdef0123456789abcdef/manifest/video.m3u8"


@dataclass
class OtherClock:
    """The clock of a machine that is ahead of the others, or behind them if `ahead` is negative."""

    clock: Clock
    ahead: float

    def now(self) -> float:
        return self.clock.now() + self.ahead

    def monotonic(self) -> float:
        return self.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(EPOCH + seconds, UTC)


@dataclass
class Cloudflare:
    """Scripted answers about each meeting: a status and the start of its session, nothing, or an error."""

    clock: Clock
    says: dict[UUID, tuple[str, datetime | None] | RealtimeKitError | Exception] = field(default_factory=dict)
    details: dict[UUID, dict[str, str | None]] = field(default_factory=dict)
    """Fields of a meeting's livestream that replace the usual ones."""
    titles: dict[UUID, str] = field(default_factory=dict)
    reasons: dict[UUID, str] = field(default_factory=dict)
    """The reasons of errors."""
    asked: Counter[UUID] = field(default_factory=Counter)
    asked_at: list[float] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is clear, lookups wait."""
    asking: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.open.set()

    async def look(self, meeting_id: UUID) -> Lookup:
        self.asked[meeting_id] += 1
        self.asked_at.append(self.clock.now() - EPOCH)
        self.asking += 1
        self.most_at_once = max(self.most_at_once, self.asking)
        await self.open.wait()
        self.asking -= 1
        answer = self.says.get(meeting_id)
        if isinstance(answer, Exception):
            raise answer
        title = self.titles.get(meeting_id, "All hands")
        if answer is None:
            return Lookup(meeting_id, title, None, None, utc(self.clock))
        status, began = answer
        session = {"started_time": began and began.isoformat(), "err_message": self.reasons.get(meeting_id)}
        livestream = self.livestream(meeting_id, status)
        return Lookup(meeting_id, title, livestream, Session.model_validate(session), utc(self.clock))

    def livestream(self, of: UUID, status: str, **fields: str) -> Livestream:
        """Return a meeting's livestream as both a lookup and the list contain it."""
        usual = {"id": "l1", "status": status, "playback_url": PLAYBACK}
        return Livestream.model_validate({**usual, **self.details.get(of, {}), **fields})


class CloudflareCooldown(RateLimitState):
    """A rate limit that blocks for a given time."""

    seconds = 0.0

    def retry_after(self) -> float:
        return self.seconds


class CountingEvent(asyncio.Event):
    """An event that counts how often it was set."""

    count = 0

    def set(self) -> None:
        self.count += 1
        super().set()


@dataclass
class PollerHarness:
    """One poller, its store and its Cloudflare."""

    clock: Clock
    store: Store
    cloudflare: Cloudflare
    metrics: Metrics = field(default_factory=Metrics)
    list_freshness: ListFreshness = field(default_factory=ListFreshness)
    rate_limit: CloudflareCooldown = field(default_factory=CloudflareCooldown)
    wake_ups: dict[str, WakeUps] = field(default_factory=dict)
    """By worker ID, one for each process."""
    requests_per_check: int = 0
    """The number that each check counts."""
    loops: int = 0
    """The number of tasks that sleep by the clock when idle."""

    def __post_init__(self) -> None:
        self.rate_budget = RateBudget(self.store.request_windows, self.rate_limit, self.clock)
        self.announcer = CountingEvent()
        self.poller = self.new_poller("poller")

    def new_poller(self, worker_id: str, clock: TimeSource | None = None) -> MeetingPoller:
        return MeetingPoller(
            self.store.meeting_queue,
            self.look,
            self.look_for_person,
            self.rate_budget,
            self.list_freshness,
            self.context(worker_id, clock),
        )

    def context(self, worker_id: str, clock: TimeSource | None = None) -> WorkerContext:
        """Return a worker's context; the poller of the same name shares its wake-ups."""
        wake_ups = self.wake_ups.setdefault(worker_id, WakeUps(announcer=self.announcer))
        return WorkerContext(worker_id, clock or self.clock, self.metrics, GRACE, jitter=lambda: 0.0, wake_ups=wake_ups)

    async def look(self, meeting_id: UUID) -> Lookup:
        for _ in range(self.requests_per_check):
            self.rate_budget.record_request()
        return await self.cloudflare.look(meeting_id)

    async def look_for_person(self, meeting_id: UUID) -> Lookup:
        for _ in range(self.requests_per_check):
            self.rate_budget.record_for_people()
        return await self.cloudflare.look(meeting_id)

    async def refresh(self, *meeting_ids: UUID) -> None:
        """Choose *Refresh* in the menus of these meetings' cards."""
        for meeting_id in meeting_ids or [MEETING]:
            assert await self.store.meeting_queue.request_refresh(meeting_id)
        self.poller._wake_up.set()

    async def check_once(self, poller: MeetingPoller) -> None:
        """Have this poller make one check of the meeting."""
        assert await self.store.meeting_queue.request_check(MEETING)
        running = asyncio.create_task(poller.run())
        asked = self.cloudflare.asked[MEETING]
        await self.until(lambda: self.cloudflare.asked[MEETING] > asked and not poller._checks_running)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def follow(self, meeting_id: UUID = MEETING, channel: str = CHANNEL, episode: Episode | None = None) -> None:
        episode = episode or replace(Episode.waiting(utc(self.clock)), name="All hands")
        await self.store.follows.follow(TEAM, channel, meeting_id, user_id=ANN, level=Level.NORMAL, episode=episode)
        self.poller._wake_up.set()

    def set_status(self, status: str | None, began: float | None = None, meeting_id: UUID = MEETING) -> None:
        """Set the status from now on, and when its session began; None for no livestream."""
        if status is None:
            self.cloudflare.says.pop(meeting_id, None)
        else:
            self.cloudflare.says[meeting_id] = (status, None if began is None else at(began))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - not everything that is waited for has an event
                await asyncio.sleep(0.001)

    async def until_asleep(self) -> None:
        """Wait until every task sleeps by the clock, even if a meeting is due or being checked."""
        calm = 0
        async with asyncio.timeout(PATIENCE):
            # Twice, because a task that was just woken still counts as asleep for a moment.
            while calm < 2:
                await asyncio.sleep(0.001)
                calm = 0 if self._awake() else calm + 1

    async def settle(self) -> None:
        """Wait until nothing is due, no check is running and every task sleeps."""
        calm = 0
        async with asyncio.timeout(PATIENCE):
            while calm < 2:
                await asyncio.sleep(0.001)
                busy = self.poller._checks_running or self.poller._refreshes_running or self._awake()
                queue = self.store.meeting_queue
                due = await queue.due_in() == 0 or await queue.refresh_due_in() == 0
                calm = 0 if busy or due else calm + 1

    def _awake(self) -> bool:
        return self.poller._wake_up.is_set() or len(self.clock._sleepers) < self.loops

    async def idle_for(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass without waiting for checks that are due."""
        await self.until_asleep()
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await self.until_asleep()

    async def run_for(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass, and wait for the checks that become due."""
        await self.settle()
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await self.settle()

    async def deliver_webhook(self, meeting_id: UUID = MEETING) -> None:
        assert await self.store.meeting_queue.request_check(meeting_id)
        self.poller.on_webhook(meeting_id)
        self.poller._wake_up.set()
        await self.settle()

    async def announced(self) -> list[tuple[int, str]]:
        """Return the pending announcements, each with the number of its episode."""
        return [(card.episode, each.kind) for card in await self._due() for each in card.announcements]

    async def changes(self) -> list[Change]:
        return [each.change for card in await self._due() for each in card.announcements]

    async def cards(self) -> list[Episode]:
        """Return the desired state of each card."""
        return [card.desired for card in await self._due()]

    async def _due(self) -> list[DueCard]:
        """Return the cards that the announcer has to work on, and those of next episodes, which wait for the others."""
        async with self.store._db.read_only() as connection:
            due = sa.select(cards.c.follow_id, cards.c.episode).where(cards.c.next_attempt_at.is_not(None))
            rows = await connection.execute(due.order_by(cards.c.next_attempt_at, cards.c.episode))
            keys = [(row.follow_id, row.episode) for row in rows]
            return await load_cards(connection, self.store._db.now(), keys, new_lease("test", 1, 0))

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"livestream_bot_{name}", labels) or 0.0


@contextlib.asynccontextmanager
async def running_poller(path: Path, *, run: bool = True) -> AsyncIterator[PollerHarness]:
    """Open the store and run the poller."""
    clock = Clock(EPOCH, speed=0)
    store = await open_store(await sqlite_with_tables(path / "livestream.db"), clock=clock.now, check_spacing=0)
    harness = PollerHarness(clock, store, Cloudflare(clock))
    tasks = [asyncio.create_task(each) for each in ([harness.poller.run(), harness.rate_budget.run()] if run else [])]
    harness.loops = len(tasks)
    try:
        # Otherwise the first pass might see only a part of what a test does.
        await harness.settle()
        yield harness
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
