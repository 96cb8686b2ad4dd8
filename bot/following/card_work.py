"""One card that is due: it is posted or edited, and then its thread is told, in order.

Each message has an ID made of what it says: where Slack honours it, the same one sent twice appears once.
"""

from dataclasses import dataclass, replace
from uuid import uuid5

import structlog

from bot.clock import Clock, utc
from bot.following.state import Change, ChangeKind, Episode, Phase
from bot.metrics import Metrics
from bot.slack.delivery import PATIENCE_SECONDS, Deleted, Delivery, Later, MessageGone, Refused, Undelivered
from bot.slack.follow_cards import change_reply, expired_reply, follow_card, unfollowed_card
from bot.slack.messages import Message
from bot.store.announcing import Announcement, Announcing, DueCard
from bot.store.expiring import EXPIRED
from bot.store.outdated import IN_THREAD
from bot.store.tables import Volume
from bot.wording import DEFAULT, Wording

EDIT_SECONDS = 3.0
"""A card is edited no more often than that, unless its thread has something to tell."""
LONGEST_BACK_OFF = 300.0
_LOUD = (ChangeKind.LIVE, ChangeKind.ERRORED, ChangeKind.ENDED)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of the work at a card."""

    done: bool = False
    """Everything is said; else it is said later."""
    refused: str | None = None
    """Slack's word for why it never will be."""


DONE, LATER = Delivered(done=True), Delivered()


class _LeaseLost(Exception):
    """Somebody else works at the card now, or there is nothing left to work at."""


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
    ) -> None:
        self._wording = wording
        self._card = card
        """As it is after what was done."""
        self._announcing = announcing
        self._delivery = delivery
        self._clock = clock
        self._metrics = metrics
        self._edited = False
        """It was edited, and that is not written yet: an edit that is repeated does no harm."""
        self._edit_in = 0.0
        """How long Slack wants the next edit to wait."""
        self._given_back = False
        self._on_screen: str | None = None
        """The message that shows what was put there just now."""

    async def run(self) -> Delivered:
        """Do it and give the card back, unless Slack refuses. Raises StoreUnreachable."""
        try:
            return await self._tried()
        except Refused as refusal:
            return Delivered(refused=refusal.code)
        except _LeaseLost:
            await self._say_if_unfollowed()
            return LATER

    async def _tried(self) -> Delivered:
        while True:
            try:
                try:
                    return await self._finished()
                except MessageGone as gone:
                    await self._lost(gone)
            except Later as later:
                return await self._postponed(back_off(self._card.attempts) if later.seconds is None else later.seconds)

    async def _finished(self) -> Delivered:
        if self._card.ts is None:
            await self._post()
        if self._card.needs_edit and (self._card.announcements or self._debounce() == 0):
            await self._edit()
        while self._card.announcements:
            await self._tell()
        if self._card.needs_edit:
            return await self._postponed(max(self._edit_in, self._debounce()))
        if self._edited:
            self._check(await self._announcing.shown(self._card, self._card.wanted_version, last=True))
        elif not self._given_back:
            self._check(await self._announcing.finish(self._card))
        return DONE

    async def _post(self) -> None:
        card, follow = self._card, self._card.follow
        message_id = uuid5(follow.id, f"{card.episode}/card/{card.lost}")
        ts = await self._delivery.post(follow.channel_id, self._shown(), str(message_id))
        self._on_screen = ts
        self._given_back = not card.announcements and not card.needs_edit
        self._check(await self._announcing.posted(card, ts, card.shown_version, last=self._given_back))
        self._card = replace(card, ts=ts, attempts=0)

    async def _edit(self) -> None:
        """Before the thread is told, so that the card is never behind it, and one that is gone is noticed."""
        card = self._card
        # Edits have the narrowest limit, and the thread does not wait for it.
        patience = 0.0 if card.announcements else PATIENCE_SECONDS
        try:
            await self._delivery.edit(card.follow.channel_id, card.ts or "", self._shown(), patience)
        except Later as later:
            # A card that cannot be edited now keeps nothing from being told.
            self._edit_in = back_off(card.attempts) if later.seconds is None else later.seconds
            return
        self._edited, self._on_screen = True, card.ts
        self._card = replace(card, shown_version=card.wanted_version)

    async def _tell(self) -> None:
        card, (first, *rest) = self._card, self._card.announcements
        ts = await self._reply(first)
        self._given_back = not rest and not card.needs_edit
        version = card.wanted_version if self._edited else None
        self._check(await self._announcing.sent(card, first.seq, ts, version=version, last=self._given_back))
        self._edited = False
        waited = utc(self._clock) - first.recorded_at
        self._metrics.announcement_seconds.observe(max(0.0, waited.total_seconds()))
        self._card = replace(card, announcements=tuple(rest), attempts=0)

    async def _reply(self, announcement: Announcement) -> str:
        card, follow = self._card, self._card.follow
        message_id = uuid5(follow.id, f"{card.episode}/{announcement.seq}")
        loud = follow.volume is Volume.LOUD and announcement.kind in _LOUD and self._is_worth_a_ping(announcement)
        try:
            return await self._delivery.post(
                follow.channel_id, self._words(announcement), str(message_id), thread_ts=card.ts, broadcast=loud
            )
        except Deleted:
            return ""  # it was told, and somebody has deleted it

    def _is_worth_a_ping(self, announcement: Announcement) -> bool:
        """Whether the channel may hear of it too: not that something is live which has ended."""
        is_over = Episode.from_dict(self._card.wanted).phase is Phase.ENDED
        outdated = is_over and announcement.kind != ChangeKind.ENDED
        return not outdated and not announcement.data.get(IN_THREAD)

    def _shown(self) -> Message:
        return follow_card(self._card.follow, Episode.from_dict(self._card.wanted))

    def _words(self, announcement: Announcement) -> Message:
        if announcement.kind == EXPIRED:
            return expired_reply(self._card.follow, Episode.from_dict(self._card.wanted).name, self._wording)
        return change_reply(self._card.follow, Change.from_dict(announcement.data))

    async def _lost(self, gone: MessageGone) -> None:
        """Somebody has deleted the card. It is posted anew: at once the first time, and then ever later (Later)."""
        card = self._card
        log.info("card_gone", follow=str(card.follow.id), episode=card.episode, code=gone.code)
        self._check(await self._announcing.lost(card))
        self._edited = False
        self._card = replace(card, ts=None, shown_version=card.wanted_version, lost=card.lost + 1)
        if card.lost > 0:
            raise Later("lost", 2.0 ** min(card.lost + 2, 10))

    async def _postponed(self, seconds: float) -> Delivered:
        if self._edited:
            self._check(await self._announcing.shown(self._card, self._card.wanted_version))
        await self._announcing.postpone(self._card, seconds)
        return LATER

    async def _say_if_unfollowed(self) -> None:
        """Somebody may have unfollowed while the card was on its way to Slack, which then shows what nobody keeps up
        to date any more."""
        if self._on_screen is None or not await self._announcing.is_unfollowed(self._card):
            return
        follow, name = self._card.follow, Episode.from_dict(self._card.wanted).name
        try:
            await self._delivery.edit(follow.channel_id, self._on_screen, unfollowed_card(follow, name))
        except Undelivered as error:
            log.info("card_left_as_it_was", channel=follow.channel_id, code=error.code)

    def _debounce(self) -> float:
        shown_at = self._card.shown_at
        since = EDIT_SECONDS if shown_at is None else (utc(self._clock) - shown_at).total_seconds()
        return min(EDIT_SECONDS, max(0.0, EDIT_SECONDS - since))

    def _check(self, written: bool) -> None:
        if not written:
            raise _LeaseLost
