"""The announcer's work: claim cards, and record what was posted, edited and announced."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import Follow, FollowState
from bot.store.card_updates import CardUpdate, CardWriteBatcher, Written
from bot.store.cards import has_news, is_blocked_by_previous, is_unattempted
from bot.store.database import Database
from bot.store.due_cards import DueCard, load_cards
from bot.store.leases import LeaseLost, after, due_in, is_due, new_lease
from bot.store.meetings import lock
from bot.store.outdated_announcements import still_true
from bot.store.past_follows import is_replaced
from bot.store.schema import announcements, cards, follows

LATE_SECONDS = 120.0
"""How long after the bot stops waiting Slack may still carry out a request."""


class CardQueue:
    """The announcer's part of the store.

    Most methods are fenced: if the lease was lost, they write nothing and raise LeaseLost. `mark_*` and `renew` extend
    the lease. `release`, `defer`, `give_up` and a step marked `last` release the card. Steps of several cards that
    arrive together are written in one transaction. `report_*` are for a holder that lost the lease but knows what Slack
    did.
    """

    def __init__(self, db: Database, late_seconds: float = LATE_SECONDS) -> None:
        self._db = db
        self._late_seconds = late_seconds
        self._updates = CardWriteBatcher(db, late_seconds)

    async def claim(
        self, worker_id: str, limit: int, lease_seconds: float, *, edits: int | None = None, take_over: bool = True
    ) -> list[DueCard]:
        """Claim due cards until the lease ends.

        Claims up to `limit` cards that have news, longest waiting first, then up to `edits` (None: the rest of the
        limit) that only need an edit. Cards of one follow come in order: the next episode's only once the previous
        one's announcements are sent. A request for a card whose lease has run out may still be on its way to Slack;
        without `take_over` such cards are skipped.
        """
        lease = new_lease(worker_id, lease_seconds, self._db.monotonic())
        async with self._db.transaction() as connection:
            now = self._db.now()
            conditions = [] if take_over else [cards.c.lease.is_(None)]
            keys = await _due(
                connection, now, limit, cards.c.has_news == sa.true(), ~is_blocked_by_previous(), *conditions
            )
            edits = limit - len(keys) if edits is None else edits
            keys += await _due(connection, now, edits, cards.c.has_news == sa.false(), *conditions)
            if not keys:
                return []
            claimed = {
                "lease": lease.token,
                "next_attempt_at": after(now, lease.seconds),
                "attempts": cards.c.attempts + 1,
                "rendered_version": sa.case(
                    (is_unattempted(), cards.c.desired_version), else_=cards.c.rendered_version
                ),
                # The last holder may have sent Slack a request and never received the answer.
                "unconfirmed_until": sa.case(
                    (cards.c.lease.is_not(None), now + self._late_seconds), else_=cards.c.unconfirmed_until
                ),
            }
            claimed_cards = sa.tuple_(cards.c.follow_id, cards.c.episode).in_(keys)
            await connection.execute(sa.update(cards).where(claimed_cards).values(claimed))
            due = await load_cards(connection, now, await still_true(connection, now, keys), lease)
            return await _drop_expiry_of_followed_again(connection, now, due)

    async def mark_posted(self, card: DueCard, ts: str, version: int, *, last: bool = False) -> None:
        """Record that the card was posted and shows this version. The `last` step also releases the card."""
        await self._write(card, ts=ts, version=version, confirmed=card.unconfirmed_until, release=last)

    async def mark_rendered(
        self, card: DueCard, version: int, *, unconfirmed: bool = False, last: bool = False
    ) -> None:
        """Record that the card was edited and shows this version; `unconfirmed`: an earlier attempt got no answer."""
        confirmed = _confirmed_until(card, version)
        await self._write(card, version=version, confirmed=confirmed, unconfirmed=unconfirmed, release=last)

    async def mark_sent(
        self,
        card: DueCard,
        seq: int,
        ts: str,
        *,
        version: int | None = None,
        unconfirmed: bool = False,
        last: bool = False,
    ) -> bool:
        """Record that this announcement is in the thread.

        Return whether it is a duplicate: an earlier holder has reported that another message announces the change, so
        one of the two has to go. `version`: the card now shows it. `unconfirmed`: an edit that preceded the
        announcement got no answer.
        """
        confirmed = _confirmed_until(card, version)
        written = await self._write(
            card, seq=seq, sent_ts=ts, version=version, confirmed=confirmed, unconfirmed=unconfirmed, release=last
        )
        return written is Written.DUPLICATE

    async def release(self, card: DueCard) -> None:
        """Release the card: due now if anything is left to do, including what arrived meanwhile, otherwise idle."""
        await self._write(card, release=True)

    async def mark_deleted(self, card: DueCard) -> None:
        """Record that the card's message was deleted, so that the card is posted again."""
        values: dict[str, Any] = {
            "message_ts": None,
            "rendered_version": card.desired_version,
            "times_deleted": cards.c.times_deleted + 1,
            "ordered_at": card.claimed_at,
            "has_news": True,
            "unconfirmed_until": None,
            "failing": None,
        }
        await self._update(card, next_attempt_at=after(self._db.now(), card.lease.seconds), **values)

    async def renew(self, card: DueCard) -> None:
        """Extend the lease, since the next call to Slack could outlive it."""
        await self._update(card, next_attempt_at=after(self._db.now(), card.lease.seconds))

    async def defer(
        self,
        card: DueCard,
        seconds: float,
        *,
        failed: bool = True,
        unconfirmed: bool = False,
        unconfirmed_seq: int | None = None,
    ) -> None:
        """Release the card and make it due in `seconds`, capped at half an hour; nothing makes it due earlier.

        Unless something `failed`, the claim does not count as an attempt. `unconfirmed`: a request about the card's
        message got no answer; `unconfirmed_seq`: the post of this announcement got none.
        """
        now = self._db.now()
        values: dict[str, Any] = {"lease": None, "next_attempt_at": after(now, seconds), "has_news": has_news()}
        values["failing"] = card.failing
        if not failed:
            values["attempts"] = sa.case((cards.c.attempts > 0, cards.c.attempts - 1), else_=0)
        if unconfirmed:
            values["unconfirmed_until"] = now + self._late_seconds
        await self._update(card, unconfirmed_seq, **values)

    async def give_up(self, card: DueCard) -> None:
        """Release the card as it is: it was deleted in Slack, or Slack refuses to edit the card of a past follow."""
        shown = {"rendered_version": card.desired_version, "unconfirmed_until": None}
        await self._update(card, lease=None, next_attempt_at=None, failing=None, **shown)

    async def report_post(self, card: DueCard, ts: str) -> bool | None:
        """Report a card's message that was posted by a holder that has since lost the lease.

        True: this message is the card. False: another message is, or the card no longer exists. None: another worker
        may be posting it right now; report again later.
        """
        async with self._db.transaction() as connection:
            now = self._db.now()
            this = sa.select(cards, (cards.c.next_attempt_at > now).label("is_held")).where(_is(card)).with_for_update()
            row = (await connection.execute(this)).one_or_none()
            if row is None or row.times_deleted != card.times_deleted or row.message_ts not in (None, ts):
                return False
            if row.message_ts == ts:
                return True
            if row.lease is not None and row.is_held:
                return None
            posted = {
                "message_ts": ts,
                "rendered_version": card.rendered_version,
                "rendered_at": now,
                "lease": None,
                "has_news": has_news(),
                "unconfirmed_until": None,
                # NULL means that the follow is paused.
                "next_attempt_at": sa.case((cards.c.next_attempt_at.is_(None), sa.null()), else_=now),
            }
            await connection.execute(sa.update(cards).where(_is(card)).values(posted))
            return True

    async def report_reply(self, card: DueCard, seq: int, ts: str) -> bool:
        """Report an announcement that was sent by a holder that has since lost the lease.

        Return False if another message had already announced the change. If the next holder is announcing it right now,
        `mark_sent` returns True to that holder.
        """
        this = _is_announcement(card, seq)
        async with self._db.transaction() as connection:
            unsent = sa.update(announcements).where(this, announcements.c.sent_at.is_(None))
            await connection.execute(unsent.values(sent_ts=ts, sent_at=self._db.now()))
            posted: str | None = await connection.scalar(sa.select(announcements.c.sent_ts).where(this))
            return posted in (None, ts)

    async def report_edit(self, card: DueCard, *, unconfirmed: bool) -> bool:
        """Report an edit by a holder that has since lost the lease, so that the next holder edits the card once more.

        `unconfirmed`: that edit got no answer. Return False if the card no longer exists.
        """
        paused = sa.exists().where(follows.c.id == cards.c.follow_id, follows.c.state == FollowState.PAUSED)
        async with self._db.transaction() as connection:
            until = self._db.now() + (self._late_seconds if unconfirmed else 0.0)
            unsure = {
                "unconfirmed_until": until,
                "next_attempt_at": sa.case(
                    (paused, cards.c.next_attempt_at), else_=sa.func.coalesce(cards.c.next_attempt_at, until)
                ),
            }
            return (await connection.execute(sa.update(cards).where(_is(card)).values(unsure))).rowcount == 1

    async def remove_ended(self, follow: Follow) -> bool:
        """Delete a past follow if its card says that the meeting is followed again, or never will."""
        async with self._db.transaction() as connection:
            await lock(connection, [follow.meeting_id])
            replaced = sa.delete(follows).where(follows.c.id == follow.id, is_replaced())
            return (await connection.execute(replaced)).rowcount == 1

    async def due_in(self, *, edits: bool = True) -> float | None:
        """Return the seconds until a card is due, 0 if one is, None if there is no work. Without `edits`, only cards
        with news count."""
        async with self._db.read_only() as connection:
            now = self._db.now()
            news = await due_in(
                connection, cards.c.next_attempt_at, now, cards.c.has_news == sa.true(), ~is_blocked_by_previous()
            )
            edit = (
                await due_in(connection, cards.c.next_attempt_at, now, cards.c.has_news == sa.false())
                if edits
                else None
            )
        return min((wait for wait in (news, edit) if wait is not None), default=None)

    async def _update(self, card: DueCard, unconfirmed_seq: int | None = None, **values: Any) -> None:
        async with self._db.transaction() as connection:
            leased = sa.update(cards).where(_is(card), cards.c.lease == card.lease.token)
            updated = await connection.execute(leased.values(values))
            if unconfirmed_seq is not None and updated.rowcount == 1:
                unanswered = sa.update(announcements).where(_is_announcement(card, unconfirmed_seq))
                await connection.execute(unanswered.values(unconfirmed=True))
        if updated.rowcount != 1:
            raise LeaseLost

    async def _write(self, card: DueCard, **step: Any) -> Written:
        lease = card.lease
        step |= {"failing": card.failing}
        update = CardUpdate(card.follow.id, card.episode, lease.token, lease.seconds, **step)
        written = await self._updates.write(update)
        if written is Written.LEASE_LOST:
            raise LeaseLost
        return written


async def _due(
    connection: AsyncConnection, now: sa.ColumnElement[float], limit: int, *conditions: sa.ColumnElement[bool]
) -> list[tuple[UUID, int]]:
    if limit <= 0:
        return []
    # Skip rows that another replica is claiming right now instead of waiting for them.
    due = (
        sa.select(cards.c.follow_id, cards.c.episode)
        .where(cards.c.next_attempt_at.is_not(None), is_due(cards.c.next_attempt_at, now), *conditions)
        .order_by(cards.c.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [(row.follow_id, row.episode) for row in await connection.execute(due)]


def _is(card: DueCard) -> sa.ColumnElement[bool]:
    return sa.and_(cards.c.follow_id == card.follow.id, cards.c.episode == card.episode)


def _is_announcement(card: DueCard, seq: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        announcements.c.follow_id == card.follow.id,
        announcements.c.episode == card.episode,
        announcements.c.seq == seq,
    )


def _confirmed_until(card: DueCard, version: int | None) -> float | None:
    return card.unconfirmed_until if version is not None and card.may_be_overwritten else None


async def _drop_expiry_of_followed_again(
    connection: AsyncConnection, now: sa.ColumnElement[float], due: list[DueCard]
) -> list[DueCard]:
    """Drop the announcements that a follow has expired where the channel follows the meeting again."""
    again = {card.follow.id for card in due if card.is_followed_again and card.announcements}
    if not again:
        return due
    own = sa.and_(announcements.c.seq < 0, announcements.c.sent_at.is_(None))
    dropped = sa.update(announcements).where(announcements.c.follow_id.in_(again), own)
    # A sent_at without a sent_ts marks an announcement as dropped.
    await connection.execute(dropped.values(sent_at=now, sent_ts=None))
    return [
        replace(card, announcements=tuple(each for each in card.announcements if each.seq > 0))
        if card.follow.id in again
        else card
        for card in due
    ]
