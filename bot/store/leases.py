"""Work that several replicas share: a row is due, one of them claims it for a while, and it alone may write.

One column says when a row is due. A claim moves it to the end of the lease: if nobody gives the row back by then, it is
due again by itself. A lease is a word that no other claim has, so whoever lost it, even to a later claim of its own,
finds that the row no longer bears it.
"""

from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

LONGEST_WAIT = 30 * 60.0
"""Seconds. No wait is longer, so what seems to be due later than that was dated by a clock that has been set back."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write, as long as the row bears this token."""

    token: str
    seconds: float
    deadline: float
    """In monotonic time: past it the holder does nothing more, since another one may have claimed the row."""


def new_lease(owner: str, seconds: float, asked_at: float) -> Lease:
    """Return a lease for one claim of this owner, asked for at this monotonic time: before the database is."""
    return Lease(f"{owner} {uuid4().hex}", seconds, deadline(asked_at, seconds))


def deadline(asked_at: float, seconds: float) -> float:
    """Return when the holder stops, a tenth before the lease ends, since clocks do not run at quite the same pace."""
    return asked_at + 0.9 * seconds


def after(now: sa.ColumnElement[float], seconds: float) -> sa.ColumnElement[float]:
    """The time so many seconds from now, half an hour at most."""
    return now + min(max(seconds, 0.0), LONGEST_WAIT)


def is_due(due_at: sa.ColumnElement[float], now: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    """Whether it is time. NULL is never due."""
    return sa.or_(due_at <= now, due_at > now + LONGEST_WAIT)


async def due_in(
    connection: AsyncConnection,
    due_at: sa.ColumnElement[float],
    now: sa.ColumnElement[float],
    *which: sa.ColumnElement[bool] | sa.TextClause,
) -> float | None:
    """Seconds until the next row is due, 0 if one is; None if there is nothing to wait for. `which` leaves out some."""
    # NOT NULL, so that the partial index answers it, as far as the first row that counts.
    first = sa.select(due_at - now).where(due_at.is_not(None), *which).order_by(due_at).limit(1)
    wait: float | None = await connection.scalar(first)
    if wait is None:
        return None
    return 0.0 if wait > LONGEST_WAIT else max(0.0, wait)
