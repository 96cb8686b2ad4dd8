"""One card that is due: it is posted or edited, and then its changes are announced in its thread, in order.

What holds without any help from Slack: nothing is asked of Slack past the lease's deadline, and no call outlives it;
what Slack has answered is written until it is written, or reported where the lease was lost; an edit without an answer
is followed by one more. Each message has an ID made of what it says: where Slack honours it, the same one sent twice
appears once.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import uuid5

import structlog

from bot.clock import Clock, utc
from bot.errors import StoreUnreachable
from bot.following.state import Change, ChangeKind, Episode, Phase
from bot.metrics import Metrics
from bot.slack.delivery import PATIENCE_SECONDS, Delivery
from bot.slack.errors import Deleted, Later, MessageGone, Paced, Refused, Unconfirmed, Undelivered
from bot.slack.failures import Failures
from bot.slack.follow_cards import change_reply, expired_reply, follow_card, unfollowed_card
from bot.slack.messages import Message
from bot.store.announcing import Announcement, Announcing, DueCard
from bot.store.expiring import EXPIRED
from bot.store.leases import deadline
from bot.store.outdated import IN_THREAD
from bot.store.tables import FollowState, Volume
from bot.wording import DEFAULT, Wording

EDIT_SECONDS = 3.0
"""A card is edited no more often than that, unless there is something to announce in its thread."""
LONGEST_BACK_OFF = 300.0
_REPORTS = 30
_LOUD = (ChangeKind.LIVE, ChangeKind.ERRORED, ChangeKind.ENDED)

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long what takes, in seconds."""

    lease: float = 60.0
    """Longer than a call to Slack. Where a step needs more, the lease is renewed before it."""
    post: float = 30.0
    """How long Slack may take to post: what the client waits."""
    edit: float = 10.0
    """The same for an edit."""
    between_edits: float = EDIT_SECONDS
    unconfirmed: float = 60.0
    """A post that got no answer is repeated after so long, and later still each further time."""
    rewrite: float = 1.0
    """After so long a result that the database did not take is written again."""
    report: float = 2.0
    """After so long it is reported again where a card was posted, while the next holder of its lease posts it too."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of the work at a card."""

    done: bool = False
    """Everything is said; otherwise it is said later."""
    refused: str | None = None
    """Slack's word for why it never will be."""


DONE, LATER = Delivered(done=True), Delivered()


class _LeaseLost(Exception):
    """Another worker works at the card now, or may do so, or there is nothing left to work at."""


def back_off(attempts: int) -> float:
    """Seconds to wait after so many failures in a row and one more."""
    return min(LONGEST_BACK_OFF, 2.0 * 2.0 ** min(attempts, 10))


class CardWork:
    """The work at one card whose lease is held."""

    def __init__(
        self,
        card: DueCard,
        announcing: Announcing,
        delivery: Delivery,
        clock: Clock,
        metrics: Metrics,
        wording: Wording = DEFAULT,
        timing: Timing | None = None,
    ) -> None:
        self._wording = wording
        self._card = card
        """As it is after what was done."""
        self._announcing = announcing
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics
        self._timing = timing or Timing()
        self._deadline = card.lease.deadline
        self._edited = False
        """It was edited, and that is not written yet: an edit that is repeated does no harm."""
        self._unconfirmed = False
        """An edit got no answer, and that is not written yet."""
        self._edited_again = False
        """It was edited once more, after an earlier edit had got no answer."""
        self._edit_in = 0.0
        """How long the next edit has to wait."""
        self._edit_failed = False
        self._given_back = False
        self.unwritten = False
        """Whether the database has not taken yet what Slack has answered."""

    async def run(self) -> Delivered:
        """Do it and give the card back, unless Slack refuses. Raises StoreUnreachable."""
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
        """Whether a card that is gone need not be posted again: its follow has expired, and its thread is told all."""
        return self._card.follow.state is FollowState.EXPIRED and not self._card.announcements

    async def _try(self) -> Delivered:
        while True:
            try:
                try:
                    return await self._work()
                except MessageGone as gone:
                    if self._is_over or self._has_nothing_to_say:
                        return await self._give_up(gone)
                    await self._lose(gone)
            except Refused as refusal:
                return await self._give_up(refusal) if self._is_over else Delivered(refused=refusal.code)
            except Later as later:
                return await self._postpone_for(later)

    async def _work(self) -> Delivered:
        if self._card.ts is None:
            await self._post()
        if self._needs_edit and (self._card.announcements or self._debounce() == 0):
            await self._edit()
        while self._card.announcements:
            await self._announce()
        if self._needs_edit:
            return await self._postpone(max(self._edit_in, self._debounce()), failed=self._edit_failed)
        if self._edited:
            await self._record(lambda: self._announcing.shown(self._card, self._card.wanted_version, last=True))
        elif not self._given_back:
            self._check(await self._announcing.finish(self._card))
        return DONE

    @property
    def _needs_edit(self) -> bool:
        card = self._card
        return card.shown_version < card.wanted_version or (card.may_be_overwritten and not self._edited_again)

    async def _post(self) -> None:
        card, follow = self._card, self._card.follow
        message_id = uuid5(follow.id, f"{card.episode}/card/{card.lost}")
        await self._have_time_for(self._timing.post)
        post = self._delivery.post(follow.channel_id, self._shown(), str(message_id), time_left=self._time_left)
        ts = await self._noting("post", post)
        card = self._card
        last = not card.announcements and card.shown_version == card.wanted_version
        await self._record(
            lambda: self._announcing.posted(card, ts, card.shown_version, last=last),
            lambda: self._report_post(ts),
        )
        self._given_back = last
        self._card = replace(card, ts=ts, attempts=0, unconfirmed_until=None)

    async def _edit(self) -> None:
        """Before anything is announced, so that no card is behind its thread, and one that is gone is noticed."""
        card = self._card
        # Edits have the narrowest limit, and the thread does not wait for it.
        patience = 0.0 if card.announcements else PATIENCE_SECONDS
        await self._have_time_for(self._timing.edit)
        edit = self._delivery.edit(
            card.follow.channel_id, card.ts or "", self._shown(), patience, time_left=self._time_left
        )
        try:
            await self._noting("edit", edit)
        except Later as later:
            # A card that cannot be edited now keeps nothing from being announced.
            self._unconfirmed = isinstance(later, Unconfirmed)
            self._edit_failed = later.seconds is None
            self._edit_in = back_off(card.attempts) if later.seconds is None else later.seconds
            return
        self._edited = self._edited_again = True
        self._card = replace(self._card, shown_version=card.wanted_version)

    async def _announce(self) -> None:
        card, (first, *rest) = self._card, self._card.announcements
        ts = await self._reply(first)
        card = self._card
        last = not rest and not self._needs_edit
        version = card.wanted_version if self._edited else None
        await self._record(
            lambda: self._announcing.sent(
                card, first.seq, ts, version=version, unconfirmed=self._unconfirmed, last=last
            ),
            lambda: self._report_reply(first.seq, ts),
        )
        self._given_back = last
        self._edited = self._unconfirmed = False
        waited = utc(self._clock) - first.recorded_at
        self._metrics.announcement_seconds.observe(max(0.0, waited.total_seconds()))
        self._card = replace(card, announcements=tuple(rest), attempts=0)

    async def _reply(self, announcement: Announcement) -> str:
        card, follow = self._card, self._card.follow
        message_id = uuid5(follow.id, f"{card.episode}/{announcement.seq}")
        loud = follow.volume is Volume.LOUD and announcement.kind in _LOUD and self._is_worth_a_ping(announcement)
        words = self._words(announcement)
        await self._have_time_for(self._timing.post)
        post = self._delivery.post(
            follow.channel_id, words, str(message_id), card.ts, broadcast=loud, time_left=self._time_left
        )
        try:
            return await self._noting("post", post)
        except Deleted:
            return ""  # it was announced, and somebody has deleted it

    async def _noting(self, call: str, outcome: Awaitable[T]) -> T:
        """Keep with the card since when this kind of call fails. Raises Refused where its code counts as permanent."""
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

    def _is_worth_a_ping(self, announcement: Announcement) -> bool:
        """Whether the channel may hear of it too: not that something is live which has ended."""
        is_over = Episode.from_dict(self._card.wanted).phase is Phase.ENDED
        outdated = is_over and announcement.kind != ChangeKind.ENDED
        return not outdated and not announcement.data.get(IN_THREAD)

    def _shown(self) -> Message:
        card, episode = self._card, Episode.from_dict(self._card.wanted)
        # What nobody follows any longer is not waited for, and its card does not change when it starts.
        is_waited_for = card.follow.state is not FollowState.EXPIRED or episode.phase is not Phase.WAITING
        if (self._is_over and card.is_latest) or not is_waited_for:
            can_follow_again = card.is_latest and not card.is_followed_again
            return unfollowed_card(card.follow, episode.name, can_follow_again=can_follow_again, is_new=card.ts is None)
        return follow_card(card.follow, episode, is_new=card.ts is None)

    def _words(self, announcement: Announcement) -> Message:
        if announcement.kind == EXPIRED:
            return expired_reply(self._card.follow, Episode.from_dict(self._card.wanted).name, self._wording)
        return change_reply(self._card.follow, Change.from_dict(announcement.data))

    async def _lose(self, gone: MessageGone) -> None:
        """Somebody has deleted the card. Another one is posted: at once the first time, and then ever later (Later)."""
        card = self._card
        log.info("card_gone", follow=str(card.follow.id), episode=card.episode, code=gone.code)
        await self._record(lambda: self._announcing.lost(card))
        self._edited = self._unconfirmed = False
        self._card = replace(
            card,
            ts=None,
            shown_version=card.wanted_version,
            unconfirmed_until=None,
            lost=card.lost + 1,
            failing=None,
        )
        if card.lost > 0:
            raise Later("lost", 2.0 ** min(card.lost + 2, 10))

    async def _give_up(self, error: Undelivered) -> Delivered:
        """Leave the card of an ended follow as it is: Slack does not have it, or does not let it be edited."""
        card = self._card
        log.info("card_left_as_it_was", channel=card.follow.channel_id, episode=card.episode, code=error.code)
        self._check(await self._announcing.give_up(card))
        return DONE

    async def _postpone_for(self, later: Later) -> Delivered:
        attempts = self._card.attempts
        if isinstance(later, Unconfirmed):
            seconds = min(LONGEST_BACK_OFF, self._timing.unconfirmed * 2.0 ** min(attempts, 10))
            return await self._postpone(seconds, unconfirmed=self._card.ts is None)
        if later.seconds is None:
            return await self._postpone(back_off(attempts))
        # To wait for a token bucket, ours or Slack's, is no failure.
        return await self._postpone(later.seconds, failed=False)

    async def _postpone(self, seconds: float, *, failed: bool = True, unconfirmed: bool = False) -> Delivered:
        card, unconfirmed = self._card, unconfirmed or self._unconfirmed
        if self._edited:
            await self._record(lambda: self._announcing.shown(card, card.wanted_version))
            self._edited = False
        self._check(await self._announcing.postpone(card, seconds, failed=failed, unconfirmed=unconfirmed))
        return LATER

    def _time_left(self) -> float:
        """How long the holder may go on. Raises _LeaseLost past the deadline, also if the process has stood still."""
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise _LeaseLost
        return left

    async def _have_time_for(self, seconds: float) -> None:
        """Renew the lease where the next call could outlive it. Raises _LeaseLost."""
        if self._time_left() < PATIENCE_SECONDS + seconds:
            asked_at = self._clock.monotonic()
            self._check(await self._announcing.renew(self._card))
            self._deadline = deadline(asked_at, self._card.lease.seconds)

    async def _record(
        self, write: Callable[[], Awaitable[bool]], report: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Write what Slack has answered, which renews the lease. Where that is lost, `report` it and raise
        _LeaseLost."""

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
        """Repeat a write until the database has taken it: nobody else knows what it says."""
        try:
            while True:
                try:
                    return await write()
                except StoreUnreachable as error:
                    if not self.unwritten:
                        log.warning("result_not_written", channel=self._card.follow.channel_id, detail=error.detail)
                    self.unwritten = True
                    await self._clock.sleep(self._timing.rewrite)
        finally:
            self.unwritten = False

    async def _report_post(self, ts: str) -> None:
        """Report a card that was posted by somebody who has lost the lease since. Where another one has taken its place
        it goes: nothing would keep it up to date."""
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
        """Have the card edited once more where an edit made without the lease may have overtaken another one."""
        card = self._card
        if not (self._edited or self._unconfirmed):
            return
        doubtful = await self._insist(lambda: self._announcing.doubt(card, unconfirmed=self._unconfirmed))
        if doubtful or self._is_over:
            return
        # The follow is over, and nobody edits its cards any longer.
        over = unfollowed_card(card.follow, Episode.from_dict(card.wanted).name)
        try:
            await self._delivery.edit(card.follow.channel_id, card.ts or "", over)
        except Undelivered as error:
            log.info("card_left_as_it_was", channel=card.follow.channel_id, episode=card.episode, code=error.code)

    def _debounce(self) -> float:
        """Return the seconds that the next edit has to wait, by the database's clock alone.

        This process's clock may differ from it, and a card would stay as it is for as long as they differ.
        """
        shown_at, between = self._card.shown_at, self._timing.between_edits
        since = between if shown_at is None else self._card.claimed_at - shown_at.timestamp()
        return between - since if 0 <= since < between else 0.0

    def _check(self, written: bool) -> None:
        if not written:
            raise _LeaseLost
