"""The lease of a claimed card: the deadline of calls to Slack, and the writes that record their results."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from bot.clock import Clock
from bot.errors import DatabaseUnavailable
from bot.slack.publisher import MAX_WAIT_SECONDS
from bot.store.card_queue import CardQueue
from bot.store.due_cards import DueCard
from bot.store.leases import deadline

T = TypeVar("T")

log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Another worker has the card's lease, or may have it, or the card no longer exists."""


class CardLease:
    """The lease of one card. Each write renews it."""

    def __init__(self, card: DueCard, card_queue: CardQueue, clock: Clock, rewrite_seconds: float) -> None:
        """Prepare the lease; a write that the database does not accept is repeated every `rewrite_seconds`."""
        self._seconds = card.lease.seconds
        self._deadline = card.lease.deadline
        self._channel_id = card.follow.channel_id
        self._card_queue = card_queue
        self._clock = clock
        self._rewrite_seconds = rewrite_seconds
        self.is_unwritten = False
        """Whether a result of Slack's still has to be written to the database."""

    def time_left(self) -> float:
        """Return the seconds until the deadline. Raises LeaseLost after it, as when the process was suspended."""
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise LeaseLost
        return left

    async def ensure_time(self, card: DueCard, seconds: float) -> None:
        """Renew the lease if a call to Slack that takes `seconds` could outlive it. Raises LeaseLost."""
        if self.time_left() < MAX_WAIT_SECONDS + seconds:
            started_at = self._clock.monotonic()
            check_written(await self._card_queue.renew(card))
            self._deadline = deadline(started_at, self._seconds)

    async def record(
        self, write: Callable[[], Awaitable[bool]], report: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Write a result of Slack's, which also renews the lease. If it was lost, `report` that and raise LeaseLost."""

        async def write_and_renew() -> bool:
            started_at = self._clock.monotonic()
            written = await write()
            self._deadline = deadline(started_at, self._seconds)
            return written

        if not await self.insist(write_and_renew):
            if report is not None:
                await report()
            raise LeaseLost

    async def insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Repeat a write until the database accepts it: only this worker knows what Slack did."""
        try:
            while True:
                try:
                    return await write()
                except DatabaseUnavailable as error:
                    if not self.is_unwritten:
                        log.warning("result_not_written", channel=self._channel_id, detail=error.detail)
                    self.is_unwritten = True
                    await self._clock.sleep(self._rewrite_seconds)
        finally:
            self.is_unwritten = False


def check_written(written: bool) -> None:  # noqa: FBT001 - the result of a fenced write
    """Raise LeaseLost if a write found the lease lost."""
    if not written:
        raise LeaseLost
