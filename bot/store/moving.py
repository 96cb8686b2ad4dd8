"""Follows whose channel has another ID from now on, or that were stored under another team."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.announcing import LATE_SECONDS
from bot.store.cards import wake_unfinished
from bot.store.database import Database
from bot.store.follows import end
from bot.store.meetings import lock, rest
from bot.store.tables import CURRENT, FollowState, cards, follows

_AT_ONCE = 100


class Moving:
    """What becomes of follows when Slack calls their place by another name."""

    def __init__(self, db: Database, late_seconds: float = LATE_SECONDS) -> None:
        self._db = db
        self._late_seconds = late_seconds

    async def move_channel(self, team_id: str, old_id: str, new_id: str) -> int:
        """Move a channel's follows to its new ID; return how many.

        What is followed there already stays as it is, and a second follow of the same meeting ends, which its cards
        then show.
        """
        if old_id == new_id:
            return 0
        theirs = sa.and_(follows.c.team_id == team_id, follows.c.channel_id == old_id)
        return await self._move_all(theirs, {"channel_id": new_id})

    async def adopt(self, team_id: str) -> int:
        """Move all follows to this team, the only one that the bot is installed in; return how many."""
        return await self._move_all(follows.c.team_id != team_id, {"team_id": team_id})

    async def _move_all(self, which: sa.ColumnElement[bool], place: dict[str, str]) -> int:
        moved = 0
        while some := await self._move_some(which, place):
            moved += some
        return moved

    async def _move_some(self, which: sa.ColumnElement[bool], place: dict[str, str]) -> int:
        async with self._db.writing() as connection:
            some = sa.select(follows).where(which).order_by(follows.c.id).limit(_AT_ONCE)
            rows = (await connection.execute(some)).mappings().all()
            meeting_ids = {row["meeting_id"] for row in rows}
            await lock(connection, meeting_ids)
            # Once more, since what was seen before the lock may have changed.
            still = sa.select(follows).where(which, follows.c.id.in_([row["id"] for row in rows]))
            now = self._db.now()
            moved: dict[UUID, FollowState] = {}
            for row in (await connection.execute(still)).mappings():
                if await self._makes_room(connection, now, dict(row) | place):
                    await connection.execute(sa.update(follows).where(follows.c.id == row["id"]).values(place))
                    moved[row["id"]] = row["state"]
                else:
                    await end(connection, now, self._late_seconds, row["id"], **place)
            # Whoever works at a card may find that there is no such channel: without the lease that pauses nothing, and
            # leaves no card of a follow that is over as it was.
            held = sa.update(cards).where(cards.c.follow_id.in_(list(moved)), cards.c.lease.is_not(None))
            await connection.execute(held.values(lease=None, due_at=now))
            active = [follow_id for follow_id, state in moved.items() if state == FollowState.ACTIVE]
            await wake_unfinished(connection, now, active)
            await rest(connection, meeting_ids)
            return len(rows)

    async def _makes_room(
        self, connection: AsyncConnection, now: sa.ColumnElement[float], follow: dict[str, Any]
    ) -> bool:
        """Return whether the follow can go to its place: a paused one that is there gives way to one that is active.

        One that is over needs no place of its own: its cards are still to show that.
        """
        rank = {FollowState.ACTIVE: 2, FollowState.PAUSED: 1}
        if follow["state"] not in rank:
            return True
        there = sa.select(follows).where(
            follows.c.team_id == follow["team_id"],
            follows.c.channel_id == follow["channel_id"],
            follows.c.meeting_id == follow["meeting_id"],
            follows.c.id != follow["id"],
            sa.text(CURRENT),
        )
        found = (await connection.execute(there)).mappings().all()
        if any(rank.get(row["state"], 0) >= rank.get(follow["state"], 0) for row in found):
            return False
        for row in found:
            await end(connection, now, self._late_seconds, row["id"])
        return True
