"""The announcer: claims due cards, posts, edits and announces several at a time, and releases them."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from bot.clock import Clock, wait
from bot.domain.delivery import DeliveryResult
from bot.domain.follow import FollowState
from bot.errors import DatabaseUnavailable
from bot.metrics import Metrics
from bot.notifications.card_delivery import CardDelivery, Timing, backoff
from bot.slack.publisher import Publisher
from bot.store.card_queue import CardQueue, DueCard
from bot.store.pauses import Pauses
from bot.wording import Wording

__all__ = ["Announcer", "DeliveryResult", "Timing"]

MAX_CONCURRENCY = 16
"""Concurrency limit for cards with news."""
EDITS_AT_ONCE = 4
"""Concurrency limit for cards that only need an edit; separate, so that neither kind waits for the other."""
IDLE_SECONDS = 5.0
"""How often to check for changes that other replicas have recorded."""
MIN_WAIT_SECONDS = 0.05
"""The wait if a card is due but cannot be claimed, because another replica is claiming it."""
PACED_SECONDS = 1.0
"""The wait if due cards may have to wait for a token bucket, or for workers that lost a lease."""
STALL_SECONDS = 60.0
DRAIN_SECONDS = 45.0
"""Longer than Slack may take to post plus the database to record it."""
AFTER_OUTAGE_SECONDS = 20.0
"""After a database outage, the time that workers with expired leases have to write Slack's answers."""

log = structlog.get_logger(__name__)


class Announcer:
    """The announcer of one process; any number of them share the work."""

    def __init__(
        self,
        announcing: CardQueue,
        pauses: Pauses,
        delivery: Publisher,
        clock: Clock,
        metrics: Metrics,
        owner: str,
        paused: Callable[[], None] = lambda: None,
        wording: Callable[[], Wording] = Wording,
        timing: Timing | None = None,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """Prepare an announcer. `owner` is this process's name in leases; `paused` is called after pausing a follow."""
        self._wording = wording
        self._announcing = announcing
        self._pauses = pauses
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics
        self._owner = owner
        self._paused = paused
        self._something = asyncio.Event()
        self._timing = timing or Timing()
        self._drain_seconds = drain_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._edits: set[asyncio.Task[None]] = set()
        self._works: set[CardDelivery] = set()
        self._outage = False
        self._taking_over_at = 0.0
        """In monotonic time: until then, cards with an expired lease are skipped."""
        self._stopping = False
        self._turned_at = clock.now()

    async def run(self) -> None:
        """Announce until cancelled, then finish the cards in progress within `drain_seconds`."""
        try:
            while True:
                await wait(self._something, await self._run_once(), self._clock)
        finally:
            await self._drain()

    def wake(self) -> None:
        """Check for due cards now."""
        self._something.set()

    def stop(self) -> None:
        """Begin no more cards; `run` continues those in progress until it is cancelled."""
        self._stopping = True

    def stall_problem(self) -> str | None:
        """Return a sentence if the loop has not run for a minute, otherwise None."""
        idle = self._clock.now() - self._turned_at
        return None if idle < STALL_SECONDS else "The announcer is stuck, so nothing is posted in Slack."

    async def deliver(self, card: DueCard, *, pause: bool = True) -> DeliveryResult:
        """Do the pending work for a claimed card, and release it.

        If Slack refuses, the follow is paused. With `pause` False, nothing changes and the card stays claimed, so that
        the caller can decide about its follow. Raises DatabaseUnavailable.
        """
        work = CardDelivery(
            card, self._announcing, self._delivery, self._clock, self._metrics, self._wording(), self._timing
        )
        self._works.add(work)
        try:
            delivered = await work.run()
        finally:
            self._works.discard(work)
        if delivered.refused is not None and pause:
            await self._pause(card, delivered.refused, unconfirmed=delivered.unconfirmed)
        return delivered

    async def _pause(self, card: DueCard, code: str, *, unconfirmed: bool) -> None:
        follow = await self._pauses.pause(card, code, unconfirmed=unconfirmed)
        if follow is not None:
            event = "paused" if follow.state is FollowState.PAUSED else "expiry_refused"
            log.warning(event, follow=str(card.follow.id), channel=card.follow.channel_id, code=code)
            self._paused()

    async def _run_once(self) -> float:
        """Begin the due cards; return the seconds to wait for more, unless woken."""
        try:
            return await self._claim_due()
        except DatabaseUnavailable as error:
            self._outage = True
            log.warning("database_unavailable", detail=error.detail)
        except Exception:
            # The failure may be transient; `standing_still` reports it if it lasts.
            log.exception("announcer_failed")
        return IDLE_SECONDS

    async def _claim_due(self) -> float:
        wait_for = IDLE_SECONDS
        free = MAX_CONCURRENCY - len(self._tasks)
        if self._stopping:
            pass
        elif any(work.unwritten for work in self._works):
            # Unwritten results go first: until they are written, their cards may seem to be due.
            wait_for = self._timing.rewrite
        # Claim in batches: wait until at least half the slots are free.
        elif free >= MAX_CONCURRENCY // 2:
            wait_for = await self._claim(free, EDITS_AT_ONCE - len(self._edits))
        self._turned_at = self._clock.now()
        return wait_for

    async def _claim(self, news: int, edits: int) -> float:
        """Begin due cards, up to `news` and `edits` of each kind; return the seconds to wait for more."""
        if self._outage:
            await self._announcing.due_in()  # raises DatabaseUnavailable during the outage
            self._outage, self._taking_over_at = False, self._clock.monotonic() + AFTER_OUTAGE_SECONDS
        takes_over = self._clock.monotonic() >= self._taking_over_at
        ready = self._delivery.edits_ready()
        due = await self._announcing.claim(
            self._owner, news, self._timing.lease, edits=min(edits, ready), take_over=takes_over
        )
        for card in due:
            self._start(card)
        claimed_edits = sum(not card.has_news for card in due)
        if len(due) - claimed_edits == news:
            return IDLE_SECONDS
        due_in = await self._announcing.due_in(edits=claimed_edits < edits)
        shortest = MIN_WAIT_SECONDS if takes_over and claimed_edits < ready else PACED_SECONDS
        return IDLE_SECONDS if due_in is None else min(IDLE_SECONDS, max(due_in, shortest))

    def _start(self, card: DueCard) -> None:
        task = asyncio.create_task(self._work(card), name=f"card {card.follow.id}/{card.episode}")
        tasks = self._tasks if card.has_news else self._edits
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._on_done)

    def _on_done(self, _task: asyncio.Task[None]) -> None:
        if len(self._tasks) <= MAX_CONCURRENCY // 2:
            self._something.set()

    async def _work(self, card: DueCard) -> None:
        try:
            await self.deliver(card)
        except DatabaseUnavailable as error:
            # The lease ends on its own, and the card is due again.
            log.warning("database_unavailable", detail=error.detail)
        except Exception:
            # A failure with one card must not stop the others.
            log.exception("card_delivery_failed", follow=str(card.follow.id), episode=card.episode)
            with contextlib.suppress(DatabaseUnavailable):
                await self._announcing.defer(card, backoff(card.attempts))

    async def _drain(self) -> None:
        if tasks := self._tasks | self._edits:
            _, late = await asyncio.wait(tasks, timeout=self._drain_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
