"""Leases for work that replicas share: one replica claims a due row for a while, and only that one may write to it.

One column says when a row is due. A claim moves that time to the end of the lease, so a row that is not released by
then becomes due again. Each claim writes a unique token into the row. A holder that lost its lease, even to a later
claim of its own, no longer finds its token there.
"""

from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

MAX_WAIT_SECONDS = 30 * 60.0
"""No wait is longer, so a row that is due later got its time before a clock was set back."""


class LeaseLost(Exception):
    """Nothing was written: another worker has the row's lease, or may have it, or the row no longer exists."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The exclusive right to write to a row for as long as the row holds this token."""

    token: str
    seconds: float
    deadline: float
    """In monotonic time. After it the holder stops, since another worker may have claimed the row."""


def new_lease(worker_id: str, seconds: float, requested_at: float) -> Lease:
    """Return a lease for one claim; `requested_at` is monotonic time, read before the database is queried."""
    return Lease(f"{worker_id} {uuid4().hex}", seconds, deadline(requested_at, seconds))


def deadline(requested_at: float, seconds: float) -> float:
    """Return when the holder stops: after 90 % of the lease, since clocks run at slightly different speeds."""
    return requested_at + 0.9 * seconds


def after(now: sa.ColumnElement[float], seconds: float) -> sa.ColumnElement[float]:
    """Return the time `seconds` from now, capped at half an hour."""
    return now + min(max(seconds, 0.0), MAX_WAIT_SECONDS)


def is_due(due_at: sa.ColumnElement[float], now: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    """Return whether a row is due. NULL is never due."""
    return sa.or_(due_at <= now, due_at > now + MAX_WAIT_SECONDS)


async def due_in(
    connection: AsyncConnection,
    due_at: sa.ColumnElement[float],
    now: sa.ColumnElement[float],
    *conditions: sa.ColumnElement[bool] | sa.TextClause,
) -> float | None:
    """Return the seconds until the next row that meets the conditions is due.

    That is 0 if one is due, and None if no row has a due time.
    """
    # NOT NULL matches the partial index, which is read only up to the first row that counts.
    first = sa.select(due_at - now).where(due_at.is_not(None), *conditions).order_by(due_at).limit(1)
    wait: float | None = await connection.scalar(first)
    if wait is None:
        return None
    return 0.0 if wait > MAX_WAIT_SECONDS else max(0.0, wait)
