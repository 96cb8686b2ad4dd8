"""Requests sent to Cloudflare in the current window, counted across all replicas for its rate limit."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database, insert
from bot.store.schema import request_windows

WINDOW_SECONDS = 300
_SLOT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Used:
    """Requests in the window: all of them, and those for people's lookups."""

    all: int = 0
    people: int = 0


class RequestWindow:
    """A sliding window of five minutes, in slots of half a minute.

    Cloudflare does not say when its own window begins. So a slot counts until all of it is five minutes old: no five
    minutes contain more requests than this reports.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(self, count: int, people: int = 0) -> Used:
        """Count `count` more requests, `people` of them for people; return the totals of all replicas in the window."""
        async with self._db.transaction() as connection:
            new = insert(connection, request_windows).values(window_start=self._slot(), requests=count, people=people)
            added = {
                "requests": request_windows.c.requests + new.excluded.requests,
                "people": request_windows.c.people + new.excluded.people,
            }
            counted = new.on_conflict_do_update(index_elements=[request_windows.c.window_start], set_=added)
            return await _totals(connection, await connection.scalar(counted.returning(request_windows.c.window_start)))

    async def count(self) -> Used:
        """Return the totals of all replicas in the window."""
        async with self._db.read_only() as connection:
            return await _totals(connection, self._slot())

    def _slot(self) -> sa.ColumnElement[int]:
        return sa.cast(self._db.now(), sa.BigInteger) // _SLOT_SECONDS * _SLOT_SECONDS


async def _totals(connection: AsyncConnection, current: Any) -> Used:
    # Ignore future slots: otherwise a clock that was set back by an hour would use up the limit for that hour.
    counting = request_windows.c.window_start.between(current - WINDOW_SECONDS, current)
    sums = [
        sa.func.coalesce(sa.func.sum(column), 0) for column in (request_windows.c.requests, request_windows.c.people)
    ]
    row = (await connection.execute(sa.select(*sums).where(counting))).one()
    return Used(int(row[0]), int(row[1]))
