"""The poller's work: claim due meetings, and record what a check found."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.database import Database
from bot.store.leases import Lease, LeaseLost, after, due_in, is_due, new_lease
from bot.store.meetings import (
    CHANGED,
    CHECK_SPACING_SECONDS,
    NOTHING_PENDING,
    check_now_values,
    is_list_fresh,
    last_checked,
    may_be_due,
)
from bot.store.outbox import card_follows, enqueue, finalize_cards, retire_cards, upsert_cards
from bot.store.rows import Change, Episode, from_epoch
from bot.store.schema import IDLE_PHASES, follows, meetings

_RENEWAL_SECONDS = 24 * 3600.0
_IS_NEWS = sa.or_(
    meetings.c.check_requested, meetings.c.next_check_at <= CHANGED, meetings.c.phase == "interrupted", ~NOTHING_PENDING
)
"""Requested, contradicted by a list, or with a grace period or an announcement of an error or recovery pending."""
_RANK = sa.case((_IS_NEWS, 0), else_=1)


@dataclass(frozen=True, slots=True)
class DueMeeting:
    """A claimed meeting: only the lease's holder may check it until the lease ends."""

    meeting_id: UUID
    name: str | None
    episode: dict[str, Any]
    """Episode.to_dict(), as last recorded."""
    consecutive_failures: int
    """Number of consecutive failed checks."""
    check_requested: bool
    """Whether a check was requested."""
    due_at: datetime
    """Since when it has been due."""
    last_checked_at: datetime | None
    """When a check or a list last confirmed its state."""
    claimed_at: datetime
    """The database's time of the claim. It dates this check's observations, whatever the machine's clock says."""
    lease: Lease


class MeetingQueue:
    """The poller's part of the store."""

    def __init__(self, db: Database, follow_seconds: float, check_spacing: float = CHECK_SPACING_SECONDS) -> None:
        self._db = db
        self._follow_seconds = follow_seconds
        self._check_spacing = check_spacing

    async def claim(
        self, worker_id: str, limit: int, lease_seconds: float, *, only_news: bool = False
    ) -> list[DueMeeting]:
        """Claim due meetings until `record`, `release` or the end of the lease.

        Requested ones come first, then others that are about to change: a list contradicts them, or a grace period
        ends. Then all others, unless `only_news`.

        If a check is requested meanwhile, the meeting is due again as soon as the check spacing allows.
        """
        lease = new_lease(worker_id, lease_seconds, self._db.monotonic())
        async with self._db.transaction() as connection:
            now = self._db.now()
            # Skip rows that another replica is claiming right now instead of waiting for them.
            due = (
                sa.select(meetings, now.label("claimed_at"), last_checked(now).label("last_checked"))
                .where(
                    may_be_due(list_is_fresh=await is_list_fresh(connection, now)),
                    is_due(meetings.c.next_check_at, now),
                )
                .where(_IS_NEWS if only_news else sa.true())
                .order_by(meetings.c.check_requested.desc(), _RANK, meetings.c.next_check_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            rows = (await connection.execute(due)).all()
            if not rows:
                return []
            claimed = sa.update(meetings).where(meetings.c.meeting_id.in_([row.meeting_id for row in rows]))
            values = {
                "lease": lease.token,
                "next_check_at": after(now, lease.seconds),
                "check_requested": False,
                "idle": False,
            }
            await connection.execute(claimed.values(values))
        return [
            DueMeeting(
                meeting_id=row.meeting_id,
                name=row.name,
                episode=row.episode_state,
                consecutive_failures=row.consecutive_failures,
                check_requested=row.check_requested,
                due_at=from_epoch(row.next_check_at),
                last_checked_at=None if row.last_checked is None else from_epoch(row.last_checked),
                claimed_at=from_epoch(row.claimed_at),
                lease=lease,
            )
            for row in rows
        ]

    async def record(
        self,
        meeting: DueMeeting,
        episode: Episode,
        changes: Sequence[Change] = (),
        *,
        next_check_in: float,
        visible: bool = True,
        ended: Episode | None = None,
        failures: int = 0,
        renew: bool = False,
    ) -> None:
        """Record an observation with its cards and announcements, and release the meeting, in one transaction.

        The changes are announced in order, in every follow whose level is not quiet. A new episode's cards are posted;
        existing cards are edited only if the change is `visible`. `ended` is the previous episode's final state, if it
        ended in the same check. `next_check_in` is in seconds; `renew` postpones the expiry of the follows. Raises
        LeaseLost, and then writes nothing.
        """
        async with self._db.transaction() as connection:
            now = self._db.now()
            # First of all, since this locks the meeting: from here on its follows stay the same.
            is_idle = episode.phase in IDLE_PHASES
            values = self._release_values(now, next_check_in, failures, sa.literal(is_idle)) | {
                "name": sa.func.coalesce(episode.name, meetings.c.name),
                "episode_number": episode.number,
                "phase": episode.phase,
                "episode_state": episode.to_dict(),
            }
            updated = await connection.execute(sa.update(meetings).where(_is_leased(meeting)).values(values))
            if updated.rowcount == 0:
                raise LeaseLost
            if ended is not None:
                await finalize_cards(connection, now, meeting.meeting_id, ended)
            if episode.number > meeting.episode["number"]:
                await retire_cards(connection, now, meeting.meeting_id, episode.number)
            await upsert_cards(connection, now, meeting.meeting_id, episode, visible=visible)
            for change in changes:
                await enqueue(connection, now, meeting.meeting_id, change)
            if renew:
                await self._renew(connection, now, meeting.meeting_id)

    async def release(self, meeting: DueMeeting, *, next_check_in: float, failures: int = 0) -> None:
        """Release the meeting with nothing new to record. Raises LeaseLost."""
        async with self._db.transaction() as connection:
            values = self._release_values(self._db.now(), next_check_in, failures, meetings.c.phase.in_(IDLE_PHASES))
            updated = await connection.execute(sa.update(meetings).where(_is_leased(meeting)).values(values))
        if updated.rowcount == 0:
            raise LeaseLost

    async def request_check(self, meeting_id: UUID, phases: Collection[str] | None = None) -> bool:
        """Request a check of the meeting; return False if it is not followed, or not in one of these phases."""
        known = sa.select(meetings.c.check_requested).where(
            meetings.c.meeting_id == meeting_id, meetings.c.next_check_at.is_not(None)
        )
        if phases is not None:
            known = known.where(meetings.c.phase.in_(phases))
        # A repeated webhook costs only a read: the check that the first one requested has not begun yet.
        async with self._db.read_only() as connection:
            check_requested = await connection.scalar(known)
        if check_requested is not False:
            return check_requested is not None
        async with self._db.transaction() as connection:
            followed = sa.update(meetings).where(
                meetings.c.meeting_id == meeting_id, meetings.c.next_check_at.is_not(None)
            )
            requested = check_now_values(self._db.now(), self._check_spacing)
            return (await connection.execute(followed.values(requested))).rowcount == 1

    async def due_in(self, *, only_news: bool = False) -> float | None:
        """Return the seconds until a meeting is due, 0 if one is; None if none is waiting, or no news is."""
        async with self._db.read_only() as connection:
            now = self._db.now()
            conditions = [
                may_be_due(list_is_fresh=await is_list_fresh(connection, now)),
                *([_IS_NEWS] if only_news else []),
            ]
            return await due_in(connection, meetings.c.next_check_at, now, *conditions)

    def _release_values(
        self, now: sa.ColumnElement[float], next_check_in: float, failures: int, is_idle: sa.ColumnElement[bool]
    ) -> dict[str, Any]:
        return {
            "lease": None,
            # A check that was requested during this one may concern a later change.
            "next_check_at": sa.case(
                (meetings.c.check_requested, now + self._check_spacing), else_=after(now, next_check_in)
            ),
            "idle": sa.and_(~meetings.c.check_requested, is_idle, sa.literal(failures == 0)),
            "consecutive_failures": failures,
            "checked_at": now,
            "last_checked_at": meetings.c.last_checked_at if failures else now,
        }

    async def _renew(self, connection: AsyncConnection, now: sa.ColumnElement[float], meeting_id: UUID) -> None:
        # Once a day is enough; renewing at each check could write a thousand rows.
        late = follows.c.expires_at < now + (self._follow_seconds - _RENEWAL_SECONDS)
        theirs = sa.update(follows).where(card_follows(meeting_id), late)
        await connection.execute(theirs.values(expires_at=now + self._follow_seconds))


def _is_leased(meeting: DueMeeting) -> sa.ColumnElement[bool]:
    return sa.and_(meetings.c.meeting_id == meeting.meeting_id, meetings.c.lease == meeting.lease.token)
