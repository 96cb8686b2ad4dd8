"""The work on one due card: post or edit it, then announce its changes in its thread, in order.

These guarantees do not depend on Slack: no request begins after the lease's deadline or outlives it; Slack's answers
are written, with retries, or reported if the lease was lost; an edit without an answer is followed by one more. Each
message has an ID derived from what it announces: if Slack honors it, a message that is sent twice appears once. The ID
includes a stored time, since a restored backup counts on from older episode and sequence numbers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import uuid5

import structlog

from bot.clock import Clock, utc
from bot.domain.delivery import DONE, LATER, DeliveryResult
from bot.domain.episode import Change, ChangeKind, Episode, Phase
from bot.domain.failed_calls import Failures
from bot.domain.follow import FollowState, Level
from bot.errors import DatabaseUnavailable
from bot.metrics import Metrics
from bot.slack.errors import RARE_SECONDS, Deleted, Later, MessageGone, Paced, Refused, Unconfirmed, Undelivered
from bot.slack.messages.follow_card import change_reply, expired_reply, follow_card, unfollowed_card
from bot.slack.messages.message import Message
from bot.slack.publisher import PATIENCE_SECONDS, Publisher
from bot.store.card_queue import Announcement, CardQueue, DueCard
from bot.store.expiry import EXPIRED
from bot.store.leases import deadline
from bot.store.outdated_announcements import IN_THREAD
from bot.wording import DEFAULT, Wording

EDIT_DEBOUNCE_SECONDS = 3.0
"""The minimum time between two edits of a card, unless there is something to announce in its thread."""
MAX_BACKOFF_SECONDS = 300.0
_REPORTS = 30
_LOUD = (ChangeKind.LIVE, ChangeKind.ERRORED, ChangeKind.ENDED)

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts and intervals, in seconds."""

    lease: float = 60.0
    """Longer than a call to Slack. If a step needs more, the lease is renewed first."""
    post: float = 30.0
    """How long Slack may take to post: the client's timeout."""
    edit: float = 10.0
    """The same for an edit."""
    between_edits: float = EDIT_DEBOUNCE_SECONDS
    unconfirmed: float = 60.0
    """The wait before repeating a post that got no answer; it doubles each time."""
    rewrite: float = 1.0
    """The wait before writing a result again after the database failed."""
    report: float = 2.0
    """The wait before reporting a posted card again, while the next holder of its lease may be posting it, too."""


class _LeaseLost(Exception):
    """Another worker owns the card, or may own it, or the card no longer exists."""


def backoff(attempts: int) -> float:
    """Return the seconds to wait after a failure that follows `attempts` others in a row."""
    return min(MAX_BACKOFF_SECONDS, 2.0 * 2.0 ** min(attempts, 10))


class CardDelivery:
    """The work on one claimed card."""

    def __init__(
        self,
        card: DueCard,
        announcing: CardQueue,
        delivery: Publisher,
        clock: Clock,
        metrics: Metrics,
        wording: Wording = DEFAULT,
        timing: Timing | None = None,
    ) -> None:
        self._wording = wording
        self._card = card
        """The card's state after the steps done so far."""
        self._announcing = announcing
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics
        self._timing = timing or Timing()
        self._deadline = card.lease.deadline
        self._edited = False
        """An edit succeeded and is not written yet; repeating an edit does no harm."""
        self._unconfirmed = False
        """An edit got no answer, or was repeated after one that got none; which is not written yet."""
        self._edited_again = False
        """The card was edited once more after an earlier edit without an answer."""
        self._edit_in = 0.0
        """Seconds that the next edit has to wait."""
        self._edit_failed = False
        self._given_back = False
        self.unwritten = False
        """Whether an answer from Slack still has to be written to the database."""

    async def run(self) -> DeliveryResult:
        """Do the work and release the card, unless Slack refuses. Raises DatabaseUnavailable."""
        try:
            delivered = await self._try()
        except _LeaseLost:
            await self._correct()
            return LATER
        if delivered.done and self._is_over:
            await self._announcing.remove_ended(self._card.follow)
        return delivered

    @property
    def _is_over(self) -> bool:
        return self._card.follow.state is FollowState.UNFOLLOWED

    @property
    def _has_nothing_to_say(self) -> bool:
        """Whether a deleted card need not be posted again: its follow has expired, and no announcement is pending."""
        return self._card.follow.state is FollowState.EXPIRED and not self._card.announcements

    async def _try(self) -> DeliveryResult:
        while True:
            try:
                try:
                    return await self._work()
                except MessageGone as gone:
                    if self._is_over or self._has_nothing_to_say:
                        return await self._give_up(gone)
                    await self._lose(gone)
            except Refused as refusal:
                return await self._give_up(refusal) if self._is_over else self._refused(refusal)
            except Later as later:
                return await self._postpone_for(later)

    def _refused(self, refusal: Refused) -> DeliveryResult:
        return DeliveryResult(refused=refusal.code, unconfirmed=self._unconfirmed)

    async def _work(self) -> DeliveryResult:
        if self._card.message_ts is None:
            await self._post()
        if self._needs_edit and (self._card.announcements or self._debounce() == 0):
            await self._edit()
        while self._card.announcements:
            await self._announce()
        if self._needs_edit:
            return await self._postpone(max(self._edit_in, self._debounce()), failed=self._edit_failed)
        if self._edited:
            card, unconfirmed = self._card, self._unconfirmed
            await self._record(
                lambda: self._announcing.mark_rendered(card, card.desired_version, unconfirmed=unconfirmed, last=True)
            )
        elif not self._given_back:
            self._check(written=await self._announcing.release(self._card))
        return DONE

    @property
    def _needs_edit(self) -> bool:
        card = self._card
        return card.rendered_version < card.desired_version or (card.may_be_overwritten and not self._edited_again)

    async def _post(self) -> None:
        card, follow = self._card, self._card.follow
        message_id = uuid5(follow.id, f"{card.episode}/card/{card.times_deleted}/{card.ordered_at}")
        await self._have_time_for(self._timing.post)
        post = self._delivery.post(follow.channel_id, self._shown(), str(message_id), time_left=self._time_left)
        ts = await self._noting("post", post)
        card = self._card
        last = not card.announcements and card.rendered_version == card.desired_version
        await self._record(
            lambda: self._announcing.mark_posted(card, ts, card.rendered_version, last=last),
            lambda: self._report_post(ts),
        )
        self._given_back = last
        self._card = replace(card, message_ts=ts, attempts=0, unconfirmed_until=None)

    async def _edit(self) -> None:
        """Edit the card, before any announcement: no card lags behind its thread, and a deleted one is noticed."""
        card = self._card
        # Edits have Slack's lowest rate limit; announcements must not wait for it.
        patience = 0.0 if card.announcements else PATIENCE_SECONDS
        await self._have_time_for(self._timing.edit)
        edit = self._delivery.edit(
            card.follow.channel_id,
            card.message_ts or "",
            self._shown(),
            patience,
            time_left=self._time_left,
            on_repeat=self._note_repeat,
        )
        try:
            await self._noting("edit", edit)
        except Later as later:
            # A deferred edit must not delay announcements.
            self._unconfirmed = self._unconfirmed or isinstance(later, Unconfirmed)
            self._edit_failed = later.seconds is None
            wait = backoff(card.attempts) if later.seconds is None else later.seconds
            self._edit_in = max(wait, self._rare_wait("edit", later))
            return
        self._edited = self._edited_again = True
        self._card = replace(self._card, rendered_version=card.desired_version)

    def _note_repeat(self) -> None:
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
            written = await self._announcing.mark_sent(
                card, first.seq, ts, version=version, unconfirmed=self._unconfirmed, last=last
            )
            is_repeated = written is None
            return written is not False

        await self._record(write, lambda: self._report_reply(first.seq, ts))
        if is_repeated and ts:
            await self._delete(ts)
        self._given_back = last
        self._edited = self._unconfirmed = False
        waited = utc(self._clock) - first.recorded_at
        self._metrics.announcement_seconds.observe(max(0.0, waited.total_seconds()))
        self._card = replace(card, announcements=tuple(rest), attempts=0)

    async def _reply(self, announcement: Announcement) -> str:
        card, follow = self._card, self._card.follow
        what = f"{card.episode}/{announcement.seq}/{announcement.kind}/{announcement.occurred_at.timestamp()}"
        message_id = uuid5(follow.id, what)
        loud = follow.level is Level.LOUD and announcement.kind in _LOUD and self._is_worth_a_ping(announcement)
        words = self._words(announcement)
        await self._have_time_for(self._timing.post)
        post = self._delivery.post(
            follow.channel_id, words, str(message_id), card.message_ts, broadcast=loud, time_left=self._time_left
        )
        try:
            return await self._noting("post", post)
        except Deleted:
            return ""  # it was announced, and then deleted in Slack

    async def _noting(self, call: str, outcome: Awaitable[T]) -> T:
        """Note in the card since when this kind of call fails. Raises Refused if the failure counts as permanent."""
        card, before = self._card, Failures.from_dict(self._card.failing)
        failures = before.without(call)
        try:
            return await outcome
        except Paced:
            failures = before
            raise
        except Later as later:
            failures = before.noted(call, later, card.claimed_at)
            if failures.is_permanent(call, later, card.claimed_at):
                raise Refused(later.code) from None
            raise
        finally:
            self._card = replace(card, failing=failures.to_dict())

    def _rare_wait(self, call: str, later: Later) -> float:
        """Return the wait for a kind of call that has failed with one and the same code for a day, otherwise 0."""
        is_rare = Failures.from_dict(self._card.failing).is_rare(call, later, self._card.claimed_at)
        return RARE_SECONDS if is_rare else 0.0

    def _is_worth_a_ping(self, announcement: Announcement) -> bool:
        """Return whether to broadcast the announcement to the channel; not if it is no longer true."""
        phase = Episode.from_dict(self._card.desired).phase
        over = {Phase.ENDED} if announcement.kind == ChangeKind.LIVE else {Phase.ENDED, Phase.LIVE}
        outdated = announcement.kind != ChangeKind.ENDED and phase in over
        return not outdated and not announcement.payload.get(IN_THREAD)

    def _shown(self) -> Message:
        card, episode = self._card, Episode.from_dict(self._card.desired)
        # A waiting card of an expired follow must not say that it waits: it will not change when a livestream starts.
        is_waited_for = card.follow.state is not FollowState.EXPIRED or episode.phase is not Phase.WAITING
        if (self._is_over and card.is_latest) or not is_waited_for:
            can_follow_again = card.is_latest and not card.is_followed_again
            return unfollowed_card(
                card.follow, episode.name, can_follow_again=can_follow_again, is_new=card.message_ts is None
            )
        return follow_card(card.follow, episode, is_new=card.message_ts is None)

    def _words(self, announcement: Announcement) -> Message:
        if announcement.kind == EXPIRED:
            return expired_reply(self._card.follow, Episode.from_dict(self._card.desired).name, self._wording)
        return change_reply(self._card.follow, Change.from_dict(announcement.payload))

    async def _lose(self, gone: MessageGone) -> None:
        """Record that the card was deleted in Slack. It is posted again: at once the first time, then later and later.

        Raises Later for a wait before the next post.
        """
        card = self._card
        log.info("card_deleted", follow=str(card.follow.id), episode=card.episode, code=gone.code)
        await self._record(lambda: self._announcing.mark_deleted(card))
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
            raise Later("lost", 2.0 ** min(card.times_deleted + 2, 10))

    async def _give_up(self, error: Undelivered) -> DeliveryResult:
        """Leave the card of an ended follow as it is: it was deleted in Slack, or Slack refuses the edit."""
        card = self._card
        log.info("card_update_skipped", channel=card.follow.channel_id, episode=card.episode, code=error.code)
        self._check(written=await self._announcing.give_up(card))
        return DONE

    async def _postpone_for(self, later: Later) -> DeliveryResult:
        attempts = self._card.attempts
        if isinstance(later, Unconfirmed):
            seconds = min(MAX_BACKOFF_SECONDS, self._timing.unconfirmed * 2.0 ** min(attempts, 10))
            seconds = max(seconds, self._rare_wait("post", later))
            return await self._postpone(seconds, unconfirmed=self._card.message_ts is None)
        if later.seconds is None:
            return await self._postpone(backoff(attempts))
        # Waiting for a token bucket, the bot's or Slack's, is not a failure.
        return await self._postpone(later.seconds, failed=False)

    async def _postpone(self, seconds: float, *, failed: bool = True, unconfirmed: bool = False) -> DeliveryResult:
        card, unconfirmed = self._card, unconfirmed or self._unconfirmed
        if self._edited:
            await self._record(lambda: self._announcing.mark_rendered(card, card.desired_version))
            self._edited = False
        self._check(written=await self._announcing.defer(card, seconds, failed=failed, unconfirmed=unconfirmed))
        return LATER

    def _time_left(self) -> float:
        """Return the seconds until the deadline. Raises _LeaseLost after it, as when the process was suspended."""
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise _LeaseLost
        return left

    async def _have_time_for(self, seconds: float) -> None:
        """Renew the lease if the next call could outlive it. Raises _LeaseLost."""
        if self._time_left() < PATIENCE_SECONDS + seconds:
            asked_at = self._clock.monotonic()
            self._check(written=await self._announcing.renew(self._card))
            self._deadline = deadline(asked_at, self._card.lease.seconds)

    async def _record(
        self, write: Callable[[], Awaitable[bool]], report: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Write Slack's answer, which also renews the lease. If that was lost, `report` it and raise _LeaseLost."""

        async def renewing() -> bool:
            asked_at = self._clock.monotonic()
            written = await write()
            self._deadline = deadline(asked_at, self._card.lease.seconds)
            return written

        if not await self._insist(renewing):
            if report is not None:
                await report()
            raise _LeaseLost

    async def _insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Repeat a write until the database accepts it: the answer is known only here."""
        try:
            while True:
                try:
                    return await write()
                except DatabaseUnavailable as error:
                    if not self.unwritten:
                        log.warning("result_not_written", channel=self._card.follow.channel_id, detail=error.detail)
                    self.unwritten = True
                    await self._clock.sleep(self._timing.rewrite)
        finally:
            self.unwritten = False

    async def _report_post(self, ts: str) -> None:
        """Report a card that was posted before the lease was lost.

        If another message has taken its place, delete this one: nothing would keep it up to date.
        """
        known: bool | None = None
        for _ in range(_REPORTS):
            known = await self._insist(lambda: self._announcing.reported_post(self._card, ts))
            if known is not None:
                break
            await self._clock.sleep(self._timing.report)
        if known is False:
            await self._delete(ts)

    async def _report_reply(self, seq: int, ts: str) -> None:
        if ts and not await self._insist(lambda: self._announcing.reported_reply(self._card, seq, ts)):
            await self._delete(ts)

    async def _delete(self, ts: str) -> None:
        channel = self._card.follow.channel_id
        log.info("duplicate_deleted", channel=channel, episode=self._card.episode)
        try:
            await self._delivery.delete(channel, ts)
        except Undelivered as error:
            log.warning("duplicate_left", channel=channel, code=error.code)

    async def _correct(self) -> None:
        """Have the card edited once more if an edit made without the lease may have overtaken another one."""
        card = self._card
        if not (self._edited or self._unconfirmed):
            return
        doubtful = await self._insist(lambda: self._announcing.doubt(card, unconfirmed=self._unconfirmed))
        if doubtful or self._is_over:
            return
        # The row is gone, so the follow is over and no worker will edit the card again.
        over = unfollowed_card(card.follow, Episode.from_dict(card.desired).name)
        try:
            await self._delivery.edit(card.follow.channel_id, card.message_ts or "", over)
        except Undelivered as error:
            log.info("card_update_skipped", channel=card.follow.channel_id, episode=card.episode, code=error.code)

    def _debounce(self) -> float:
        """Return the seconds that the next edit has to wait, using only the database's clock.

        This process's clock may differ from it, which would delay edits by the difference.
        """
        rendered_at, between = self._card.rendered_at, self._timing.between_edits
        since = between if rendered_at is None else self._card.claimed_at - rendered_at.timestamp()
        return between - since if 0 <= since < between else 0.0

    def _check(self, *, written: bool) -> None:
        if not written:
            raise _LeaseLost
