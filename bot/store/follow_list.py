"""The list of a channel's follows, with the state and health of each."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import Follow
from bot.store.cards import is_latest
from bot.store.meetings import last_checked
from bot.store.rows import follow_from, from_epoch
from bot.store.schema import CURRENT, cards, follows, meetings


@dataclass(frozen=True, slots=True)
class FollowStatus:
    """One entry in the list of a channel's follows."""

    follow: Follow
    name: str | None
    phase: str
    last_checked_at: datetime | None
    """When Cloudflare last answered."""
    failures: int
    """Number of consecutive failed checks since."""
    ts: str | None
    """The newest card's, if it is posted."""
    failing: tuple[dict[str, Any], ...] = ()
    """Failures.to_dict() of each card that Slack refuses to post, edit or reply to."""
    is_missing: bool = False
    """Whether Cloudflare had no meeting with this ID at the last check."""


async def list_follows(
    connection: AsyncConnection, now: sa.ColumnElement[float], team_id: str, channel_id: str
) -> list[FollowStatus]:
    """Return a channel's active and paused follows, oldest first."""
    last_checked_at = last_checked(now).label("last_checked_at")
    query = (
        sa.select(
            follows,
            meetings.c.name,
            meetings.c.phase,
            meetings.c.episode_state["is_missing"].as_boolean().label("is_missing"),
            last_checked_at,
            meetings.c.consecutive_failures,
            cards.c.message_ts,
        )
        .join(meetings, meetings.c.meeting_id == follows.c.meeting_id)
        .outerjoin(cards, sa.and_(cards.c.follow_id == follows.c.id, is_latest()))
        .where(follows.c.team_id == team_id, follows.c.channel_id == channel_id)
        .where(sa.text(CURRENT))
        .order_by(follows.c.created_at, follows.c.id)
    )
    rows = (await connection.execute(query)).mappings().all()
    failing = await _failing(connection, [row["id"] for row in rows])
    return [
        FollowStatus(
            follow=follow_from(dict(row)),
            name=row["name"],
            phase=row["phase"],
            last_checked_at=None if row["last_checked_at"] is None else from_epoch(row["last_checked_at"]),
            failures=row["consecutive_failures"],
            ts=row["message_ts"],
            failing=tuple(failing[row["id"]]),
            is_missing=bool(row["is_missing"]),
        )
        for row in rows
    ]


async def _failing(connection: AsyncConnection, follow_ids: list[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    query = sa.select(cards.c.follow_id, cards.c.failing)
    query = query.where(cards.c.follow_id.in_(follow_ids), cards.c.failing.is_not(None))
    found = defaultdict(list)
    for row in await connection.execute(query):
        found[row.follow_id].append(row.failing)
    return found
