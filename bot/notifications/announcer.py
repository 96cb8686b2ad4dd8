"""The announcer: claims due cards, posts and edits them, announces changes, and releases the cards."""

import asyncio
import contextlib

import structlog

from bot.domain.follow import DeliveryResult, FollowState
from bot.errors import DatabaseUnavailable
from bot.notifications.card_delivery import CardDelivery
from bot.notifications.timing import Timing, backoff
from bot.slack.publisher import Publisher
from bot.store.card_queue import CardQueue
from bot.store.due_cards import DueCard
from bot.store.leases import LeaseLost
from bot.store.pauses import Pauses
from bot.worker import WorkerContext, supervise

MAX_CONCURRENCY = 16
"""Concurrency limit for cards with something to post or announce."""
MAX_CONCURRENT_EDITS = 4
"""Concurrency limit for cards that only need an edit. It is separate, so that neither kind waits for the other."""
IDLE_SECONDS = 5.0
"""How often to check for changes that other replicas have recorded."""
MIN_WAIT_SECONDS = 0.05
"""The wait if a card is due but cannot be claimed, because another replica is claiming it."""
THROTTLED_SECONDS = 1.0
"""The wait if due cards may have to wait for a token bucket, or for workers that lost a lease."""
STALL_SECONDS = 60.0
AFTER_OUTAGE_SECONDS = 20.0
"""After a database outage, the time that workers with expired leases have to write Slack's answers."""

log = structlog.get_logger(__name__)


class Announcer:
    """The announcer of one process. Any number of announcers share the work."""

    def __init__(
        self,
        card_queue: CardQueue,
        pauses: Pauses,
        publisher: Publisher,
        context: WorkerContext,
        timing: Timing | None = None,
    ) -> None:
        self._card_queue = card_queue
        self._pauses = pauses
        self._publisher = publisher
        self._context = context
        self._clock = context.clock
        self._wake_up = context.wake_ups.announcer
        self._timing = timing or Timing()
        self._tasks: set[asyncio.Task[None]] = set()
        self._edit_tasks: set[asyncio.Task[None]] = set()
        self._deliveries: set[CardDelivery] = set()
        self._had_outage = False
        self._take_over_at = 0.0
        """Until then, in monotonic time, cards with an expired lease are skipped."""
        self._stopping = False
        self._last_run_at = self._clock.now()

    async def run(self) -> None:
        """Announce until cancelled, then finish the cards in progress within `Timing.drain` seconds."""
        try:
            await supervise("announcer", self._run_once, self._clock, self._wake_up)
        finally:
            await self._drain()

    def stop(self) -> None:
        """Start no more cards; `run` continues those in progress until it is cancelled."""
        self._stopping = True

    def stall_problem(self) -> str | None:
        """Return a sentence if the loop has not run for a minute, otherwise None."""
        idle = self._clock.now() - self._last_run_at
        return None if idle < STALL_SECONDS else "The announcer is stuck, so nothing is posted in Slack."

    async def deliver(self, card: DueCard, *, pause: bool = True) -> DeliveryResult:
        """Do the pending work of a claimed card, and release it.

        If Slack refuses, the follow is paused. With `pause` False, nothing changes and the card stays claimed, so that
        the caller can decide about the follow. Raises DatabaseUnavailable.
        """
        delivery = CardDelivery(card, self._card_queue, self._publisher, self._context, self._timing)
        self._deliveries.add(delivery)
        try:
            result = await delivery.run()
        finally:
            self._deliveries.discard(delivery)
        if result.refused is not None and pause:
            await self._pause(card, result.refused, unconfirmed=result.unconfirmed)
        return result

    async def _pause(self, card: DueCard, code: str, *, unconfirmed: bool) -> None:
        follow = await self._pauses.pause(card, code, unconfirmed=unconfirmed)
        if follow is not None:
            event = "follow_paused" if follow.state is FollowState.PAUSED else "expiry_refused"
            log.warning(event, follow=str(card.follow.id), channel=card.follow.channel_id, code=code)
            # The creator gets a notice now, not at the next maintenance run.
            self._context.wake_ups.maintenance.set()

    async def _run_once(self) -> float:
        """Start the due cards, and return how many seconds to wait for more."""
        try:
            wait_for = await self._claim_due()
        except DatabaseUnavailable:
            self._had_outage = True
            raise
        self._last_run_at = self._clock.now()
        return wait_for

    async def _claim_due(self) -> float:
        if self._stopping:
            return IDLE_SECONDS
        if any(delivery.is_unwritten for delivery in self._deliveries):
            # Unwritten results go first: until they are written, their cards may seem to be due.
            return self._timing.rewrite
        free = MAX_CONCURRENCY - len(self._tasks)
        # Claim in batches: wait until at least half the slots are free.
        if free < MAX_CONCURRENCY // 2:
            return IDLE_SECONDS
        return await self._claim(free, MAX_CONCURRENT_EDITS - len(self._edit_tasks))

    async def _claim(self, news: int, edits: int) -> float:
        """Start up to `news` cards with news and up to `edits` others; return how many seconds to wait for more."""
        if self._had_outage:
            await self._card_queue.due_in()  # raises DatabaseUnavailable if the outage is not over
            self._had_outage, self._take_over_at = False, self._clock.monotonic() + AFTER_OUTAGE_SECONDS
        takes_over = self._clock.monotonic() >= self._take_over_at
        ready = self._publisher.edits_ready()
        due = await self._card_queue.claim(
            self._context.worker_id, news, self._timing.lease, edits=min(edits, ready), take_over=takes_over
        )
        for card in due:
            self._start(card)
        claimed_edits = sum(not card.has_news for card in due)
        if len(due) - claimed_edits == news:
            return IDLE_SECONDS
        due_in = await self._card_queue.due_in(edits=claimed_edits < edits)
        shortest = MIN_WAIT_SECONDS if takes_over and claimed_edits < ready else THROTTLED_SECONDS
        return IDLE_SECONDS if due_in is None else min(IDLE_SECONDS, max(due_in, shortest))

    def _start(self, card: DueCard) -> None:
        task = asyncio.create_task(self._work(card), name=f"card {card.follow.id}/{card.episode}")
        tasks = self._tasks if card.has_news else self._edit_tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._on_done)

    def _on_done(self, _task: asyncio.Task[None]) -> None:
        if len(self._tasks) <= MAX_CONCURRENCY // 2:
            self._wake_up.set()

    async def _work(self, card: DueCard) -> None:
        try:
            await self.deliver(card)
        except DatabaseUnavailable as error:
            # The lease ends on its own, and the card is due again.
            log.warning("database_unavailable", detail=error.detail)
        except Exception:
            # A failure with one card must not stop the others.
            log.exception("card_delivery_failed", follow=str(card.follow.id), episode=card.episode)
            with contextlib.suppress(DatabaseUnavailable, LeaseLost):
                await self._card_queue.defer(card, backoff(card.attempts))

    async def _drain(self) -> None:
        if tasks := self._tasks | self._edit_tasks:
            _, late = await asyncio.wait(tasks, timeout=self._timing.drain)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
