"""Periodic maintenance: expiring follows, purging old rows, and counting for metrics."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import Follow, FollowState
from bot.store.cards import has_work
from bot.store.database import Database
from bot.store.expiry import expire
from bot.store.leases import is_due
from bot.store.meetings import count_due
from bot.store.request_windows import WINDOW_SECONDS
from bot.store.schema import announcements, cards, follows, meetings, request_windows

_BATCH_SIZE = 500
_COUNTED_STATES = (FollowState.ACTIVE, FollowState.PAUSED, FollowState.EXPIRED)
"""Unfollowed ones are not counted: they remain only until their cards show the end."""


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
        """Expire up to a hundred follows whose time is over, and announce it in their threads."""
        return await expire(self._db, self._follow_seconds)

    async def purge(self, age_seconds: float) -> int:
        """Delete data that has been over for `age_seconds`; return the number of rows.

        That covers finished cards of past episodes with their announcements, expired follows, meetings without follows,
        and old counts of requests. Transactions are small, so that other writers are not held up.
        """
        now = self._db.now()
        card = [cards.c.follow_id, cards.c.episode]
        return (
            await self._purge(cards, card, _finished_cards_before(now - age_seconds))
            + await self._purge(follows, [follows.c.id], _expired_before(now - age_seconds))
            + await self._purge(follows, [follows.c.id], _is_left_behind())
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
                    sa.select(*key).where(condition).limit(_BATCH_SIZE).with_for_update(skip_locked=True, of=table)
                )
                rows = [tuple(row) for row in await connection.execute(candidates)]
                if not rows:
                    return purged
                # Check the condition again: a row may have changed before it was locked.
                doomed = sa.delete(table).where(sa.tuple_(*key).in_(rows), condition)
                deleted = (await connection.execute(doomed)).rowcount
            purged += deleted
            if deleted < _BATCH_SIZE:
                return purged


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


def _expired_before(then: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    over = follows.c.state.in_([FollowState.EXPIRED, FollowState.UNFOLLOWED])
    return sa.and_(over, follows.c.expires_at < then)


def _is_left_behind() -> sa.ColumnElement[bool]:
    """Return whether an unfollowed follow's row was left behind by a bot that crashed before removing it."""
    waiting = sa.exists().where(cards.c.follow_id == follows.c.id, cards.c.next_attempt_at.is_not(None))
    return sa.and_(follows.c.state == FollowState.UNFOLLOWED, ~waiting)


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
