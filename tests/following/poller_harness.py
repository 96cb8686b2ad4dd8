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
from tests.store.helpers import ANN, CHANNEL, MEETING, TEAM

EPOCH = 1_800_000_000.0
GRACE = timedelta(seconds=60)
PATIENCE = 30.0
PLAYBACK = "https://customer-s4ndb0x.cloudflarestream.com/0123456789abcdef0123456789abcdef/manifest/video.m3u8"


@dataclass
class OtherClock:
    """The clock of a machine that is ahead of the others, or behind them where `ahead` is negative."""

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
    """What it says of each meeting: a status and the start of its run, nothing, or an error."""

    clock: Clock
    says: dict[UUID, tuple[str, datetime | None] | RealtimeKitError | Exception] = field(default_factory=dict)
    details: dict[UUID, dict[str, str | None]] = field(default_factory=dict)
    """Fields of a meeting's livestream that are not the usual ones."""
    titles: dict[UUID, str] = field(default_factory=dict)
    reasons: dict[UUID, str] = field(default_factory=dict)
    """Why a livestream has failed."""
    asked: Counter[UUID] = field(default_factory=Counter)
    asked_at: list[float] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear: every request waits."""
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
        """Return a meeting's livestream, as both a lookup and the list have it."""
        usual = {"id": "l1", "status": status, "playback_url": PLAYBACK}
        return Livestream.model_validate({**usual, **self.details.get(of, {}), **fields})


class CloudflareCooldown(RateLimitState):
    """A rate limit that blocks for as long as a test says."""

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
    """Of each process, by worker ID."""
    requests_per_check: int = 0
    """As many are counted for each check."""
    loops: int = 0
    """How many tasks sleep by the clock when there is nothing to do."""

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
        """Do what *Refresh* in the menus of these meetings' cards does."""
        for meeting_id in meeting_ids or [MEETING]:
            assert await self.store.meeting_queue.request_refresh(meeting_id)
        self.poller._wake_up.set()

    async def check_once(self, poller: MeetingPoller) -> None:
        """Have this poller check the meeting as if that was requested, and nothing after that."""
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

    def say(self, status: str | None, began: float | None = None, meeting_id: UUID = MEETING) -> None:
        """From now on: this status, None being no livestream at all, in a run that began at so many seconds."""
        if status is None:
            self.cloudflare.says.pop(meeting_id, None)
        else:
            self.cloudflare.says[meeting_id] = (status, None if began is None else at(began))

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - not everything that is waited for has an event
                await asyncio.sleep(0.001)

    async def asleep(self) -> None:
        """Wait until every worker sleeps by the clock, even if something is due that none may check, or is checking."""
        calm = 0
        async with asyncio.timeout(PATIENCE):
            # Twice: who has just been woken is counted among the sleepers for a moment still.
            while calm < 2:
                await asyncio.sleep(0.001)
                calm = 0 if self._awake() else calm + 1

    async def looked(self) -> None:
        """Wait until nothing is due, no check runs and every worker sleeps."""
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

    async def idles(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass in which no worker may check, whatever is due."""
        await self.asleep()
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await self.asleep()

    async def passes(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass, and check all that becomes due meanwhile."""
        await self.looked()
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            await self.looked()

    async def hint(self, meeting_id: UUID = MEETING) -> None:
        """Do what a webhook does."""
        assert await self.store.meeting_queue.request_check(meeting_id)
        self.poller.on_webhook(meeting_id)
        self.poller._wake_up.set()
        await self.looked()

    async def told(self) -> list[tuple[int, str]]:
        """Return every pending announcement, with the number of its episode."""
        return [(card.episode, each.kind) for card in await self._due() for each in card.announcements]

    async def changes(self) -> list[Change]:
        return [each.change for card in await self._due() for each in card.announcements]

    async def cards(self) -> list[Episode]:
        """Return what each card should show."""
        return [card.desired for card in await self._due()]

    async def _due(self) -> list[DueCard]:
        """Return what the announcer has to work at: also the next run's card, which waits for the one before."""
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
    store = await open_store(f"sqlite:///{path / 'livestream.db'}", clock=clock.now, check_spacing=0)
    harness = PollerHarness(clock, store, Cloudflare(clock))
    tasks = [asyncio.create_task(each) for each in ([harness.poller.run(), harness.rate_budget.run()] if run else [])]
    harness.loops = len(tasks)
    try:
        # A first turn that is still under way might see what a test does in the middle of it.
        await harness.looked()
        yield harness
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
