"""Periodic maintenance: expiring follows, purging old rows, and counting for metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import Follow, FollowState
from bot.store.cards import has_work, is_latest, wake
from bot.store.database import Database, insert
from bot.store.follows import NOT_REFUSED
from bot.store.leases import is_due
from bot.store.meetings import count_due, last_checked, lock, stop_checking
from bot.store.past_follows import IS_OVER, is_replaced
from bot.store.request_windows import WINDOW_SECONDS
from bot.store.rows import follow_from
from bot.store.schema import CURRENT, announcements, cards, follows, meetings, request_windows

EXPIRED = "expired"
"""The kind of the announcement in the newest card's thread that the follow has expired."""
_EXPIRED_SEQ = -1

_EXPIRY_BATCH_SIZE = 100
_ON_AIR_EXTENSION_SECONDS = 24 * 3600.0
"""How much longer a follow lasts, at least, if its meeting is on air."""
_UNCERTAIN_EXTENSION_SECONDS = 60.0
_MAX_CHECK_AGE_SECONDS = 3600.0
"""Follows expire only if their meeting was checked this recently. Checks are at most half an hour apart, so after a
longer time the state is unknown."""
_PURGE_BATCH_SIZE = 500
_COUNTED_STATES = (FollowState.ACTIVE, FollowState.PAUSED, FollowState.EXPIRED)
"""Unfollowed ones are not counted: only their cards remain, for a while."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """Counts of follows, due work and unsent announcements."""

    follows: dict[FollowState, int]
    meetings_due: int
    cards_due: int
    unsent: int
    """Unsent announcements, not counting those of channels where Slack refuses posts."""
    oldest_unsent_seconds: float
    """How long the oldest unsent announcement has waited; 0 if there is none."""


class Maintenance:
    """Maintenance on a timer; any number of replicas may run it at once."""

    def __init__(self, db: Database, follow_seconds: float) -> None:
        self._db = db
        self._follow_seconds = follow_seconds

    async def expire(self) -> list[Follow]:
        """Expire up to a hundred follows whose time is over, and announce it in their threads, also for level quiet.

        Regardless of `expires_at`, a follow is kept while its meeting is on air, for `follow_seconds` after that, and
        until Cloudflare has answered about the meeting within the last hour.
        """
        async with self._db.transaction() as connection:
            now = self._db.now()
            rows = await _lock_overdue(connection, now)
            expired = []
            for row in rows:
                until = _lasts_until(row, self._follow_seconds)
                if until <= row["now"]:
                    expired.append(follow_from(row))
                else:
                    await connection.execute(
                        sa.update(follows).where(follows.c.id == row["id"]).values(expires_at=until)
                    )
            ids = [follow.id for follow in expired]
            updated = sa.update(follows).where(follows.c.id.in_(ids))
            await connection.execute(updated.values(state=FollowState.EXPIRED, **NOT_REFUSED))
            # The unsent announcements of paused follows are from before a month without a livestream.
            paused = [follow.id for follow in expired if follow.state is FollowState.PAUSED]
            unsent = sa.delete(announcements).where(
                announcements.c.follow_id.in_(paused), announcements.c.sent_at.is_(None)
            )
            await connection.execute(unsent)
            # Also for paused follows: if Slack still refuses, their creators get a notice (`Pauses.pause`).
            await _announce_expiry(connection, now, ids)
            await _show_expiry(connection, now, ids)
            await stop_checking(connection, {row["meeting_id"] for row in rows})
            return expired

    async def purge(self, age_seconds: float) -> int:
        """Delete data that has been over for `age_seconds`; return the number of rows.

        That covers finished cards of past episodes with their announcements, past follows, meetings without follows,
        and old counts of requests. Past follows that a crashed bot left behind are deleted, too. Transactions are
        small, so that other writers are not held up.
        """
        now = self._db.now()
        card = [cards.c.follow_id, cards.c.episode]
        return (
            await self._purge(cards, card, _finished_cards_before(now - age_seconds))
            + await self._purge(follows, [follows.c.id], sa.and_(IS_OVER, follows.c.expires_at < now - age_seconds))
            + await self._purge(follows, [follows.c.id], is_replaced())
            + await self._purge(meetings, [meetings.c.meeting_id], _has_no_follows())
            + await self._purge(
                request_windows,
                [request_windows.c.window_start],
                request_windows.c.window_start < now - 2 * WINDOW_SECONDS,
            )
        )

    async def stats(self) -> StoreStats:
        """Return the counts for metrics."""
        async with self._db.read_only() as connection:
            now = self._db.now()
            states = await connection.execute(sa.select(follows.c.state, sa.func.count()).group_by(follows.c.state))
            counted = {FollowState(state): number for state, number in states}
            unsent, oldest_age = await _unsent(connection, now)
            cards_due = sa.select(sa.func.count()).where(is_due(cards.c.next_attempt_at, now))
            return StoreStats(
                follows={state: counted.get(state, 0) for state in FollowState if state in _COUNTED_STATES},
                meetings_due=await count_due(connection, now),
                cards_due=int(await connection.scalar(cards_due) or 0),
                unsent=unsent,
                oldest_unsent_seconds=oldest_age,
            )

    async def _purge(self, table: sa.Table, key: list[sa.Column[object]], condition: sa.ColumnElement[bool]) -> int:
        purged = 0
        while True:
            async with self._db.transaction() as connection:
                # Skip locked rows: another replica is purging them, or a worker is using them.
                candidates = (
                    sa.select(*key)
                    .where(condition)
                    .limit(_PURGE_BATCH_SIZE)
                    .with_for_update(skip_locked=True, of=table)
                )
                rows = [tuple(row) for row in await connection.execute(candidates)]
                if not rows:
                    return purged
                # Check the condition again: a row may have changed before it was locked.
                doomed = sa.delete(table).where(sa.tuple_(*key).in_(rows), condition)
                deleted = (await connection.execute(doomed)).rowcount
            purged += deleted
            if deleted < _PURGE_BATCH_SIZE:
                return purged


async def _lock_overdue(connection: AsyncConnection, now: sa.ColumnElement[float]) -> list[dict[str, Any]]:
    """Lock the meetings of some follows whose time is over, and return these follows with their meetings' state."""
    is_over = sa.and_(sa.text(CURRENT), follows.c.expires_at <= now)
    candidates = sa.select(follows.c.id, follows.c.meeting_id).where(is_over).order_by(follows.c.expires_at)
    found = (await connection.execute(candidates.limit(_EXPIRY_BATCH_SIZE))).all()
    await lock(connection, {row.meeting_id for row in found})
    # Read again: the rows may have changed before they were locked.
    unchanged = (
        sa.select(
            follows,
            meetings.c.phase,
            meetings.c.episode_state,
            meetings.c.consecutive_failures,
            meetings.c.next_check_at,
            sa.or_(meetings.c.check_requested, meetings.c.refresh_at.is_not(None), meetings.c.lease.is_not(None)).label(
                "is_checked"
            ),
            last_checked(now).label("last_checked"),
            now.label("now"),
        )
        .join(meetings, meetings.c.meeting_id == follows.c.meeting_id)
        .where(is_over, follows.c.id.in_([row.id for row in found]))
    )
    return [dict(row) for row in (await connection.execute(unchanged)).mappings()]


def _lasts_until(row: Mapping[str, Any], follow_seconds: float) -> float:
    """Return until when the follow lasts, given its meeting's state."""
    if row["phase"] not in ("waiting", "ended"):
        return float(row["now"]) + _ON_AIR_EXTENSION_SECONDS
    is_recent = row["last_checked"] is not None and row["now"] - row["last_checked"] <= _MAX_CHECK_AGE_SECONDS
    if row["consecutive_failures"] > 0 or row["next_check_at"] == 0.0 or row["is_checked"] or not is_recent:
        # It may be on air: the last check failed, a list just contradicted the stored state, a check is requested or in
        # progress, or there was none for a long time, as after a downtime.
        return float(row["now"]) + _UNCERTAIN_EXTENSION_SECONDS
    times = [row["episode_state"].get(name) for name in ("ended_at", "previous_end", "last_seen_live")]
    return max((datetime.fromisoformat(time).timestamp() + follow_seconds for time in times if time), default=0.0)


async def _announce_expiry(connection: AsyncConnection, now: sa.ColumnElement[float], follow_ids: list[UUID]) -> None:
    newest = sa.and_(cards.c.follow_id.in_(follow_ids), is_latest())
    announcement = sa.select(
        cards.c.follow_id,
        cards.c.episode,
        sa.literal(_EXPIRED_SEQ),
        sa.literal(EXPIRED),
        sa.literal({}, sa.JSON),
        now,
        now,
    ).where(newest)
    columns = ["follow_id", "episode", "seq", "kind", "payload", "occurred_at", "created_at"]
    await connection.execute(insert(connection, announcements).from_select(columns, announcement))
    await wake(connection, now, newest, news=True)


async def _show_expiry(connection: AsyncConnection, now: sa.ColumnElement[float], follow_ids: list[UUID]) -> None:
    """Have the latest card of each of these follows show that it is over; others only lose their menu, if not yet."""
    posted = sa.and_(cards.c.follow_id.in_(follow_ids), cards.c.message_ts.is_not(None))
    newer = {"desired_version": cards.c.desired_version + 1}
    await connection.execute(sa.update(cards).where(posted, is_latest()).values(newer))
    await wake(connection, now, posted, cards.c.rendered_version < cards.c.desired_version)


def _finished_cards_before(then: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    current = (
        sa.select(meetings.c.episode_number)
        .join(follows, follows.c.meeting_id == meetings.c.meeting_id)
        .where(follows.c.id == cards.c.follow_id)
        .scalar_subquery()
    )
    # Only past episodes: the current one's rows prevent announcing its changes twice.
    return sa.and_(
        cards.c.rendered_at < then, cards.c.next_attempt_at.is_(None), cards.c.episode < current, ~has_work()
    )


def _has_no_follows() -> sa.ColumnElement[bool]:
    followed = sa.exists().where(follows.c.meeting_id == meetings.c.meeting_id)
    return sa.and_(meetings.c.next_check_at.is_(None), ~followed)


async def _unsent(connection: AsyncConnection, now: sa.ColumnElement[float]) -> tuple[int, float]:
    waiting = (
        sa.select(sa.func.count(), sa.func.coalesce(now - sa.func.min(announcements.c.created_at), 0.0))
        .join(follows, follows.c.id == announcements.c.follow_id)
        .where(announcements.c.sent_at.is_(None), follows.c.pause_reason.is_(None))
    )
    number, oldest_age = (await connection.execute(waiting)).one()
    return number, max(0.0, float(oldest_age))
