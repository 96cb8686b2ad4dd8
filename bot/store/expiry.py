"""Expiry of follows whose meetings have had no livestream for a long time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import Follow, FollowState
from bot.store.cards import is_latest, wake
from bot.store.database import Database, insert
from bot.store.follows import NOT_REFUSED
from bot.store.meetings import last_checked, lock, stop_checking
from bot.store.rows import follow_from
from bot.store.schema import CURRENT, announcements, cards, follows, meetings

EXPIRED = "expired"
"""The kind of the announcement in the newest card's thread that the follow has expired."""
EXPIRED_SEQ = -1

_BATCH_SIZE = 100
_ON_AIR_EXTENSION_SECONDS = 24 * 3600.0
"""How much longer a follow lasts, at least, if its meeting is on air."""
_UNCERTAIN_EXTENSION_SECONDS = 60.0
_MAX_CHECK_AGE_SECONDS = 3600.0
"""Follows expire only if their meeting was checked this recently. Checks are at most half an hour apart, so after a
longer time the state is unknown."""


async def expire(db: Database, follow_seconds: float) -> list[Follow]:
    """Expire up to a hundred follows whose time is over, and announce it in their threads, also for level quiet.

    Regardless of `expires_at`, a follow is kept while its meeting is on air, for `follow_seconds` after that, and until
    Cloudflare has answered about the meeting within the last hour.
    """
    async with db.transaction() as connection:
        now = db.now()
        is_over = sa.and_(sa.text(CURRENT), follows.c.expires_at <= now)
        candidates = (
            sa.select(follows.c.id, follows.c.meeting_id)
            .where(is_over)
            .order_by(follows.c.expires_at)
            .limit(_BATCH_SIZE)
        )
        rows = (await connection.execute(candidates)).all()
        meeting_ids = {row.meeting_id for row in rows}
        await lock(connection, meeting_ids)
        # Read again: the rows may have changed before they were locked.
        unchanged = (
            sa.select(
                follows,
                meetings.c.phase,
                meetings.c.episode_state,
                meetings.c.consecutive_failures,
                meetings.c.next_check_at,
                sa.or_(meetings.c.check_requested, meetings.c.lease.is_not(None)).label("is_checked"),
                last_checked(now).label("last_checked"),
                now.label("now"),
            )
            .join(meetings, meetings.c.meeting_id == follows.c.meeting_id)
            .where(is_over, follows.c.id.in_([row.id for row in rows]))
        )
        expired = []
        for row in (await connection.execute(unchanged)).mappings():
            until = _lasts_until(dict(row), follow_seconds)
            if until <= row["now"]:
                expired.append(follow_from(dict(row)))
            else:
                await connection.execute(sa.update(follows).where(follows.c.id == row["id"]).values(expires_at=until))
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
        await _announce(connection, now, ids)
        await _remove_menus(connection, now, ids)
        await stop_checking(connection, meeting_ids)
        return expired


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


async def _announce(connection: AsyncConnection, now: sa.ColumnElement[float], follow_ids: list[UUID]) -> None:
    newest = sa.and_(cards.c.follow_id.in_(follow_ids), is_latest())
    announcement = sa.select(
        cards.c.follow_id,
        cards.c.episode,
        sa.literal(EXPIRED_SEQ),
        sa.literal(EXPIRED),
        sa.literal({}, sa.JSON),
        now,
        now,
    ).where(newest)
    columns = ["follow_id", "episode", "seq", "kind", "payload", "occurred_at", "created_at"]
    await connection.execute(insert(connection, announcements).from_select(columns, announcement))
    await wake(connection, now, newest, news=True)


async def _remove_menus(connection: AsyncConnection, now: sa.ColumnElement[float], follow_ids: list[UUID]) -> None:
    """Have every card of these follows, including past episodes', drop its menu and show that the follow is over."""
    posted = sa.and_(cards.c.follow_id.in_(follow_ids), cards.c.message_ts.is_not(None))
    await connection.execute(sa.update(cards).where(posted).values(desired_version=cards.c.desired_version + 1))
    await wake(connection, now, posted)
