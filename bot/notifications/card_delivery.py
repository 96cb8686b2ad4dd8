"""The work on one due card: post or edit it, then announce its changes in its thread, in order.

These guarantees do not depend on Slack:

- No request begins after the lease's deadline or outlives it.
- Slack's answers are written, with retries, or reported if the lease was lost.
- An edit without an answer is followed by one more.
"""

from collections.abc import Awaitable
from dataclasses import replace
from typing import TypeVar

import structlog

from bot.clock import utc
from bot.domain.follow import DONE, LATER, DeliveryResult
from bot.notifications import card_messages
from bot.notifications.card_lease import CardLease
from bot.notifications.lost_lease import LostLease
from bot.notifications.timing import Timing, backoff
from bot.slack.errors import (
    RARE_RETRY_SECONDS,
    DeliveryError,
    MessageDeleted,
    MessageNotFound,
    PermanentError,
    TeamAccessDenied,
    Throttled,
    TransientError,
    Unconfirmed,
)
from bot.slack.publisher import MAX_WAIT_SECONDS, DeadlinePassed, Publisher
from bot.store.card_queue import CardQueue
from bot.store.due_cards import Announcement, DueCard
from bot.store.leases import LeaseLost
from bot.worker import WorkerContext

T = TypeVar("T")

log = structlog.get_logger(__name__)


class CardDelivery:
    """The work on one claimed card."""

    def __init__(
        self,
        card: DueCard,
        card_queue: CardQueue,
        publisher: Publisher,
        context: WorkerContext,
        timing: Timing,
    ) -> None:
        self._card = card
        """The card's state after the steps done so far."""
        self._card_queue = card_queue
        self._publisher = publisher
        self._context = context
        self._timing = timing
        self._lease = CardLease(card, card_queue, context.clock, timing.rewrite)
        self._lost_lease = LostLease(self._lease, card_queue, publisher, context.clock, timing)
        self._edited = False
        """Whether an edit succeeded that is not written yet; repeating an edit does no harm."""
        self._unconfirmed = False
        """Whether an edit got no answer, and this is not written yet."""
        self._edited_again = False
        """Whether the card was edited once more after an earlier edit without an answer."""
        self._edit_in = 0.0
        """The seconds until the next edit may be tried."""
        self._edit_failed = False
        self._is_released = False

    @property
    def is_unwritten(self) -> bool:
        """Whether a result of Slack's still has to be written to the database."""
        return self._lease.is_unwritten

    async def run(self) -> DeliveryResult:
        """Do the work and release the card, unless Slack refuses. Raises DatabaseUnavailable."""
        try:
            delivered = await self._run_with_retries()
        except (LeaseLost, DeadlinePassed):
            if self._edited or self._unconfirmed:
                await self._lost_lease.report_edit(self._card, unconfirmed=self._unconfirmed)
            return LATER
        if delivered.done and self._card.is_followed_again:
            await self._card_queue.remove_ended(self._card.follow)
        return delivered

    async def _run_with_retries(self) -> DeliveryResult:
        if wait := self._card.failures.retry_in(self._card.claimed_at):
            return await self._defer(wait, failed=False)
        while True:
            try:
                try:
                    return await self._deliver()
                except MessageNotFound as error:
                    is_past = self._card.is_over or not self._card.is_latest
                    if is_past and not self._card.announcements:
                        return await self._give_up(error)
                    await self._repost(error)
            except PermanentError as refusal:
                if self._card.is_unfollowed or self._card.is_followed_again:
                    return await self._give_up(refusal)
                return DeliveryResult(refused=refusal.code, unconfirmed=self._unconfirmed)
            except TransientError as error:
                return await self._defer_after(error)

    async def _deliver(self) -> DeliveryResult:
        if self._card.message_ts is None:
            await self._post()
        if self._needs_edit and (self._card.announcements or self._timing.debounce(self._card) == 0):
            await self._edit()
        while self._card.announcements:
            await self._announce()
        if self._needs_edit:
            return await self._defer(max(self._edit_in, self._timing.debounce(self._card)), failed=self._edit_failed)
        if self._edited:
            card, unconfirmed = self._card, self._unconfirmed
            await self._lease.record(
                lambda: self._card_queue.mark_rendered(card, card.desired_version, unconfirmed=unconfirmed, last=True)
            )
        elif not self._is_released:
            await self._card_queue.release(self._card)
        return DONE

    @property
    def _needs_edit(self) -> bool:
        card = self._card
        return card.rendered_version < card.desired_version or (card.may_be_overwritten and not self._edited_again)

    async def _post(self) -> None:
        card = self._card
        await self._lease.ensure_time(card, self._timing.post)
        message, message_id = card_messages.card_message(card), card_messages.card_id(card)
        post = self._publisher.post(card.follow.channel_id, message, message_id, deadline=self._lease.deadline)
        ts = await self._track_failures("post", post)
        card = self._card
        last = not card.announcements and card.rendered_version == card.desired_version
        try:
            await self._lease.record(lambda: self._card_queue.mark_posted(card, ts, card.rendered_version, last=last))
        except LeaseLost:
            await self._lost_lease.report_post(card, ts)
            raise
        self._is_released = last
        self._card = replace(card, message_ts=ts, attempts=0, unconfirmed_until=None)

    async def _edit(self) -> None:
        """Edit the card, before any announcement, so that it never lags behind its thread and a deletion is noticed."""
        card = self._card
        # Edits have Slack's lowest rate limit, and announcements must not wait for it.
        max_wait = 0.0 if card.announcements else MAX_WAIT_SECONDS
        await self._lease.ensure_time(card, self._timing.edit)
        deadline = self._lease.deadline
        if card.announcements:
            deadline = min(deadline, self._context.clock.monotonic() + self._timing.edit_before_announcement)
        ts, message = card.message_ts or "", card_messages.card_message(card)
        edit = self._publisher.edit(card.follow.channel_id, ts, message, max_wait, deadline=deadline)
        try:
            await self._track_failures("edit", edit)
        except TransientError as error:
            # A deferred edit must not delay announcements.
            self._unconfirmed = self._unconfirmed or isinstance(error, Unconfirmed)
            self._edit_failed = error.seconds is None
            wait = backoff(card.attempts) if error.seconds is None else error.seconds
            self._edit_in = max(wait, self._rare_wait("edit", error))
            return
        self._edited = self._edited_again = True
        self._card = replace(self._card, rendered_version=card.desired_version)

    async def _announce(self) -> None:
        card, (first, *rest) = self._card, self._card.announcements
        ts = await self._reply(first)
        card = self._card
        last = not rest and not self._needs_edit
        version = card.desired_version if self._edited else None
        try:
            is_duplicate = await self._lease.record(
                lambda: self._card_queue.mark_sent(
                    card, first.seq, ts, version=version, unconfirmed=self._unconfirmed, last=last
                )
            )
        except LeaseLost:
            await self._lost_lease.report_reply(card, first.seq, ts)
            raise
        if is_duplicate and ts:
            await self._lost_lease.delete(card, ts)
        self._is_released = last
        self._edited = self._unconfirmed = False
        waited = utc(self._context.clock) - first.recorded_at
        self._context.metrics.announcement_seconds.observe(max(0.0, waited.total_seconds()))
        self._card = replace(card, announcements=tuple(rest), attempts=0)

    async def _reply(self, announcement: Announcement) -> str:
        card = self._card
        await self._lease.ensure_time(card, self._timing.post)
        post = self._publisher.post(
            card.follow.channel_id,
            card_messages.announcement_message(card, announcement, self._context.wording()),
            card_messages.announcement_id(card, announcement),
            card.message_ts,
            broadcast=card_messages.is_broadcast(card, announcement),
            deadline=self._lease.deadline,
        )
        try:
            return await self._track_failures("post", post)
        except MessageDeleted:
            return ""  # it was announced, and then deleted in Slack

    async def _track_failures(self, operation: str, call: Awaitable[T]) -> T:
        """Record in the card since when this kind of call has been failing.

        Raises PermanentError if the failure has lasted so long that it counts as permanent.
        """
        card, before = self._card, self._card.failures
        failures = before.without(operation)
        try:
            return await call
        except Throttled:
            failures = before
            raise
        except TransientError as error:
            failures = before.with_failure(operation, error, card.claimed_at)
            if failures.is_permanent(operation, error, card.claimed_at):
                raise PermanentError(error.code) from None
            raise
        finally:
            self._card = replace(card, failing=failures.to_dict())

    def _rare_wait(self, operation: str, error: TransientError) -> float:
        """Return RARE_RETRY_SECONDS if this kind of call has failed with the same code for a day, otherwise 0."""
        is_rare = self._card.failures.is_rare(operation, error, self._card.claimed_at)
        return RARE_RETRY_SECONDS if is_rare else 0.0

    async def _repost(self, error: MessageNotFound) -> None:
        """Record that the card was deleted in Slack, and prepare to post it again.

        That is at once the first time, then later each time. Raises TransientError for a wait before the next post.
        """
        card = self._card
        log.info("card_deleted", follow=str(card.follow.id), episode=card.episode, code=error.code)
        await self._lease.record(lambda: self._card_queue.mark_deleted(card))
        self._edited = self._unconfirmed = False
        self._card = card.after_deletion()
        if card.times_deleted > 0:
            raise TransientError("card_deleted", 2.0 ** min(card.times_deleted + 2, 10))

    async def _give_up(self, error: DeliveryError) -> DeliveryResult:
        """Leave the card as it is: it was deleted in Slack, or Slack refuses the edit of a past follow's card."""
        card = self._card
        log.info("card_update_skipped", channel=card.follow.channel_id, episode=card.episode, code=error.code)
        await self._card_queue.give_up(card)
        return DONE

    async def _defer_after(self, error: TransientError) -> DeliveryResult:
        attempts = self._card.attempts
        if isinstance(error, Unconfirmed):
            seconds = max(backoff(attempts, self._timing.unconfirmed), self._rare_wait("post", error))
            if self._card.message_ts is None:
                return await self._defer(seconds, unconfirmed=True)
            return await self._defer(seconds, unconfirmed_seq=self._card.announcements[0].seq)
        if error.seconds is None:
            return await self._defer(backoff(attempts))
        # Waiting for a token bucket, for Slack's rate limit or for the bot token is not a failure.
        seconds = max(error.seconds, self._card.failures.retry_in(self._card.claimed_at))
        deferred = await self._defer(seconds, failed=False)
        return replace(deferred, denied=error.code) if isinstance(error, TeamAccessDenied) else deferred

    async def _defer(
        self,
        seconds: float,
        *,
        failed: bool = True,
        unconfirmed: bool = False,
        unconfirmed_seq: int | None = None,
    ) -> DeliveryResult:
        card, unconfirmed = self._card, unconfirmed or self._unconfirmed
        if self._edited:
            await self._lease.record(lambda: self._card_queue.mark_rendered(card, card.desired_version))
            self._edited = False
        await self._card_queue.defer(
            card, seconds, failed=failed, unconfirmed=unconfirmed, unconfirmed_seq=unconfirmed_seq
        )
        return LATER
