"""A meeting's row, which whoever changes what hangs on it locks first."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.tables import FollowState, follows, meetings


async def lock(connection: AsyncConnection, meeting_ids: Iterable[UUID]) -> None:
    """Let nobody else change these meetings, their follows or who is told, until the transaction ends."""
    # In one order for everybody, or two who want the same two meetings could wait for each other.
    ids = sa.select(meetings.c.meeting_id).where(meetings.c.meeting_id.in_(list(meeting_ids)))
    await connection.execute(ids.order_by(meetings.c.meeting_id).with_for_update())


def looked_at_soon(now: sa.ColumnElement[float]) -> dict[str, Any]:
    """What a hint writes."""
    # While somebody looks, look_at is the end of the lease and stays; hinted makes it due once it is given back.
    waits = sa.and_(meetings.c.lease.is_(None), meetings.c.look_at > now)
    return {"hinted": True, "look_at": sa.case((waits, now), else_=meetings.c.look_at)}


async def rest(connection: AsyncConnection, meeting_ids: Iterable[UUID]) -> None:
    """Stop looking at those of these locked meetings that nobody follows any more."""
    followed = sa.exists().where(follows.c.meeting_id == meetings.c.meeting_id, follows.c.state != FollowState.EXPIRED)
    # Without the lease, whoever looks right now records nothing.
    nothing = {"look_at": None, "lease": None, "hinted": False}
    resting = sa.update(meetings).where(meetings.c.meeting_id.in_(list(meeting_ids)), ~followed)
    await connection.execute(resting.values(nothing))
