"""Changes of a workspace that affect its follows: channels with new IDs, and the removal of the app."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import FollowState
from bot.store.card_queue import LATE_SECONDS
from bot.store.cards import revoke_leases, wake_unfinished
from bot.store.database import Database
from bot.store.meetings import lock, stop_checking
from bot.store.past_follows import end, show_followed_again
from bot.store.schema import CURRENT, follows

_BATCH_SIZE = 100


class WorkspaceChanges:
    """Moves and deletes follows when Slack changes the ID of their channel, or a workspace removes the app."""

    def __init__(self, db: Database, late_seconds: float = LATE_SECONDS) -> None:
        self._db = db
        self._late_seconds = late_seconds

    async def move_channel(self, team_id: str, old_id: str, new_id: str) -> int:
        """Move a channel's follows to its new ID; return how many.

        Where both IDs have a follow of the same meeting, one ends and its cards show that: the moved one, unless only
        that one is active.
        """
        if old_id == new_id:
            return 0
        moved = 0
        while count := await self._move_batch(team_id, old_id, new_id):
            moved += count
        return moved

    async def forget(self, team_id: str) -> int:
        """Delete all follows of a workspace with their cards and announcements; return how many follows.

        Each transaction deletes at most a hundred, so that other writers are not held up.
        """
        deleted = 0
        while count := await self._delete_batch(team_id):
            deleted += count
        return deleted

    async def _move_batch(self, team_id: str, old_id: str, new_id: str) -> int:
        condition = sa.and_(follows.c.team_id == team_id, follows.c.channel_id == old_id)
        new_ids = {"channel_id": new_id}
        async with self._db.transaction() as connection:
            some = sa.select(follows).where(condition).order_by(follows.c.id).limit(_BATCH_SIZE)
            rows = (await connection.execute(some)).mappings().all()
            meeting_ids = {row["meeting_id"] for row in rows}
            await lock(connection, meeting_ids)
            # Read again: the rows may have changed before they were locked.
            still = sa.select(follows).where(condition, follows.c.id.in_([row["id"] for row in rows]))
            now = self._db.now()
            moved: dict[UUID, FollowState] = {}
            for row in (await connection.execute(still)).mappings():
                if await self._can_move(connection, now, dict(row) | new_ids):
                    await connection.execute(sa.update(follows).where(follows.c.id == row["id"]).values(new_ids))
                    moved[row["id"]] = row["state"]
                else:
                    await end(connection, now, self._late_seconds, row["id"], **new_ids)
            # Slack may answer a card's holder that the old channel does not exist. Without the lease, that error does
            # not pause a follow, nor give up the last edit of one that is over.
            await revoke_leases(connection, now, self._late_seconds, moved)
            active = [follow_id for follow_id, state in moved.items() if state == FollowState.ACTIVE]
            await wake_unfinished(connection, now, active)
            await show_followed_again(connection, now, team_id, new_id, meeting_ids)
            await stop_checking(connection, meeting_ids)
            return len(rows)

    async def _can_move(
        self, connection: AsyncConnection, now: sa.ColumnElement[float], follow: dict[str, Any]
    ) -> bool:
        """Return whether the follow can move; end a paused follow at its destination in favor of an active one.

        A follow that is over can always move: it moves only so that its cards can show the end.
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

    async def _delete_batch(self, team_id: str) -> int:
        theirs = sa.select(follows.c.id, follows.c.meeting_id).where(follows.c.team_id == team_id)
        async with self._db.transaction() as connection:
            rows = (await connection.execute(theirs.order_by(follows.c.id).limit(_BATCH_SIZE))).all()
            meeting_ids = {row.meeting_id for row in rows}
            await lock(connection, meeting_ids)
            await connection.execute(sa.delete(follows).where(follows.c.id.in_([row.id for row in rows])))
            await stop_checking(connection, meeting_ids)
            return len(rows)
