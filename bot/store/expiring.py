"""Follows that nobody seems to wait for any more."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.cards import is_latest, wake
from bot.store.database import Database, insert
from bot.store.meetings import lock, rest
from bot.store.tables import FollowState, announcements, cards, follows
from bot.store.values import Follow, follow_from

EXPIRED = "expired"
"""The kind of the announcement that says so, in the thread of the newest card."""
EXPIRED_SEQ = -1

_AT_ONCE = 100


async def expire(db: Database) -> list[Follow]:
    """Let go the follows whose time is over, a hundred at most, and have it said in their threads, quiet ones too."""
    async with db.writing() as connection:
        now = db.now()
        over = sa.and_(follows.c.state != FollowState.EXPIRED, follows.c.expires_at <= now)
        some = sa.select(follows.c.id, follows.c.meeting_id).where(over).order_by(follows.c.expires_at).limit(_AT_ONCE)
        rows = (await connection.execute(some)).all()
        meeting_ids = {row.meeting_id for row in rows}
        await lock(connection, meeting_ids)
        # Once more, since what was seen before the lock may have changed.
        still = sa.select(follows).where(over, follows.c.id.in_([row.id for row in rows]))
        expired = [follow_from(dict(row)) for row in (await connection.execute(still)).mappings()]
        ids = [follow.id for follow in expired]
        gone = sa.update(follows).where(follows.c.id.in_(ids)).values(state=FollowState.EXPIRED)
        await connection.execute(gone)
        # Where the bot may not post, it can say nothing.
        await _say(connection, now, [follow.id for follow in expired if follow.state is FollowState.ACTIVE])
        await rest(connection, meeting_ids)
        return expired


async def _say(connection: AsyncConnection, now: sa.ColumnElement[float], follow_ids: list[UUID]) -> None:
    newest = sa.and_(cards.c.follow_id.in_(follow_ids), is_latest())
    word = sa.select(
        cards.c.follow_id,
        cards.c.episode,
        sa.literal(EXPIRED_SEQ),
        sa.literal(EXPIRED),
        sa.literal({}, sa.JSON),
        now,
        now,
    ).where(newest)
    columns = ["follow_id", "episode", "seq", "kind", "data", "changed_at", "created_at"]
    await connection.execute(insert(connection, announcements).from_select(columns, word))
    # It shows it too: without a menu that would do nothing.
    await connection.execute(sa.update(cards).where(newest).values(wanted_version=cards.c.wanted_version + 1))
    await wake(connection, now, newest)
