"""The work on one due card: post or edit it, then announce its changes in its thread, in order.

These guarantees do not depend on Slack:

- No request begins after the lease's deadline or outlives it.
- Slack's answers are written, with retries, or reported if the lease was lost.
- An edit without an answer is followed by one more.

Each message has an ID derived from what it announces: if Slack honors the ID, a message that is sent twice appears
once. The ID includes a stored time, because after a backup is restored, episode and sequence numbers are used again.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import uuid5

import structlog

from bot.clock import Clock, utc
from bot.domain.episode import Episode
from bot.domain.failed_calls import Failures
from bot.domain.follow import DONE, LATER, DeliveryResult, FollowState
from bot.metrics import Metrics
from bot.notifications.card_lease import CardLease, LeaseLost, check_written
from bot.notifications.card_messages import announcement_message, card_message, is_broadcast
from bot.slack.errors import (
    RARE_RETRY_SECONDS,
    DeliveryError,
    MessageDeleted,
    MessageNotFound,
    PermanentError,
    Throttled,
    TransientError,
    Unconfirmed,
)
from bot.slack.messages.follow_card import unfollowed_card
from bot.slack.publisher import MAX_WAIT_SECONDS, Publisher
from bot.store.card_queue import CardQueue
from bot.store.due_cards import Announcement, DueCard
from bot.wording import DEFAULT, Wording

EDIT_DEBOUNCE_SECONDS = 3.0
"""The minimum time between two edits of a card, unless an announcement is pending."""
MAX_BACKOFF_SECONDS = 300.0
_MAX_REPORTS = 30

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts and intervals, in seconds."""

    lease: float = 60.0
    """Longer than a call to Slack. If a step needs more, the lease is renewed first."""
    post: float = 30.0
    """How long Slack may take to post: the timeout of the client's fresh session."""
    edit: float = 10.0
    """How long Slack may take to edit: the timeout of the client's other session."""
    between_edits: float = EDIT_DEBOUNCE_SECONDS
    unconfirmed: float = 60.0
    """The wait before a post that got no answer is repeated; it doubles each time."""
    rewrite: float = 1.0
    """The wait before writing a result again after the database failed."""
    report: float = 2.0
    """The wait before a posted card is reported again, while the next holder of the lease may be posting it too."""


def backoff(attempts: int) -> float:
    """Return the seconds to wait after a failure that follows `attempts` others in a row."""
    return min(MAX_BACKOFF_SECONDS, 2.0 * 2.0 ** min(attempts, 10))


class CardDelivery:
    """The work on one claimed card."""

    def __init__(
        self,
        card: DueCard,
        card_queue: CardQueue,
        publisher: Publisher,
        clock: Clock,
        metrics: Metrics,
        wording: Wording = DEFAULT,
        timing: Timing | None = None,
    ) -> None:
        self._wording = wording
        self._card = card
        """The card's state after the steps done so far."""
        self._card_queue = card_queue
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._timing = timing or Timing()
        self._lease = CardLease(card, card_queue, clock, self._timing.rewrite)
        self._edited = False
        """Whether an edit succeeded that is not written yet; repeating an edit does no harm."""
        self._unconfirmed = False
        """Whether an edit got no answer, or was repeated after one that got none, and this is not written yet."""
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
        except LeaseLost:
            await self._request_correction()
            return LATER
        if delivered.done and self._is_over:
            await self._card_queue.remove_ended(self._card.follow)
        return delivered

    @property
    def _is_over(self) -> bool:
        return self._card.follow.state is FollowState.UNFOLLOWED

    @property
    def _may_stay_deleted(self) -> bool:
        """Whether a deleted card is not posted again: its follow has expired, and no announcement is pending."""
        return self._card.follow.state is FollowState.EXPIRED and not self._card.announcements

    async def _run_with_retries(self) -> DeliveryResult:
        while True:
            try:
                try:
                    return await self._deliver()
                except MessageNotFound as error:
                    if self._is_over or self._may_stay_deleted:
                        return await self._give_up(error)
                    await self._repost(error)
            except PermanentError as refusal:
                if self._is_over:
                    return await self._give_up(refusal)
                return DeliveryResult(refused=refusal.code, unconfirmed=self._unconfirmed)
            except TransientError as error:
                return await self._defer_after(error)

    async def _deliver(self) -> DeliveryResult:
        if self._card.message_ts is None:
            await self._post()
        if self._needs_edit and (self._card.announcements or self._debounce() == 0):
            await self._edit()
        while self._card.announcements:
            await self._announce()
        if self._needs_edit:
            return await self._defer(max(self._edit_in, self._debounce()), failed=self._edit_failed)
        if self._edited:
            card, unconfirmed = self._card, self._unconfirmed
            await self._lease.record(
                lambda: self._card_queue.mark_rendered(card, card.desired_version, unconfirmed=unconfirmed, last=True)
            )
        elif not self._is_released:
            check_written(await self._card_queue.release(self._card))
        return DONE

    @property
    def _needs_edit(self) -> bool:
        card = self._card
        return card.rendered_version < card.desired_version or (card.may_be_overwritten and not self._edited_again)

    async def _post(self) -> None:
        card, follow = self._card, self._card.follow
        message_id = uuid5(follow.id, f"{card.episode}/card/{card.times_deleted}/{card.ordered_at}")
        await self._lease.ensure_time(self._card, self._timing.post)
        post = self._publisher.post(
            follow.channel_id, card_message(self._card), str(message_id), time_left=self._lease.time_left
        )
        ts = await self._track_failures("post", post)
        card = self._card
        last = not card.announcements and card.rendered_version == card.desired_version
        await self._lease.record(
            lambda: self._card_queue.mark_posted(card, ts, card.rendered_version, last=last),
            lambda: self._report_post(ts),
        )
        self._is_released = last
        self._card = replace(card, message_ts=ts, attempts=0, unconfirmed_until=None)

    async def _edit(self) -> None:
        """Edit the card, before any announcement, so that it never lags behind its thread and a deletion is noticed."""
        card = self._card
        # Edits have Slack's lowest rate limit, and announcements must not wait for it.
        max_wait = 0.0 if card.announcements else MAX_WAIT_SECONDS
        await self._lease.ensure_time(card, self._timing.edit)
        edit = self._publisher.edit(
            card.follow.channel_id,
            card.message_ts or "",
            card_message(self._card),
            max_wait,
            time_left=self._lease.time_left,
            on_repeat=self._mark_unconfirmed,
        )
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

    def _mark_unconfirmed(self) -> None:
        self._unconfirmed = True

    async def _announce(self) -> None:
        card, (first, *rest) = self._card, self._card.announcements
        ts = await self._reply(first)
        card = self._card
        last = not rest and not self._needs_edit
        version = card.desired_version if self._edited else None
        is_repeated = False

        async def write() -> bool:
            nonlocal is_repeated
            written = await self._card_queue.mark_sent(
                card, first.seq, ts, version=version, unconfirmed=self._unconfirmed, last=last
            )
            is_repeated = written is None
            return written is not False

        await self._lease.record(write, lambda: self._report_reply(first.seq, ts))
        if is_repeated and ts:
            await self._delete(ts)
        self._is_released = last
        self._edited = self._unconfirmed = False
        waited = utc(self._clock) - first.recorded_at
        self._metrics.announcement_seconds.observe(max(0.0, waited.total_seconds()))
        self._card = replace(card, announcements=tuple(rest), attempts=0)

    async def _reply(self, announcement: Announcement) -> str:
        card, follow = self._card, self._card.follow
        source = f"{card.episode}/{announcement.seq}/{announcement.kind}/{announcement.occurred_at.timestamp()}"
        message_id = uuid5(follow.id, source)
        message, broadcast = announcement_message(card, announcement, self._wording), is_broadcast(card, announcement)
        await self._lease.ensure_time(self._card, self._timing.post)
        post = self._publisher.post(
            follow.channel_id,
            message,
            str(message_id),
            card.message_ts,
            broadcast=broadcast,
            time_left=self._lease.time_left,
        )
        try:
            return await self._track_failures("post", post)
        except MessageDeleted:
            return ""  # it was announced, and then deleted in Slack

    async def _track_failures(self, operation: str, call: Awaitable[T]) -> T:
        """Record in the card since when this kind of call has been failing.

        Raises PermanentError if the failure has lasted so long that it counts as permanent.
        """
        card, before = self._card, Failures.from_dict(self._card.failing)
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
        is_rare = Failures.from_dict(self._card.failing).is_rare(operation, error, self._card.claimed_at)
        return RARE_RETRY_SECONDS if is_rare else 0.0

    async def _repost(self, error: MessageNotFound) -> None:
        """Record that the card was deleted in Slack, and prepare to post it again.

        That is at once the first time, then later each time. Raises TransientError for a wait before the next post.
        """
        card = self._card
        log.info("card_deleted", follow=str(card.follow.id), episode=card.episode, code=error.code)
        await self._lease.record(lambda: self._card_queue.mark_deleted(card))
        self._edited = self._unconfirmed = False
        self._card = replace(
            card,
            message_ts=None,
            rendered_version=card.desired_version,
            unconfirmed_until=None,
            times_deleted=card.times_deleted + 1,
            ordered_at=card.claimed_at,
            failing=None,
        )
        if card.times_deleted > 0:
            raise TransientError("card_deleted", 2.0 ** min(card.times_deleted + 2, 10))

    async def _give_up(self, error: DeliveryError) -> DeliveryResult:
        """Leave the card of an ended follow as it is: it was deleted in Slack, or Slack refuses the edit."""
        card = self._card
        log.info("card_update_skipped", channel=card.follow.channel_id, episode=card.episode, code=error.code)
        check_written(await self._card_queue.give_up(card))
        return DONE

    async def _defer_after(self, error: TransientError) -> DeliveryResult:
        attempts = self._card.attempts
        if isinstance(error, Unconfirmed):
            seconds = min(MAX_BACKOFF_SECONDS, self._timing.unconfirmed * 2.0 ** min(attempts, 10))
            seconds = max(seconds, self._rare_wait("post", error))
            return await self._defer(seconds, unconfirmed=self._card.message_ts is None)
        if error.seconds is None:
            return await self._defer(backoff(attempts))
        # Waiting for a token bucket, for Slack's rate limit or for the bot token is not a failure.
        return await self._defer(error.seconds, failed=False)

    async def _defer(self, seconds: float, *, failed: bool = True, unconfirmed: bool = False) -> DeliveryResult:
        card, unconfirmed = self._card, unconfirmed or self._unconfirmed
        if self._edited:
            await self._lease.record(lambda: self._card_queue.mark_rendered(card, card.desired_version))
            self._edited = False
        check_written(await self._card_queue.defer(card, seconds, failed=failed, unconfirmed=unconfirmed))
        return LATER

    async def _report_post(self, ts: str) -> None:
        """Report a card that was posted before the lease was lost.

        If another message is the card now, delete this one: nothing would keep it up to date.
        """
        known: bool | None = None
        for _ in range(_MAX_REPORTS):
            known = await self._lease.insist(lambda: self._card_queue.report_post(self._card, ts))
            if known is not None:
                break
            await self._clock.sleep(self._timing.report)
        if known is False:
            await self._delete(ts)

    async def _report_reply(self, seq: int, ts: str) -> None:
        if ts and not await self._lease.insist(lambda: self._card_queue.report_reply(self._card, seq, ts)):
            await self._delete(ts)

    async def _delete(self, ts: str) -> None:
        channel = self._card.follow.channel_id
        log.info("duplicate_deleted", channel=channel, episode=self._card.episode)
        try:
            await self._publisher.delete(channel, ts)
        except DeliveryError as error:
            log.warning("duplicate_left", channel=channel, code=error.code)

    async def _request_correction(self) -> None:
        """Have the card edited once more if an edit without the lease may have overtaken another worker's."""
        card = self._card
        if not (self._edited or self._unconfirmed):
            return
        doubtful = await self._lease.insist(lambda: self._card_queue.report_edit(card, unconfirmed=self._unconfirmed))
        if doubtful or self._is_over:
            return
        # The row is gone, so the follow is over and no worker will edit the card again.
        final = unfollowed_card(card.follow, Episode.from_dict(card.desired).name)
        try:
            await self._publisher.edit(card.follow.channel_id, card.message_ts or "", final)
        except DeliveryError as error:
            log.info("card_update_skipped", channel=card.follow.channel_id, episode=card.episode, code=error.code)

    def _debounce(self) -> float:
        """Return the seconds that the next edit has to wait.

        This compares times of the database's clock only: if this process's clock differed, edits would be delayed.
        """
        rendered_at, between = self._card.rendered_at, self._timing.between_edits
        since = between if rendered_at is None else self._card.claimed_at - rendered_at.timestamp()
        return between - since if 0 <= since < between else 0.0
