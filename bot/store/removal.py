"""Deletion of a workspace's data after it removes the app."""

import sqlalchemy as sa

from bot.store.database import Database
from bot.store.meetings import lock, stop_checking
from bot.store.schema import follows

_AT_ONCE = 100


class Forgetting:
    """Deletion of a workspace's follows when its installation ends."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def forget(self, team_id: str) -> int:
        """Delete all follows of a workspace with their cards and announcements; return how many follows.

        Each transaction deletes at most a hundred, so that other writers are not held up.
        """
        forgotten = 0
        while some := await self._forget_some(team_id):
            forgotten += some
        return forgotten

    async def _forget_some(self, team_id: str) -> int:
        theirs = sa.select(follows.c.id, follows.c.meeting_id).where(follows.c.team_id == team_id)
        async with self._db.transaction() as connection:
            rows = (await connection.execute(theirs.order_by(follows.c.id).limit(_AT_ONCE))).all()
            meeting_ids = {row.meeting_id for row in rows}
            await lock(connection, meeting_ids)
            await connection.execute(sa.delete(follows).where(follows.c.id.in_([row.id for row in rows])))
            await stop_checking(connection, meeting_ids)
            return len(rows)
