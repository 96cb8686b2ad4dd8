"""Paused follows, in channels where the bot may not post: pausing, one notice to their creator, and resuming."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bot.store.announcing import LATE_SECONDS, DueCard
from bot.store.cards import take_leases
from bot.store.database import Database
from bot.store.follows import activate
from bot.store.leases import after, is_due
from bot.store.meetings import lock
from bot.store.tables import CURRENT, FollowState, announcements, cards, follows, meetings
from bot.store.values import Follow, follow_from

_PAUSED = follows.c.state == FollowState.PAUSED


def _last_words(follow_id: UUID) -> sa.Delete:
    """Return the deletion of an expired follow's unsent announcements: it will not be resumed."""
    over = sa.select(follows.c.id).where(follows.c.id == follow_id, follows.c.state == FollowState.EXPIRED)
    return sa.delete(announcements).where(announcements.c.follow_id.in_(over), announcements.c.sent_at.is_(None))


@dataclass(frozen=True, slots=True)
class Untold:
    """A pending notice to a person that the bot cannot post in a channel where they created follows."""

    follow: Follow
    """The first one that was paused without a notice."""
    names: tuple[str | None, ...]
    """The names of all meetings that they follow there, that follow's first."""
    is_known: bool
    """Whether they already received a notice about another follow in this channel, which is still paused."""
    attempts: int
    """Number of failed attempts to send the notice."""


class Pauses:
    """Pausing follows when Slack refuses their cards, resuming them, and the notices about it."""

    def __init__(self, db: Database, late_seconds: float = LATE_SECONDS) -> None:
        self._db = db
        self._late_seconds = late_seconds

    async def pause(self, card: DueCard, reason: str) -> Follow | None:
        """Pause the follow of a card that cannot be posted; `reason` is Slack's code for why.

        Return the follow, or None if the lease was lost or the follow is no longer active. Announcements wait until the
        follow is active again, and are then sent if they are still true.
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
            # Release all of its cards; the holders of others find their leases lost.
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

    async def channels_paused(self, reasons: Collection[str]) -> list[tuple[str, str]]:
        """Return the team and channel IDs of the channels with follows that are paused for one of these reasons."""
        place = (follows.c.team_id, follows.c.channel_id)
        paused = sa.select(*place).distinct().where(_PAUSED, follows.c.reason.in_(reasons)).order_by(*place)
        async with self._db.reading() as connection:
            return [(row.team_id, row.channel_id) for row in await connection.execute(paused)]

    async def resume(self, team_id: str, channel_id: str, reasons: Collection[str] | None = None) -> list[Follow]:
        """Resume the paused follows in this channel, make their unfinished cards due, and return them.

        With `reasons`, only those that are paused for one of these are resumed.
        Slack's answer to an earlier request cannot pause the channel's active follows afterwards.
        """
        here = sa.and_(follows.c.team_id == team_id, follows.c.channel_id == channel_id, sa.text(CURRENT))
        followed = sa.select(follows).where(here)
        async with self._db.writing() as connection:
            rows = (await connection.execute(followed)).mappings().all()
            await lock(connection, [row["meeting_id"] for row in rows])
            # Read again: the rows may have changed before they were locked. Leave out new rows, which are not locked.
            locked = followed.where(follows.c.id.in_([row["id"] for row in rows]))
            still = locked.where(_PAUSED)
            if reasons is not None:
                still = still.where(follows.c.reason.in_(reasons))
            rows = (await connection.execute(still)).mappings().all()
            active = locked.where(follows.c.state == FollowState.ACTIVE).with_only_columns(follows.c.id)
            await take_leases(connection, self._db.now(), self._late_seconds, list(await connection.scalars(active)))
            await activate(connection, self._db.now(), [follow_from(dict(row)) for row in rows])
            now_active = sa.select(follows).where(follows.c.id.in_([row["id"] for row in rows]))
            resumed = await connection.execute(now_active.order_by(follows.c.created_at, follows.c.id))
            return [follow_from(dict(row)) for row in resumed.mappings()]

    async def untold(self, limit: int) -> list[Untold]:
        """Return the notices about paused follows that are due, one for each person and channel."""
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
        # In the order in which the notices are due.
        return [_untold(found[key], attempts[key]) for key in attempts if found[key]]

    async def mark_told(self, untold: Untold, error: str | None = None) -> None:
        """Record that the notice was sent, or, with `error`, why it cannot be."""
        async with self._db.writing() as connection:
            told = sa.update(follows).where(_of(untold.follow))
            await connection.execute(told.values(told=True, notice_error=error))

    async def postpone_notice(self, untold: Untold, seconds: float, *, error: str | None = None) -> None:
        """Make the notice due in `seconds`, capped at half an hour; with `error`, count a failed attempt."""
        async with self._db.writing() as connection:
            again: dict[str, Any] = {"notice_at": after(self._db.now(), seconds)}
            if error is not None:
                again |= {"notice_attempts": follows.c.notice_attempts + 1, "notice_error": error}
            await connection.execute(sa.update(follows).where(_of(untold.follow)).values(again))


def _of(follow: Follow) -> sa.ColumnElement[bool]:
    """Return the condition for paused follows in this channel by this creator that need a notice."""
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
