"""Follows that are over: their latest card says so and offers to follow again, until the channel does.

Such a follow's rows stay for that, until `Maintenance.purge` deletes them.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import FollowState
from bot.store.cards import is_latest
from bot.store.schema import CURRENT, announcements, cards, follows

IS_OVER = follows.c.state.in_([FollowState.UNFOLLOWED, FollowState.EXPIRED])
_again = follows.alias("again")


def is_followed_again() -> sa.ColumnElement[bool]:
    """Return whether this follow is over but the channel has a newer, current one of the same meeting."""
    return sa.exists().where(
        IS_OVER,
        _again.c.team_id == follows.c.team_id,
        _again.c.channel_id == follows.c.channel_id,
        _again.c.meeting_id == follows.c.meeting_id,
        sa.text(f"{_again.name}.{CURRENT}"),
    )


def is_replaced() -> sa.ColumnElement[bool]:
    """Return whether this follow's latest card says that the meeting is followed again, and no card has work left."""
    has_work = sa.exists().where(cards.c.follow_id == follows.c.id, cards.c.next_attempt_at.is_not(None))
    return sa.and_(is_followed_again(), ~has_work)


async def end(
    connection: AsyncConnection,
    now: sa.ColumnElement[float],
    late_seconds: float,
    follow_id: UUID,
    **values: Any,
) -> None:
    """End a follow whose meeting is locked, and have its latest card show that; without a card, delete it."""
    this = follows.c.id == follow_id
    ended = {"state": FollowState.UNFOLLOWED, "expires_at": now, **values}
    await connection.execute(sa.update(follows).where(this).values(ended))
    theirs, is_posted = cards.c.follow_id == follow_id, cards.c.message_ts.is_not(None)
    is_claimed = cards.c.lease.is_not(None)
    unsent = sa.delete(announcements).where(announcements.c.follow_id == follow_id)
    await connection.execute(unsent.where(announcements.c.sent_at.is_(None)))
    never_posted = sa.delete(cards).where(theirs, ~is_posted, ~is_claimed, cards.c.unconfirmed_until.is_(None))
    await connection.execute(never_posted)
    newer = {"desired_version": cards.c.desired_version + 1}
    await connection.execute(sa.update(cards).where(theirs, is_latest()).values(newer))
    # Losing the lease stops the card's holder. A request that it has just sent to Slack may arrive after the edit that
    # is due now; and if it is posting the card, it can still report the message.
    final = {
        "unconfirmed_until": sa.case((is_claimed, now + late_seconds), else_=cards.c.unconfirmed_until),
        "next_attempt_at": sa.case(
            (sa.and_(is_posted, is_claimed), now), else_=sa.func.coalesce(cards.c.next_attempt_at, now)
        ),
        "lease": None,
        "has_news": ~is_posted,
    }
    is_unfinished = sa.or_(is_claimed, ~is_posted, cards.c.rendered_version < cards.c.desired_version)
    await connection.execute(sa.update(cards).where(theirs, is_unfinished).values(final))
    await connection.execute(sa.delete(follows).where(this, ~sa.exists().where(cards.c.follow_id == follows.c.id)))


async def show_followed_again(
    connection: AsyncConnection,
    due_at: sa.ColumnElement[float],
    team_id: str,
    channel_id: str,
    meeting_ids: Collection[UUID],
) -> None:
    """Have past follows' cards of these locked meetings, where the channel follows them again, say so at `due_at`."""
    past = sa.select(follows.c.id).where(
        follows.c.team_id == team_id,
        follows.c.channel_id == channel_id,
        follows.c.meeting_id.in_(list(meeting_ids)),
        is_followed_again(),
    )
    # A claimed or unposted card keeps its time, but is edited once more if it was claimed before.
    keeps_time = sa.or_(cards.c.lease.is_not(None), cards.c.message_ts.is_(None))
    newer = {
        "desired_version": cards.c.desired_version + 1,
        "next_attempt_at": sa.case((keeps_time, cards.c.next_attempt_at), else_=due_at),
    }
    await connection.execute(sa.update(cards).where(cards.c.follow_id.in_(past), is_latest()).values(newer))
