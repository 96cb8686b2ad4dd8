"""The poller's work: claim due meetings, and record what a check found."""

from collections.abc import Callable, Sequence
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
    Known,
    check_now_values,
    is_list_fresh,
    last_checked,
    may_be_due,
    no_longer_idle,
    refresh_values,
)
from bot.store.outbox import card_follows, enqueue, finalize_cards, retire_cards, upsert_cards
from bot.store.rows import Change, Episode, from_epoch
from bot.store.schema import IDLE_PHASES, follows, meetings

_RENEWAL_SECONDS = 24 * 3600.0
_IS_NEWS = sa.or_(
    meetings.c.check_requested, meetings.c.next_check_at <= CHANGED, meetings.c.phase == "interrupted", ~NOTHING_PENDING
)
"""Reported by a webhook or a lookup, contradicted by a list, or with a grace period or an announcement of an error or
recovery pending."""
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
    """Whether a check was requested, by a person or because something reported a change."""
    requested_by_person: bool
    for_person: bool
    """Whether a person's request is the only reason for this check, so that it counts as people's."""
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
        self, worker_id: str, limit: int, lease_seconds: float, *, only_news: bool = False, refreshes: int | None = None
    ) -> list[DueMeeting]:
        """Claim due meetings until `record`, `release` or the end of the lease.

        First come up to `limit` that are due for the bot itself: those that a webhook or a lookup reported, then others
        that are about to change, because a list contradicts them or a grace period ends, then all others, unless
        `only_news`. Then come up to `refreshes`, by default what is left of `limit`, that are due only because a person
        requested that.

        If a check is requested meanwhile, the meeting is due again as soon as the check spacing allows.
        """
        lease = new_lease(worker_id, lease_seconds, self._db.monotonic())
        claimed: list[DueMeeting] = []
        async with self._db.transaction() as connection:
            now = self._db.now()
            if limit:
                own = (
                    sa.select(meetings)
                    .where(
                        may_be_due(list_is_fresh=await is_list_fresh(connection, now)),
                        is_due(meetings.c.next_check_at, now),
                    )
                    .where(_IS_NEWS if only_news else sa.true())
                    .order_by(meetings.c.check_requested.desc(), _RANK, meetings.c.next_check_at)
                    .limit(limit)
                )
                claimed += await self._claim(connection, now, own, lease, for_person=False)
            if refreshes is None or refreshes:
                requested = (
                    sa.select(meetings)
                    .where(meetings.c.refresh_at.is_not(None), is_due(meetings.c.refresh_at, now))
                    .where(meetings.c.lease.is_(None))
                    .order_by(meetings.c.refresh_at)
                    .limit(limit - len(claimed) if refreshes is None else refreshes)
                )
                claimed += await self._claim(connection, now, requested, lease, for_person=True)
        return claimed

    async def _claim(
        self,
        connection: AsyncConnection,
        now: sa.ColumnElement[float],
        due: sa.Select[Any],
        lease: Lease,
        *,
        for_person: bool,
    ) -> list[DueMeeting]:
        # Skip rows that another replica is claiming right now instead of waiting for them.
        columns = (now.label("claimed_at"), last_checked(now).label("last_checked"))
        rows = (await connection.execute(due.add_columns(*columns).with_for_update(skip_locked=True))).all()
        if not rows:
            return []
        claimed = sa.update(meetings).where(meetings.c.meeting_id.in_([row.meeting_id for row in rows]))
        values = {
            "lease": lease.token,
            "next_check_at": after(now, lease.seconds),
            "check_requested": False,
            "refresh_at": None,
            **no_longer_idle(now),
        }
        await connection.execute(claimed.values(values))
        return [
            DueMeeting(
                meeting_id=row.meeting_id,
                name=row.name,
                episode=row.episode_state,
                consecutive_failures=row.consecutive_failures,
                check_requested=row.check_requested or row.refresh_at is not None,
                requested_by_person=row.refresh_at is not None,
                for_person=for_person,
                due_at=from_epoch(row.refresh_at if for_person else row.next_check_at),
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

    async def request_refresh(self, meeting_id: UUID) -> bool:
        """Request a check of the meeting for a person; return False if it is not followed."""
        is_followed = sa.and_(meetings.c.meeting_id == meeting_id, meetings.c.next_check_at.is_not(None))
        # A repeated request costs only a read, like a repeated webhook.
        async with self._db.read_only() as connection:
            pending = (await connection.execute(sa.select(meetings.c.refresh_at).where(is_followed))).one_or_none()
        if pending is None or pending.refresh_at is not None:
            return pending is not None
        async with self._db.transaction() as connection:
            requested = refresh_values(self._db.now(), self._check_spacing)
            return (await connection.execute(sa.update(meetings).where(is_followed).values(requested))).rowcount == 1

    async def request_check(self, meeting_id: UUID, is_outdated: Callable[[Known], bool] | None = None) -> bool:
        """Request a check of the meeting; return False if it is not followed, or its state is not outdated."""
        unchecked_for = self._db.now() - sa.func.coalesce(meetings.c.checked_at, 0.0)
        known = sa.select(
            meetings.c.check_requested, meetings.c.phase, meetings.c.episode_state, unchecked_for.label("unchecked_for")
        ).where(meetings.c.meeting_id == meeting_id, meetings.c.next_check_at.is_not(None))
        # A repeated webhook costs only a read: the check that the first one requested has not begun yet.
        async with self._db.read_only() as connection:
            row = (await connection.execute(known)).one_or_none()
        if row is None or (is_outdated and not is_outdated(Known(row.phase, row.episode_state, row.unchecked_for))):
            return False
        if row.check_requested:
            return True
        async with self._db.transaction() as connection:
            followed = sa.update(meetings).where(
                meetings.c.meeting_id == meeting_id, meetings.c.next_check_at.is_not(None)
            )
            requested = check_now_values(self._db.now(), self._check_spacing)
            return (await connection.execute(followed.values(requested))).rowcount == 1

    async def due_in(self, *, only_news: bool = False) -> float | None:
        """Return the seconds until a meeting is due for the bot itself, 0 if one is; None if none is, or no news is."""
        async with self._db.read_only() as connection:
            now = self._db.now()
            conditions = [
                may_be_due(list_is_fresh=await is_list_fresh(connection, now)),
                *([_IS_NEWS] if only_news else []),
            ]
            return await due_in(connection, meetings.c.next_check_at, now, *conditions)

    async def refresh_due_in(self) -> float | None:
        """Return the seconds until a check that a person requested is due, 0 if one is; None if none is requested."""
        async with self._db.read_only() as connection:
            return await due_in(connection, meetings.c.refresh_at, self._db.now(), meetings.c.lease.is_(None))

    def _release_values(
        self, now: sa.ColumnElement[float], next_check_in: float, failures: int, is_idle: sa.ColumnElement[bool]
    ) -> dict[str, Any]:
        return {
            "lease": None,
            # A check that was requested during this one may concern a later change.
            "next_check_at": sa.case(
                (meetings.c.check_requested, now + self._check_spacing), else_=after(now, next_check_in)
            ),
            "refresh_at": sa.case((meetings.c.refresh_at.is_not(None), now + self._check_spacing)),
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
