"""How many questions Cloudflare still takes of us, counted where all replicas see it."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database, insert
from bot.store.tables import budget

WINDOW_SECONDS = 300
_SLOT_SECONDS = 30


class Budget:
    """A sliding window of five minutes, in slots of half a minute.

    Nobody knows when Cloudflare's own window begins. So a slot counts until all of it is five minutes old, and there
    are never more than `limit` in any five minutes.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def take(self, limit: int, count: int = 1) -> bool:
        """Whether so many more questions may be asked now, counting all of the last five minutes; then they count.

        Who gives a smaller limit leaves the rest to others.
        """
        async with self._db.writing() as connection:
            slot = self._slot()
            # Everybody who takes waits here for the one before, and then sums up what that one has taken.
            opened = insert(connection, budget).values(slot=slot, used=0)
            locked = opened.on_conflict_do_update(index_elements=[budget.c.slot], set_={"used": budget.c.used})
            current = await connection.scalar(locked.returning(budget.c.slot))
            if await _sum(connection, current) + count > limit:
                return False
            taken = sa.update(budget).where(budget.c.slot == current).values(used=budget.c.used + count)
            await connection.execute(taken)
            return True

    async def used(self) -> int:
        """How many questions count now."""
        async with self._db.reading() as connection:
            return await _sum(connection, self._slot())

    def _slot(self) -> sa.ColumnElement[int]:
        return sa.cast(self._db.now(), sa.BigInteger) // _SLOT_SECONDS * _SLOT_SECONDS


async def _sum(connection: AsyncConnection, current: Any) -> int:
    # Not what lies ahead: a clock that was set back does not spend the budget of an hour.
    counting = budget.c.slot.between(current - WINDOW_SECONDS, current)
    return int(await connection.scalar(sa.select(sa.func.coalesce(sa.func.sum(budget.c.used), 0)).where(counting)) or 0)
