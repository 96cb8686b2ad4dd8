"""How many questions Cloudflare still takes of us, counted where all replicas see it."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database, insert
from bot.store.tables import budget

WINDOW_SECONDS = 300
_SLOT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Used:
    """Requests in the window: all of them, and those for people."""

    all: int = 0
    people: int = 0


class Budget:
    """A sliding window of five minutes, in slots of half a minute.

    Nobody knows when Cloudflare's own window begins. So a slot counts until all of it is five minutes old: there are
    never more questions in any five minutes than this says.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def spend(self, count: int, people: int = 0) -> Used:
        """Count so many more requests, some of them for people; return how many count now, of all replicas."""
        async with self._db.writing() as connection:
            spent = insert(connection, budget).values(slot=self._slot(), used=count, people=people)
            added = {
                "used": budget.c.used + spent.excluded.used,
                "people": budget.c.people + spent.excluded.people,
            }
            counted = spent.on_conflict_do_update(index_elements=[budget.c.slot], set_=added)
            return await _sum(connection, await connection.scalar(counted.returning(budget.c.slot)))

    async def used(self) -> Used:
        """Return how many requests count now."""
        async with self._db.reading() as connection:
            return await _sum(connection, self._slot())

    def _slot(self) -> sa.ColumnElement[int]:
        return sa.cast(self._db.now(), sa.BigInteger) // _SLOT_SECONDS * _SLOT_SECONDS


async def _sum(connection: AsyncConnection, current: Any) -> Used:
    # Not what lies ahead: a clock that was set back does not spend the budget of an hour.
    counting = budget.c.slot.between(current - WINDOW_SECONDS, current)
    sums = [sa.func.coalesce(sa.func.sum(column), 0) for column in (budget.c.used, budget.c.people)]
    row = (await connection.execute(sa.select(*sums).where(counting))).one()
    return Used(int(row[0]), int(row[1]))
