"""The sweeper's work: apply a list of all livestreams to many meetings at once.

It changes only idle meetings, in small transactions. A meeting that is being checked, or whose check was requested, is
left to that check, which sees more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bot.store.database import Database
from bot.store.leases import after
from bot.store.schema import BUSY, ON_AIR, RESTING, meetings

_AT_ONCE = 500
_SEEN_LIVE, _CHECKED = (meetings.c.episode_state[name].as_string() for name in ("last_seen_live", "checked_at"))
_SURE = sa.or_(_SEEN_LIVE.is_(None), _SEEN_LIVE == _CHECKED, meetings.c.phase != "live")
"""A live meeting may be in its next episode, or in an unknown state; in both cases the last check did not see it
live."""
_TOLD = meetings.c.episode_state["last_announced"].as_string()
NOTHING_PENDING = sa.or_(
    sa.and_(meetings.c.phase == "live", sa.or_(_TOLD.is_(None), _TOLD != "errored")),
    sa.and_(meetings.c.phase == "errored", _TOLD == "errored"),
    meetings.c.phase.not_in(["live", "errored"]),
)
"""An error, or the recovery from one, is announced once it has lasted; the check that does so must not be delayed."""
CONTRADICTED, CHANGED, UNSURE = 0.0, 1.0, 2.0
"""Times that make a meeting due before all others, in this order: the list shows another phase, another livestream,
possibly another session. The sweeper does not request a check instead, because that means that a webhook or a person
reported a change."""


@dataclass(frozen=True, slots=True)
class Known:
    """A meeting's stored state, for comparison with a list."""

    phase: str
    episode: dict[str, Any]
    unchecked_for: float
    """Seconds since the last check of this meeting; negative if the clock was set back."""


class MeetingSweepStore:
    """The sweeper's part of the store. The phases are bot.following's."""

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
        for some in _in_parts(meeting_ids):
            found |= await self._known(meetings.c.meeting_id.in_(some))
        return found

    async def prioritize(self, meeting_ids: Sequence[UUID], rank: float = CONTRADICTED) -> int:
        """Make these due before all meetings of a later rank; return how many were not yet."""
        return await self._make_due(meeting_ids, sa.literal(rank, sa.Double), rank)

    async def look_soon(self, meeting_ids: Sequence[UUID]) -> int:
        """Make these due now, after the meetings to be checked first; return how many were not due yet."""
        return await self._make_due(meeting_ids, self._db.now(), UNSURE)

    async def confirm(self, meeting_ids: Sequence[UUID], phase: str, *, failures: int, next_check_in: float) -> int:
        """Postpone the checks of meetings that a list confirms to be in this phase; return how many were postponed.

        Skipped are meetings in another phase, those being checked, those with `failures` or more failed checks, since
        their cards show that, those whose last check was not certain, and those with an error or recovery to announce.
        """
        calm = (meetings.c.phase == phase, meetings.c.consecutive_failures < failures, _SURE, NOTHING_PENDING)
        parts = _in_parts(meeting_ids)
        return sum(
            [await self._settle(next_check_in, meetings.c.meeting_id.in_(some), *calm, idle=False) for some in parts]
        )

    async def confirm_idle(self, *, failures: int, next_check_in: float) -> int:
        """Mark up to five hundred meetings that wait for a livestream as idle; return how many.

        From then on the time of the last list counts as their last check, and nothing is written for them until a list
        contradicts one or a check is requested.
        """
        resting = meetings.c.phase.in_(RESTING)
        return await self._settle(
            next_check_in, sa.text(BUSY), resting, meetings.c.consecutive_failures < failures, idle=True
        )

    async def _known(self, which: sa.ColumnElement[bool] | sa.TextClause) -> dict[UUID, Known]:
        checked_at = sa.func.coalesce(meetings.c.checked_at, 0.0)
        columns = (meetings.c.meeting_id, meetings.c.phase, meetings.c.episode_state, self._db.now() - checked_at)
        query = sa.select(*columns).where(which, meetings.c.next_check_at.is_not(None))
        async with self._db.read_only() as connection:
            return {row[0]: Known(*row[1:]) for row in await connection.execute(query)}

    async def _make_due(self, meeting_ids: Sequence[UUID], when: sa.ColumnElement[float], rank: float) -> int:
        due = {"next_check_at": when, "idle": False}
        parts = _in_parts(meeting_ids)
        return sum([await self._update(due, rank, meetings.c.meeting_id.in_(some)) for some in parts])

    async def _settle(self, next_check_in: float, *which: sa.ColumnElement[bool] | sa.TextClause, idle: bool) -> int:
        now = self._db.now()
        seen = {
            "next_check_at": after(now, next_check_in),
            "last_checked_at": now,
            "consecutive_failures": 0,
            "idle": idle,
        }
        return await self._update(seen, UNSURE, *which)

    async def _update(self, values: dict[str, Any], rank: float, *which: sa.ColumnElement[bool] | sa.TextClause) -> int:
        at_rest = (meetings.c.next_check_at > rank, meetings.c.lease.is_(None), ~meetings.c.check_requested)
        async with self._db.transaction() as connection:
            # Skip locked rows: two transactions that each lock many rows could deadlock.
            some = sa.select(meetings.c.meeting_id).where(*which, *at_rest).order_by(meetings.c.next_check_at)
            locked = some.limit(_AT_ONCE).with_for_update(skip_locked=True)
            ids = [row.meeting_id for row in await connection.execute(locked)]
            if not ids:
                return 0
            await connection.execute(sa.update(meetings).where(meetings.c.meeting_id.in_(ids)).values(values))
            return len(ids)


def _in_parts(meeting_ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(meeting_ids), _AT_ONCE):
        yield meeting_ids[start : start + _AT_ONCE]
