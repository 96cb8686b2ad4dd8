"""Follows whose channels the bot may not post in: set aside, told of once, and taken up again."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.announcing import LATE_SECONDS, DueCard
from bot.store.cards import has_news
from bot.store.database import Database
from bot.store.follows import activate
from bot.store.leases import after, is_due
from bot.store.meetings import lock
from bot.store.tables import CURRENT, FollowState, announcements, cards, follows, meetings
from bot.store.values import Follow, follow_from

_PAUSED = follows.c.state == FollowState.PAUSED


def _last_words(follow_id: UUID) -> sa.Delete:
    """What was still to be said of a follow that is over: nobody takes it up again."""
    over = sa.select(follows.c.id).where(follows.c.id == follow_id, follows.c.state == FollowState.EXPIRED)
    return sa.delete(announcements).where(announcements.c.follow_id.in_(over), announcements.c.sent_at.is_(None))


@dataclass(frozen=True, slots=True)
class Untold:
    """One person who does not know yet that the bot cannot post in a channel where they follow meetings."""

    follow: Follow
    """The first one that is paused."""
    names: tuple[str | None, ...]
    """Of all meetings that they follow there, that one's first."""
    is_known: bool
    """Whether they were told of another one in this channel, which is still paused."""
    attempts: int
    """How often it was tried to tell them."""


class Pauses:
    """What becomes of a follow when Slack refuses, and when it does not any more."""

    def __init__(self, db: Database, late_seconds: float = LATE_SECONDS) -> None:
        self._db = db
        self._late_seconds = late_seconds

    async def pause(self, card: DueCard, reason: str) -> Follow | None:
        """Set aside the follow of a card that cannot be posted; `reason` is Slack's word for why.

        The follow, if it is paused from now on; None where the lease was lost, or the follow is over anyway. Nothing is
        told there until it is active again; what was still to be told then is.
        """
        async with self._db.writing() as connection:
            await lock(connection, [card.follow.meeting_id])
            held = sa.select(cards.c.episode).where(
                cards.c.follow_id == card.follow.id,
                cards.c.episode == card.episode,
                cards.c.lease == card.lease.token,
            )
            if await connection.scalar(held.with_for_update()) is None:
                return None
            # All of its cards: whoever is at another one finds out by itself, or has lost it.
            at_rest = (
                sa.update(cards)
                .where(cards.c.follow_id == card.follow.id)
                .values(due_at=None, lease=None, failing=None)
            )
            await connection.execute(at_rest)
            await connection.execute(_last_words(card.follow.id))
            active = sa.and_(follows.c.id == card.follow.id, follows.c.state == FollowState.ACTIVE)
            paused = sa.update(follows).where(active)
            paused = paused.values(
                state=FollowState.PAUSED,
                reason=reason,
                paused_at=self._db.now(),
                told=False,
                notice_at=None,
                notice_attempts=0,
                notice_error=None,
            )
            row = (await connection.execute(paused.returning(*follows.c))).mappings().one_or_none()
            return None if row is None else follow_from(dict(row))

    async def resume(self, team_id: str, channel_id: str) -> list[Follow]:
        """Go on with what is paused in this channel; what was left to do there is due. Those that go on.

        What is active there is not paused by an answer of Slack's to what it was asked before.
        """
        here = sa.and_(follows.c.team_id == team_id, follows.c.channel_id == channel_id, sa.text(CURRENT))
        followed = sa.select(follows).where(here)
        async with self._db.writing() as connection:
            rows = (await connection.execute(followed)).mappings().all()
            await lock(connection, [row["meeting_id"] for row in rows])
            # Once more, since what was seen before the lock may have changed; no others, which are not locked.
            locked = followed.where(follows.c.id.in_([row["id"] for row in rows]))
            still = locked.where(follows.c.state == FollowState.PAUSED)
            rows = (await connection.execute(still)).mappings().all()
            active = locked.where(follows.c.state == FollowState.ACTIVE).with_only_columns(follows.c.id)
            await self._take_leases(connection, list(await connection.scalars(active)))
            await activate(connection, self._db.now(), [follow_from(dict(row)) for row in rows])
            now_active = sa.select(follows).where(follows.c.id.in_([row["id"] for row in rows]))
            resumed = await connection.execute(now_active.order_by(follows.c.created_at, follows.c.id))
            return [follow_from(dict(row)) for row in resumed.mappings()]

    async def _take_leases(self, connection: AsyncConnection, follow_ids: list[UUID]) -> None:
        """Take the leases of cards that are worked on. They are due when the leases would have ended, since what Slack
        was asked for just now may be done, which their holders report."""
        held = sa.update(cards).where(cards.c.follow_id.in_(follow_ids), cards.c.lease.is_not(None))
        late = self._db.now() + self._late_seconds
        await connection.execute(held.values(lease=None, unconfirmed_until=late, has_news=has_news()))

    async def untold(self, limit: int) -> list[Untold]:
        """Return whom to tell now that follows of theirs are paused, one for each person and channel."""
        pair = (follows.c.team_id, follows.c.channel_id, follows.c.created_by)
        notice_at = sa.func.max(follows.c.notice_at)
        async with self._db.reading() as connection:
            now = self._db.now()
            due = (
                sa.select(*pair, sa.func.max(follows.c.notice_attempts).label("attempts"))
                .where(_PAUSED, ~follows.c.told)
                .group_by(*pair)
                .having(sa.or_(notice_at.is_(None), is_due(notice_at, now)))
                .order_by(sa.func.min(follows.c.paused_at), *pair)
                .limit(limit)
            )
            attempts = {tuple(row[:3]): row.attempts for row in await connection.execute(due)}
            if not attempts:
                return []
            theirs = (
                sa.select(follows, meetings.c.name)
                .join(meetings, meetings.c.meeting_id == follows.c.meeting_id)
                .where(sa.tuple_(*pair).in_(list(attempts)))
                .where(sa.text(CURRENT))
                .order_by(follows.c.paused_at, follows.c.created_at, follows.c.id)
            )
            found = defaultdict(list)
            for row in (await connection.execute(theirs)).mappings():
                found[row["team_id"], row["channel_id"], row["created_by"]].append(row)
        # Of each person in the order in which the notices are due.
        return [_untold(found[key], attempts[key]) for key in attempts if found[key]]

    async def mark_told(self, untold: Untold, error: str | None = None) -> None:
        """Note that the person was told of what is paused in the channel, or with `error`, why that cannot be."""
        async with self._db.writing() as connection:
            told = sa.update(follows).where(_of(untold.follow))
            await connection.execute(told.values(told=True, notice_error=error))

    async def postpone_notice(self, untold: Untold, seconds: float, *, error: str | None = None) -> None:
        """Try to tell the person in so many seconds, half an hour at most; with `error`, an attempt has failed."""
        async with self._db.writing() as connection:
            again: dict[str, Any] = {"notice_at": after(self._db.now(), seconds)}
            if error is not None:
                again |= {"notice_attempts": follows.c.notice_attempts + 1, "notice_error": error}
            await connection.execute(sa.update(follows).where(_of(untold.follow)).values(again))


def _of(follow: Follow) -> sa.ColumnElement[bool]:
    """Return the condition for what is paused in the follow's channel and not told to its creator."""
    return sa.and_(
        follows.c.team_id == follow.team_id,
        follows.c.channel_id == follow.channel_id,
        follows.c.created_by == follow.created_by,
        _PAUSED,
        ~follows.c.told,
    )


def _untold(rows: Sequence[sa.RowMapping], attempts: int) -> Untold:
    paused = [row for row in rows if row["state"] == FollowState.PAUSED]
    new = [row for row in paused if not row["told"]]
    others = [row for row in rows if row["id"] != new[0]["id"]]
    return Untold(
        follow=follow_from(dict(new[0])),
        names=tuple(row["name"] for row in [new[0], *others]),
        is_known=len(new) < len(paused),
        attempts=attempts,
    )
