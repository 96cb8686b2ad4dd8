"""The lease of a claimed card: the deadline of calls to Slack, and the writes that record their results."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from bot.clock import Clock
from bot.errors import DatabaseUnavailable
from bot.slack.publisher import MAX_WAIT_SECONDS
from bot.store.card_queue import CardQueue
from bot.store.due_cards import DueCard
from bot.store.leases import LeaseLost, deadline

T = TypeVar("T")

log = structlog.get_logger(__name__)


class CardLease:
    """The lease of one card. Each write renews it."""

    def __init__(self, card: DueCard, card_queue: CardQueue, clock: Clock, rewrite_seconds: float) -> None:
        """Prepare the lease; a write that the database does not accept is repeated every `rewrite_seconds`."""
        self.deadline = card.lease.deadline
        """In monotonic time. No call to Slack begins after it or outlives it."""
        self._seconds = card.lease.seconds
        self._channel_id = card.follow.channel_id
        self._card_queue = card_queue
        self._clock = clock
        self._rewrite_seconds = rewrite_seconds
        self.is_unwritten = False
        """Whether a result of Slack's still has to be written to the database."""

    async def ensure_time(self, card: DueCard, seconds: float) -> None:
        """Renew the lease if a call to Slack that takes `seconds` could outlive it.

        Raises LeaseLost, also after the deadline, as when the process was suspended.
        """
        started_at = self._clock.monotonic()
        time_left = self.deadline - started_at
        if time_left <= 0:
            raise LeaseLost
        if time_left < MAX_WAIT_SECONDS + seconds:
            await self._card_queue.renew(card)
            self.deadline = deadline(started_at, self._seconds)

    async def record(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write a result of Slack's, which also renews the lease, and return what the store returns. Raises LeaseLost.

        The write is repeated until the database accepts it.
        """

        async def write_and_renew() -> T:
            started_at = self._clock.monotonic()
            written = await write()
            self.deadline = deadline(started_at, self._seconds)
            return written

        return await self.insist(write_and_renew)

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
