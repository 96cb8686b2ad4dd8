"""Says in Slack what the store has for it: claims due cards, works at several at a time, and gives them back."""

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from bot.clock import Clock, wait
from bot.errors import StoreUnreachable
from bot.following.card_work import CardWork, Delivered, back_off
from bot.metrics import Metrics
from bot.slack.delivery import Delivery
from bot.store.announcing import Announcing, DueCard
from bot.store.pausing import Pauses
from bot.wording import Wording

__all__ = ["LEASE_SECONDS", "Announcer", "Delivered"]

LEASE_SECONDS = 60.0
"""Longer than one step of the work takes: two calls of ten seconds, and the patience before each."""
AT_ONCE = 16
IDLE_SECONDS = 5.0
"""How often to look for what other replicas have recorded."""
SHORTEST_WAIT = 0.05
"""What is due and cannot be claimed is being claimed by another replica."""
STILL_SECONDS = 60.0
DRAIN_SECONDS = 5.0

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
        self._tasks: set[asyncio.Task[None]] = set()
        self._turned_at = clock.now()

    async def run(self) -> None:
        """Until it is cancelled; what it is saying then it finishes, in five seconds at most."""
        try:
            while True:
                await wait(self._something, await self._turn(), self._clock)
        finally:
            await self._drain()

    def wake(self) -> None:
        """Something is due now."""
        self._something.set()

    def standing_still(self) -> str | None:
        """A sentence where it has not looked for work for a minute."""
        idle = self._clock.now() - self._turned_at
        return None if idle < STILL_SECONDS else "The announcer stands still: nothing is told in Slack."

    async def deliver(self, card: DueCard, pause: bool = True) -> Delivered:
        """Do what there is to do for a card whose lease is held, and give it back.

        With `pause` False a refusal changes nothing: the card stays leased, for whoever asked to decide about its
        follow. Raises StoreUnreachable.
        """
        work = CardWork(card, self._announcing, self._delivery, self._clock, self._metrics, self._wording())
        delivered = await work.run()
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
            log.warning("store_unreachable", detail=error.detail)
        except Exception:
            # What fails now may work in a moment; until then `standing_still` says so.
            log.exception("announcer_broke")
        return IDLE_SECONDS

    async def _begin_what_is_due(self) -> float:
        free = AT_ONCE - len(self._tasks)
        wait_for = IDLE_SECONDS
        # Not for each hand that is free: many cards are claimed in one transaction.
        if free >= AT_ONCE // 2:
            due = await self._announcing.claim(self._owner, free, LEASE_SECONDS)
            for card in due:
                self._begin(card)
            if len(due) < free:
                due_in = await self._announcing.due_in()
                wait_for = min(IDLE_SECONDS, IDLE_SECONDS if due_in is None else max(due_in, SHORTEST_WAIT))
        self._turned_at = self._clock.now()
        return wait_for

    def _begin(self, card: DueCard) -> None:
        task = asyncio.create_task(self._work(card), name=f"card {card.follow.id}/{card.episode}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
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
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
