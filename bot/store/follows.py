"""Which channel follows which meeting, and how loudly."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.announcing import DueCard, claimed_work
from bot.store.cards import is_latest, wake_unfinished
from bot.store.database import Database, insert, moment
from bot.store.leases import Lease, after, new_lease
from bot.store.meetings import last_checked, lock, looked_at_soon, rest
from bot.store.outdated import drop_outdated
from bot.store.tables import FollowState, Volume, cards, follows, meetings
from bot.store.values import Episode, Follow, follow_from


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of a wish to follow."""

    follow: Follow
    new: bool
    """Else the channel followed the meeting already."""
    ts: str | None
    """The newest card's, if it is posted."""
    card: DueCard | None = None
    """Of a new follow, for whoever asked for its lease."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of what a channel follows."""

    follow: Follow
    name: str | None
    phase: str
    looked_at: datetime | None
    """When Cloudflare last answered."""
    failures: int
    """How often in a row it has not answered since."""
    ts: str | None
    """The newest card's, if it is posted."""


class Follows:
    """What people do about follows."""

    def __init__(self, db: Database, follow_seconds: float) -> None:
        self._db = db
        self._follow_seconds = follow_seconds

    async def follow(
        self,
        team_id: str,
        channel_id: str,
        meeting_id: UUID,
        *,
        user_id: str,
        volume: Volume,
        episode: Episode,
        owner: str | None = None,
        lease_seconds: float = 60.0,
    ) -> Followed:
        """Follow a meeting in a channel, and make its card due.

        `episode` is what was just seen of the meeting, and counts where nobody follows it yet. A paused follow becomes
        active; an expired one is over, and a new one begins. Of a new one the `owner` may work at the card at once, and
        alone: nobody sees it due until that lease ends.
        """
        lease = None if owner is None else new_lease(owner, lease_seconds)
        async with self._db.writing() as connection:
            now = self._db.now()
            await self._meet(connection, now, meeting_id, episode)
            mine = _in(team_id, channel_id, meeting_id)
            await connection.execute(sa.delete(follows).where(mine, follows.c.state == FollowState.EXPIRED))
            follow = await _find(connection, mine)
            new = follow is None
            if follow is None:
                follow_id = uuid4()
                row = {
                    "id": follow_id,
                    "team_id": team_id,
                    "channel_id": channel_id,
                    "meeting_id": meeting_id,
                    "created_by": user_id,
                    "created_at": now,
                    "volume": volume,
                    "state": FollowState.ACTIVE,
                    "told": False,
                    "expires_at": now + self._follow_seconds,
                }
                await connection.execute(sa.insert(follows).values(row))
                await _add_card(connection, now, follow_id, meeting_id, lease)
            elif follow.state is FollowState.PAUSED:
                await activate(connection, now, [follow])
            card = await _leased_card(connection, mine, lease) if new and lease else None
            return Followed(await _get(connection, mine), new, await _card_ts(connection, mine), card)

    async def unfollow(self, team_id: str, channel_id: str, meeting_id: UUID) -> Follow | None:
        """Forget the follow and all that hangs on it; None if there is none."""
        async with self._db.writing() as connection:
            await lock(connection, [meeting_id])
            mine = _in(team_id, channel_id, meeting_id)
            follow = await _find(connection, mine)
            if follow is None:
                return None
            await connection.execute(sa.delete(follows).where(mine))
            await rest(connection, [meeting_id])
            return follow if follow.state is not FollowState.EXPIRED else None

    async def set_volume(self, team_id: str, channel_id: str, meeting_id: UUID, volume: Volume) -> Follow | None:
        """From the next change on; None if the channel does not follow the meeting. Its newest card is shown anew."""
        async with self._db.writing() as connection:
            await lock(connection, [meeting_id])
            mine = sa.and_(_in(team_id, channel_id, meeting_id), follows.c.state != FollowState.EXPIRED)
            follow = await _find(connection, mine)
            if follow is None or follow.volume is volume:
                return follow
            await connection.execute(sa.update(follows).where(mine).values(volume=volume))
            anew = {"wanted_version": cards.c.wanted_version + 1}
            if follow.state is FollowState.ACTIVE:
                anew["due_at"] = sa.func.coalesce(cards.c.due_at, self._db.now())
            await connection.execute(sa.update(cards).where(cards.c.follow_id == follow.id, is_latest()).values(anew))
            return await _get(connection, mine)

    async def in_channel(self, team_id: str, channel_id: str) -> list[Listed]:
        """What a channel follows, paused ones too, the oldest first."""
        looked_at = last_checked(self._db.now()).label("looked_at")
        query = (
            sa.select(follows, meetings.c.name, meetings.c.phase, looked_at, meetings.c.failures, cards.c.ts)
            .join(meetings, meetings.c.meeting_id == follows.c.meeting_id)
            .outerjoin(cards, sa.and_(cards.c.follow_id == follows.c.id, is_latest()))
            .where(follows.c.team_id == team_id, follows.c.channel_id == channel_id)
            .where(follows.c.state != FollowState.EXPIRED)
            .order_by(follows.c.created_at, follows.c.id)
        )
        async with self._db.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [
            Listed(
                follow=follow_from(dict(row)),
                name=row["name"],
                phase=row["phase"],
                looked_at=None if row["looked_at"] is None else moment(row["looked_at"]),
                failures=row["failures"],
                ts=row["ts"],
            )
            for row in rows
        ]

    async def _meet(
        self, connection: AsyncConnection, now: sa.ColumnElement[float], meeting_id: UUID, episode: Episode
    ) -> None:
        """Lock the meeting's row; where there is none that is looked at, make one."""
        # What was known when the last follow went is no beginning for a new one: it would be told as news.
        forgotten = sa.delete(meetings).where(meetings.c.meeting_id == meeting_id, meetings.c.look_at.is_(None))
        await connection.execute(forgotten)
        statement = insert(connection, meetings).values(
            meeting_id=meeting_id,
            name=episode.name,
            number=episode.number,
            phase=episode.phase,
            episode=episode.to_dict(),
            look_at=now,
            hinted=True,
            failures=0,
            looked_at=now,
            checked_at=now,
        )
        await connection.execute(
            statement.on_conflict_do_update(index_elements=[meetings.c.meeting_id], set_=looked_at_soon(now))
        )


async def activate(connection: AsyncConnection, now: sa.ColumnElement[float], paused: list[Follow]) -> None:
    """Go on with paused follows, whose meetings are locked; what was to be announced there, if it is still true."""
    ids = [follow.id for follow in paused]
    values = {"state": FollowState.ACTIVE, "reason": None, "paused_at": None, "told": False, "notice_error": None}
    await connection.execute(sa.update(follows).where(follows.c.id.in_(ids)).values(values))
    await drop_outdated(connection, now, ids)
    await wake_unfinished(connection, now, ids)
    meeting_ids = {follow.meeting_id for follow in paused}
    await connection.execute(
        sa.update(meetings).where(meetings.c.meeting_id.in_(meeting_ids)).values(looked_at_soon(now))
    )


def _in(team_id: str, channel_id: str, meeting_id: UUID) -> sa.ColumnElement[bool]:
    return sa.and_(follows.c.team_id == team_id, follows.c.channel_id == channel_id, follows.c.meeting_id == meeting_id)


async def _find(connection: AsyncConnection, which: sa.ColumnElement[bool]) -> Follow | None:
    row = (await connection.execute(sa.select(follows).where(which))).mappings().one_or_none()
    return None if row is None else follow_from(dict(row))


async def _get(connection: AsyncConnection, which: sa.ColumnElement[bool]) -> Follow:
    row = (await connection.execute(sa.select(follows).where(which))).mappings().one()
    return follow_from(dict(row))


async def _card_ts(connection: AsyncConnection, which: sa.ColumnElement[bool]) -> str | None:
    query = sa.select(cards.c.ts).join(follows, follows.c.id == cards.c.follow_id).where(which, is_latest())
    ts: str | None = await connection.scalar(query)
    return ts


async def _leased_card(connection: AsyncConnection, which: sa.ColumnElement[bool], lease: Lease) -> DueCard:
    query = sa.select(cards.c.follow_id, cards.c.episode).join(follows, follows.c.id == cards.c.follow_id)
    row = (await connection.execute(query.where(which))).one()
    (card,) = await claimed_work(connection, [(row.follow_id, row.episode)], lease)
    return card


async def _add_card(
    connection: AsyncConnection, now: sa.ColumnElement[float], follow_id: UUID, meeting_id: UUID, lease: Lease | None
) -> None:
    # The card of what is known now, which is the meeting's own state where others follow it already.
    card = sa.select(
        sa.literal(follow_id, sa.Uuid),
        meetings.c.number,
        meetings.c.episode,
        sa.literal(1),
        sa.literal(1 if lease else 0),
        after(now, lease.seconds) if lease else now,
        sa.literal(lease.token if lease else None, sa.Text),
        sa.literal(1 if lease else 0),
    ).where(meetings.c.meeting_id == meeting_id)
    columns = ["follow_id", "episode", "wanted", "wanted_version", "shown_version", "due_at", "lease", "attempts"]
    await connection.execute(sa.insert(cards).from_select(columns, card))
