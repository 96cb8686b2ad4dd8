"""Meeting rows: what all their users share, and the sweeper's updates of many meetings at once.

A transaction that changes a meeting's follows or cards locks its row first.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.leases import after, is_due
from bot.store.schema import BUSY, CURRENT, IDLE, IDLE_PHASES, ON_AIR, follows, meetings, singleton_jobs

WHOLE_LIST = "whole list"
"""The singleton job that records when the full list of livestreams was last read: one row for all idle meetings."""
LIST_SECONDS = 90.0
"""How long a list stays fresh: twice the longest interval between two lists."""
CHECK_SPACING_SECONDS = 2.0
"""The minimum time between two checks of a meeting, however often a check is requested."""
_LAST_LIST_AT = sa.select(singleton_jobs.c.last_run_at).where(singleton_jobs.c.name == WHOLE_LIST).scalar_subquery()
_BATCH_SIZE = 500
_SEEN_LIVE, _CHECKED = (meetings.c.episode_state[name].as_string() for name in ("last_seen_live", "checked_at"))
_IS_CERTAIN = sa.or_(_SEEN_LIVE.is_(None), _SEEN_LIVE == _CHECKED, meetings.c.phase != "live")
"""Otherwise a live meeting may be in its next episode or in an unknown state: the last check did not see it live."""
_LAST_ANNOUNCED = meetings.c.episode_state["last_announced"].as_string()
NOTHING_PENDING = sa.or_(
    sa.and_(meetings.c.phase == "live", sa.or_(_LAST_ANNOUNCED.is_(None), _LAST_ANNOUNCED != "errored")),
    sa.and_(meetings.c.phase == "errored", _LAST_ANNOUNCED == "errored"),
    meetings.c.phase.not_in(["live", "errored"]),
)
"""An error, or the recovery from one, is announced once it has lasted; the check that does so must not be delayed."""
CONTRADICTED, CHANGED, UNSURE = 0.0, 1.0, 2.0
"""Times that make a meeting due before all others, in this order: the list shows another phase, another livestream,
possibly another session. The sweeper does not request a check instead, because that means that a webhook or a lookup
reported a change."""


async def lock(connection: AsyncConnection, meeting_ids: Iterable[UUID]) -> None:
    """Lock these meetings until the transaction ends, so that their follows and followers stay the same."""
    # Always lock in the same order, to prevent deadlocks.
    ids = sa.select(meetings.c.meeting_id).where(meetings.c.meeting_id.in_(list(meeting_ids)))
    await connection.execute(ids.order_by(meetings.c.meeting_id).with_for_update())


def refresh_values(now: sa.ColumnElement[float], spacing: float) -> dict[str, Any]:
    """Return the values that request a check for a person.

    That changes nothing about the checks that the bot does for itself: people's are counted and claimed apart.
    """
    return {"refresh_at": sa.func.coalesce(meetings.c.refresh_at, _earliest_check(now, spacing))}


def check_now_values(now: sa.ColumnElement[float], spacing: float) -> dict[str, Any]:
    """Return the values that request a check; `spacing` is the minimum number of seconds since the last check."""
    earliest = _earliest_check(now, spacing)
    # During a check next_check_at is the end of the lease and stays; check_requested makes the meeting due on release.
    waits = sa.and_(meetings.c.lease.is_(None), meetings.c.next_check_at > earliest)
    return {
        "check_requested": True,
        **no_longer_idle(now),
        "next_check_at": sa.case((waits, earliest), else_=meetings.c.next_check_at),
    }


def _earliest_check(now: sa.ColumnElement[float], spacing: float) -> sa.ColumnElement[float]:
    just_checked = meetings.c.checked_at.between(now - spacing, now)
    return sa.case((just_checked, meetings.c.checked_at + spacing), else_=now)


async def is_list_fresh(connection: AsyncConnection, now: sa.ColumnElement[float]) -> bool:
    """Return whether the full list was read so recently that idle meetings need no check of their own."""
    return bool(await connection.scalar(sa.select(_LAST_LIST_AT.between(now - LIST_SECONDS, now))))


def may_be_due(*, list_is_fresh: bool) -> sa.ColumnElement[bool] | sa.TextClause:
    """Return the condition for meetings that may be due; with a fresh list, idle meetings are not scanned."""
    return sa.text(BUSY) if list_is_fresh else meetings.c.next_check_at.is_not(None)


async def count_due(connection: AsyncConnection, now: sa.ColumnElement[float]) -> int:
    """Return how many meetings are due for a check, also for one that only a person requested."""
    may_be = may_be_due(list_is_fresh=await is_list_fresh(connection, now))
    scheduled = sa.and_(may_be, is_due(meetings.c.next_check_at, now))
    requested = sa.and_(meetings.c.refresh_at.is_not(None), is_due(meetings.c.refresh_at, now))
    query = sa.select(sa.func.count()).select_from(meetings).where(sa.or_(scheduled, requested))
    return int(await connection.scalar(query) or 0)


def last_checked(now: sa.ColumnElement[float]) -> sa.ColumnElement[float | None]:
    """Return when a meeting was last confirmed: for an idle one, when the full list was last read."""
    confirmed = sa.and_(meetings.c.idle, _LAST_LIST_AT.between(meetings.c.last_checked_at, now))
    return sa.case((confirmed, _LAST_LIST_AT), else_=meetings.c.last_checked_at)


def no_longer_idle(now: sa.ColumnElement[float]) -> dict[str, Any]:
    """Return the values of a meeting that lists no longer check: it keeps the time of the last one."""
    return {"idle": False, "last_checked_at": last_checked(now)}


async def stop_checking(connection: AsyncConnection, meeting_ids: Iterable[UUID]) -> None:
    """Stop checking those of these locked meetings that have no current follow."""
    followed = sa.exists().where(follows.c.meeting_id == meetings.c.meeting_id, sa.text(CURRENT))
    # Without the lease, a check in progress records nothing.
    stopped = {"next_check_at": None, "lease": None, "check_requested": False, "refresh_at": None}
    unfollowed = sa.update(meetings).where(meetings.c.meeting_id.in_(list(meeting_ids)), ~followed)
    await connection.execute(unfollowed.values(stopped))


@dataclass(frozen=True, slots=True)
class Known:
    """A meeting's stored state, for comparison with a list."""

    phase: str
    episode: dict[str, Any]
    unchecked_for: float
    """Seconds since the last check of this meeting; negative if the clock was set back."""


class MeetingSweepStore:
    """The sweeper's part of the store: it applies a list of all livestreams to many meetings at once.

    Transactions are small. A meeting that is being checked, or whose check was requested, is left to that check, which
    sees more.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def is_anything_followed(self) -> bool:
        """Return whether any meeting is followed."""
        first = sa.select(meetings.c.meeting_id).where(meetings.c.next_check_at.is_not(None)).limit(1)
        async with self._db.read_only() as connection:
            return await connection.scalar(first) is not None

    async def on_air(self) -> dict[UUID, Known]:
        """Return the followed meetings whose episode has begun and not ended."""
        return await self._known(sa.text(ON_AIR))

    async def known(self, meeting_ids: Sequence[UUID]) -> dict[UUID, Known]:
        """Return the followed ones of these meetings."""
        found: dict[UUID, Known] = {}
        for batch in _batches(meeting_ids):
            found |= await self._known(meetings.c.meeting_id.in_(batch))
        return found

    async def prioritize(self, meeting_ids: Sequence[UUID], rank: float = CONTRADICTED) -> int:
        """Make these meetings due at this rank, ahead of later ranks; return how many were not due yet."""
        return await self._make_due_at(meeting_ids, sa.literal(rank, sa.Double), rank)

    async def make_due(self, meeting_ids: Sequence[UUID]) -> int:
        """Make these meetings due now, after the prioritized ones; return how many were not due yet."""
        return await self._make_due_at(meeting_ids, self._db.now(), UNSURE)

    async def make_idle_due(self, limit: int, *, unchecked_for: float) -> int:
        """Make up to `limit` idle meetings due, those not checked for longest first; return how many.

        Lists show neither a new title nor that a meeting was deleted. `unchecked_for`: only meetings that were not
        checked for as many seconds.
        """
        now = self._db.now()
        # A later time than now means that the clock was set back.
        is_old = sa.or_(meetings.c.checked_at <= now - unchecked_for, meetings.c.checked_at > now)
        due = {"next_check_at": now, **no_longer_idle(now)}
        return await self._update(due, UNSURE, sa.text(IDLE), is_old, order_by=meetings.c.checked_at, limit=limit)

    async def confirm(self, meeting_ids: Sequence[UUID], phase: str, *, failures: int, next_check_in: float) -> int:
        """Postpone the checks of meetings that a list confirms to be in this phase; return how many were postponed.

        Skipped are meetings in another phase, those being checked, those with `failures` or more failed checks, since
        their cards show that, those whose last check was not certain, and those with an error or recovery to announce.
        """
        is_calm = (meetings.c.phase == phase, meetings.c.consecutive_failures < failures, _IS_CERTAIN, NOTHING_PENDING)
        batches = _batches(meeting_ids)
        return sum(
            [
                await self._confirm(next_check_in, meetings.c.meeting_id.in_(batch), *is_calm, idle=False)
                for batch in batches
            ]
        )

    async def confirm_idle(self, *, failures: int, next_check_in: float) -> int:
        """Mark up to five hundred meetings that wait for a livestream as idle; return how many.

        From then on the time of the last list counts as their last check, and nothing is written for them until a list
        contradicts one, a check is requested, or it is one's turn in `make_idle_due`.
        """
        is_idle = meetings.c.phase.in_(IDLE_PHASES)
        return await self._confirm(
            next_check_in, sa.text(BUSY), is_idle, meetings.c.consecutive_failures < failures, idle=True
        )

    async def _known(self, condition: sa.ColumnElement[bool] | sa.TextClause) -> dict[UUID, Known]:
        checked_at = sa.func.coalesce(meetings.c.checked_at, 0.0)
        columns = (meetings.c.meeting_id, meetings.c.phase, meetings.c.episode_state, self._db.now() - checked_at)
        query = sa.select(*columns).where(condition, meetings.c.next_check_at.is_not(None))
        async with self._db.read_only() as connection:
            return {row[0]: Known(*row[1:]) for row in await connection.execute(query)}

    async def _make_due_at(self, meeting_ids: Sequence[UUID], when: sa.ColumnElement[float], rank: float) -> int:
        due = {"next_check_at": when, **no_longer_idle(self._db.now())}
        batches = _batches(meeting_ids)
        return sum([await self._update(due, rank, meetings.c.meeting_id.in_(batch)) for batch in batches])

    async def _confirm(
        self, next_check_in: float, *conditions: sa.ColumnElement[bool] | sa.TextClause, idle: bool
    ) -> int:
        now = self._db.now()
        seen = {
            "next_check_at": after(now, next_check_in),
            "last_checked_at": now,
            "consecutive_failures": 0,
            "idle": idle,
        }
        return await self._update(seen, UNSURE, *conditions)

    async def _update(
        self,
        values: dict[str, Any],
        rank: float,
        *conditions: sa.ColumnElement[bool] | sa.TextClause,
        order_by: sa.ColumnElement[Any] = meetings.c.next_check_at,
        limit: int = _BATCH_SIZE,
    ) -> int:
        is_free = (meetings.c.next_check_at > rank, meetings.c.lease.is_(None), ~meetings.c.check_requested)
        async with self._db.transaction() as connection:
            # Skip locked rows: two transactions that each lock many rows could deadlock.
            candidates = sa.select(meetings.c.meeting_id).where(*conditions, *is_free).order_by(order_by)
            locked = candidates.limit(limit).with_for_update(skip_locked=True)
            ids = [row.meeting_id for row in await connection.execute(locked)]
            if not ids:
                return 0
            await connection.execute(sa.update(meetings).where(meetings.c.meeting_id.in_(ids)).values(values))
            return len(ids)


def _batches(meeting_ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(meeting_ids), _BATCH_SIZE):
        yield meeting_ids[start : start + _BATCH_SIZE]
