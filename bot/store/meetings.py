"""Meeting rows. A transaction that changes a meeting's follows or cards locks its row first."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.leases import is_due
from bot.store.schema import BUSY, CURRENT, follows, meetings, singleton_jobs

WHOLE_LIST = "whole list"
"""The singleton job that records when the full list of livestreams was last read: one row for all idle meetings."""
LIST_SECONDS = 90.0
"""How long a list stays fresh: twice the longest interval between two lists."""
CHECK_SPACING_SECONDS = 2.0
"""The minimum time between two checks of a meeting, however often a check is requested."""
_LAST_LIST_AT = sa.select(singleton_jobs.c.last_run_at).where(singleton_jobs.c.name == WHOLE_LIST).scalar_subquery()


async def lock(connection: AsyncConnection, meeting_ids: Iterable[UUID]) -> None:
    """Lock these meetings until the transaction ends, so that their follows and followers stay the same."""
    # Always lock in the same order, to prevent deadlocks.
    ids = sa.select(meetings.c.meeting_id).where(meetings.c.meeting_id.in_(list(meeting_ids)))
    await connection.execute(ids.order_by(meetings.c.meeting_id).with_for_update())


def check_now_values(now: sa.ColumnElement[float], spacing: float = 0.0) -> dict[str, Any]:
    """Return the values that request a check; `spacing` is the minimum number of seconds since the last check."""
    just_checked = meetings.c.checked_at.between(now - spacing, now)
    earliest = sa.case((just_checked, meetings.c.checked_at + spacing), else_=now)
    # During a check next_check_at is the end of the lease and stays; check_requested makes the meeting due on release.
    waits = sa.and_(meetings.c.lease.is_(None), meetings.c.next_check_at > earliest)
    return {
        "check_requested": True,
        "idle": False,
        "next_check_at": sa.case((waits, earliest), else_=meetings.c.next_check_at),
    }


async def is_list_fresh(connection: AsyncConnection, now: sa.ColumnElement[float]) -> bool:
    """Return whether the full list was read so recently that idle meetings need no check of their own."""
    return bool(await connection.scalar(sa.select(_LAST_LIST_AT.between(now - LIST_SECONDS, now))))


def may_be_due(*, list_is_fresh: bool) -> sa.ColumnElement[bool] | sa.TextClause:
    """Return the condition for meetings that may be due; with a fresh list, idle meetings are not scanned."""
    return sa.text(BUSY) if list_is_fresh else meetings.c.next_check_at.is_not(None)


async def count_due(connection: AsyncConnection, now: sa.ColumnElement[float]) -> int:
    """Return how many meetings are due."""
    condition = may_be_due(list_is_fresh=await is_list_fresh(connection, now))
    query = sa.select(sa.func.count()).select_from(meetings).where(condition, is_due(meetings.c.next_check_at, now))
    return int(await connection.scalar(query) or 0)


def last_checked(now: sa.ColumnElement[float]) -> sa.ColumnElement[float | None]:
    """Return when a meeting was last confirmed: for an idle one, when the full list was last read."""
    confirmed = sa.and_(meetings.c.idle, _LAST_LIST_AT.between(meetings.c.last_checked_at, now))
    return sa.case((confirmed, _LAST_LIST_AT), else_=meetings.c.last_checked_at)


async def stop_checking(connection: AsyncConnection, meeting_ids: Iterable[UUID]) -> None:
    """Stop checking those of these locked meetings that have no current follow."""
    followed = sa.exists().where(follows.c.meeting_id == meetings.c.meeting_id, sa.text(CURRENT))
    # Without the lease, a check in progress records nothing.
    stopped = {"next_check_at": None, "lease": None, "check_requested": False}
    unfollowed = sa.update(meetings).where(meetings.c.meeting_id.in_(list(meeting_ids)), ~followed)
    await connection.execute(unfollowed.values(stopped))
