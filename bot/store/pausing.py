"""Follows whose channels the bot may not post in: set aside, told of once, and taken up again."""

from uuid import UUID

import sqlalchemy as sa

from bot.store.announcing import DueCard
from bot.store.database import Database
from bot.store.follows import activate
from bot.store.meetings import lock
from bot.store.tables import FollowState, announcements, cards, follows
from bot.store.values import Follow, follow_from


def _last_words(follow_id: UUID) -> sa.Delete:
    """What was still to be said of a follow that is over: nobody takes it up again."""
    over = sa.select(follows.c.id).where(follows.c.id == follow_id, follows.c.state == FollowState.EXPIRED)
    return sa.delete(announcements).where(announcements.c.follow_id.in_(over), announcements.c.sent_at.is_(None))


class Pauses:
    """What becomes of a follow when Slack refuses, and when it does not any more."""

    def __init__(self, db: Database) -> None:
        self._db = db

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
            at_rest = sa.update(cards).where(cards.c.follow_id == card.follow.id).values(due_at=None, lease=None)
            await connection.execute(at_rest)
            await connection.execute(_last_words(card.follow.id))
            active = sa.and_(follows.c.id == card.follow.id, follows.c.state == FollowState.ACTIVE)
            paused = sa.update(follows).where(active)
            paused = paused.values(state=FollowState.PAUSED, reason=reason, paused_at=self._db.now(), told=False)
            row = (await connection.execute(paused.returning(*follows.c))).mappings().one_or_none()
            return None if row is None else follow_from(dict(row))

    async def resume(self, team_id: str, channel_id: str) -> list[Follow]:
        """Go on with what is paused in this channel; what was left to do there is due. Those that go on."""
        paused = sa.select(follows).where(
            follows.c.team_id == team_id, follows.c.channel_id == channel_id, follows.c.state == FollowState.PAUSED
        )
        async with self._db.writing() as connection:
            rows = (await connection.execute(paused)).mappings().all()
            await lock(connection, [row["meeting_id"] for row in rows])
            # Once more, since what was seen before the lock may have changed; no others, which are not locked.
            still = paused.where(follows.c.id.in_([row["id"] for row in rows]))
            rows = (await connection.execute(still)).mappings().all()
            await activate(connection, self._db.now(), [follow_from(dict(row)) for row in rows])
            now_active = sa.select(follows).where(follows.c.id.in_([row["id"] for row in rows]))
            resumed = await connection.execute(now_active.order_by(follows.c.created_at, follows.c.id))
            return [follow_from(dict(row)) for row in resumed.mappings()]

    async def untold(self, limit: int) -> list[Follow]:
        """Paused follows whose creators have not been told of it."""
        waiting = sa.select(follows).where(follows.c.state == FollowState.PAUSED, ~follows.c.told)
        async with self._db.reading() as connection:
            rows = (await connection.execute(waiting.order_by(follows.c.id).limit(limit))).mappings()
            return [follow_from(dict(row)) for row in rows]

    async def mark_told(self, follow: Follow) -> None:
        """Its creator was told of this pause."""
        this = sa.and_(follows.c.id == follow.id, follows.c.state == FollowState.PAUSED)
        async with self._db.writing() as connection:
            await connection.execute(sa.update(follows).where(this).values(told=True))
