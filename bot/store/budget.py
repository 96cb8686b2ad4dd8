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

    Nobody knows when Cloudflare's own window begins. So a slot counts until all of it is five minutes old: there are
    never more questions in any five minutes than this says.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def spend(self, count: int) -> int:
        """Count so many more questions; how many count now, these and everybody's."""
        async with self._db.writing() as connection:
            spent = insert(connection, budget).values(slot=self._slot(), used=count)
            added = {"used": budget.c.used + spent.excluded.used}
            counted = spent.on_conflict_do_update(index_elements=[budget.c.slot], set_=added)
            return await _sum(connection, await connection.scalar(counted.returning(budget.c.slot)))

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
