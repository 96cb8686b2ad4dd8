"""Says in Slack what the store has for it: claims due cards, works at several at a time, and gives them back."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from bot.clock import Clock, wait
from bot.errors import StoreUnreachable
from bot.following.card_work import CardWork, Delivered, Timing, back_off
from bot.metrics import Metrics
from bot.slack.delivery import Delivery
from bot.store.announcing import Announcing, DueCard
from bot.store.pausing import Pauses
from bot.wording import Wording

__all__ = ["Announcer", "Delivered", "Timing"]

AT_ONCE = 16
"""Cards with news that are worked at."""
EDITS_AT_ONCE = 4
"""Cards that only want an edit. They have hands of their own, so that neither kind waits for the other."""
IDLE_SECONDS = 5.0
"""How often to look for what other replicas have recorded."""
SHORTEST_WAIT = 0.05
"""What is due and cannot be claimed is being claimed by another replica."""
PACED_SECONDS = 1.0
"""What is due may have to wait for the token bucket, or for those who have lost a lease."""
STILL_SECONDS = 60.0
DRAIN_SECONDS = 45.0
"""Longer than Slack may take to post, and the database to note it."""
AFTER_OUTAGE_SECONDS = 20.0
"""When the database is back, those who have lost a lease meanwhile have so long to write what Slack has answered."""

log = structlog.get_logger(__name__)


class Announcer:
    """One in each process; any number of them share the work."""

    def __init__(
        self,
        announcing: Announcing,
        pauses: Pauses,
        delivery: Delivery,
        clock: Clock,
        metrics: Metrics,
        owner: str,
        paused: Callable[[], None] = lambda: None,
        wording: Callable[[], Wording] = Wording,
        timing: Timing | None = None,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """`owner` is this process's name in leases; `paused` is called after a follow was set aside."""
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
        self._works: set[CardWork] = set()
        self._outage = False
        self._taking_over_at = 0.0
        """In monotonic time: cards whose lease has run out are left alone until then."""
        self._stopping = False
        self._turned_at = clock.now()

    async def run(self) -> None:
        """Until it is cancelled; what it is saying then it finishes, in `drain_seconds` at most."""
        try:
            while True:
                await wait(self._something, await self._turn(), self._clock)
        finally:
            await self._drain()

    def wake(self) -> None:
        """Something is due now."""
        self._something.set()

    def stop(self) -> None:
        """Begin nothing more; `run` goes on with what is begun until it is cancelled."""
        self._stopping = True

    def standing_still(self) -> str | None:
        """A sentence where it has not looked for work for a minute."""
        idle = self._clock.now() - self._turned_at
        return None if idle < STILL_SECONDS else "The announcer stands still: nothing is told in Slack."

    async def deliver(self, card: DueCard, pause: bool = True) -> Delivered:
        """Do what there is to do for a card whose lease is held, and give it back.

        With `pause` False a refusal changes nothing: the card stays leased, for whoever asked to decide about its
        follow. Raises StoreUnreachable.
        """
        work = CardWork(
            card, self._announcing, self._delivery, self._clock, self._metrics, self._wording(), self._timing
        )
        self._works.add(work)
        try:
            delivered = await work.run()
        finally:
            self._works.discard(work)
        if delivered.refused is not None and pause:
            await self._pause(card, delivered.refused)
        return delivered

    async def _pause(self, card: DueCard, code: str) -> None:
        if await self._pauses.pause(card, code) is not None:
            log.warning("paused", follow=str(card.follow.id), channel=card.follow.channel_id, code=code)
            self._paused()

    async def _turn(self) -> float:
        """Begin what is due; how long to wait for more, unless something happens."""
        try:
            return await self._begin_what_is_due()
        except StoreUnreachable as error:
            self._outage = True
            log.warning("store_unreachable", detail=error.detail)
        except Exception:
            # What fails now may work in a moment; until then `standing_still` says so.
            log.exception("announcer_broke")
        return IDLE_SECONDS

    async def _begin_what_is_due(self) -> float:
        wait_for = IDLE_SECONDS
        free = AT_ONCE - len(self._tasks)
        if self._stopping:
            pass
        elif any(work.unwritten for work in self._works):
            # What Slack has answered goes first: until it is written, its card may seem to be due.
            wait_for = self._timing.rewrite
        # Not for each hand that is free: many cards are claimed in one transaction.
        elif free >= AT_ONCE // 2:
            wait_for = await self._claim(free, EDITS_AT_ONCE - len(self._edits))
        self._turned_at = self._clock.now()
        return wait_for

    async def _claim(self, news: int, edits: int) -> float:
        """Begin what is due, with so many hands free for each kind; how long to wait for more."""
        if self._outage:
            await self._announcing.due_in()  # raises where the database is not back
            self._outage, self._taking_over_at = False, self._clock.monotonic() + AFTER_OUTAGE_SECONDS
        takes_over = self._clock.monotonic() >= self._taking_over_at
        ready = self._delivery.edits_ready()
        due = await self._announcing.claim(
            self._owner, news, self._timing.lease, edits=min(edits, ready), take_over=takes_over
        )
        for card in due:
            self._begin(card)
        claimed_edits = sum(not card.has_news for card in due)
        if len(due) - claimed_edits == news:
            return IDLE_SECONDS
        due_in = await self._announcing.due_in(edits=claimed_edits < edits)
        shortest = SHORTEST_WAIT if takes_over and claimed_edits < ready else PACED_SECONDS
        return IDLE_SECONDS if due_in is None else min(IDLE_SECONDS, max(due_in, shortest))

    def _begin(self, card: DueCard) -> None:
        task = asyncio.create_task(self._work(card), name=f"card {card.follow.id}/{card.episode}")
        tasks = self._tasks if card.has_news else self._edits
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._done)

    def _done(self, _task: asyncio.Task[None]) -> None:
        if len(self._tasks) <= AT_ONCE // 2:
            self._something.set()

    async def _work(self, card: DueCard) -> None:
        try:
            await self.deliver(card)
        except StoreUnreachable as error:
            # The lease ends by itself.
            log.warning("store_unreachable", detail=error.detail)
        except Exception:
            # Nothing that is wrong with one card may stop the others.
            log.exception("card_broke", follow=str(card.follow.id), episode=card.episode)
            with contextlib.suppress(StoreUnreachable):
                await self._announcing.postpone(card, back_off(card.attempts))

    async def _drain(self) -> None:
        if tasks := self._tasks | self._edits:
            _, late = await asyncio.wait(tasks, timeout=self._drain_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
