"""Follows: which channel follows which meeting, and at which level."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import Follow, FollowState, Level
from bot.store.card_queue import LATE_SECONDS
from bot.store.cards import due_to_show, is_latest, wake_unfinished
from bot.store.database import Database, insert
from bot.store.due_cards import DueCard, load_cards
from bot.store.follow_list import FollowStatus, list_follows
from bot.store.leases import Lease, after, new_lease
from bot.store.meetings import lock, refresh_values, stop_checking
from bot.store.outdated_announcements import drop_outdated
from bot.store.past_follows import end, show_followed_again
from bot.store.rows import Episode, follow_from
from bot.store.schema import CURRENT, cards, follows, meetings

_FIRST_CHECK_SECONDS = 60.0
"""When a newly followed meeting is checked at the latest: usually the check for the person who follows it is sooner."""
NOT_REFUSED = {
    "pause_reason": None,
    "paused_at": None,
    "creator_notified": False,
    "notice_at": None,
    "notice_attempts": 0,
    "notice_error": None,
}
"""The values of a follow in a channel where Slack does not refuse the bot's posts, as far as known."""


@dataclass(frozen=True, slots=True)
class StoredFollow:
    """The result of following a meeting."""

    follow: Follow
    is_new: bool
    """False if the channel already followed the meeting."""
    ts: str | None
    """The newest card's, if it is posted."""
    card: DueCard | None = None
    """A new follow's card, if the caller passed a `worker_id`."""
    meeting_before: Mapping[str, Any] | None = None
    """For `retract`: the meeting's earlier row, if there was one that no current follow used."""


class Follows:
    """People's actions on follows."""

    def __init__(
        self, db: Database, follow_seconds: float, check_spacing: float, late_seconds: float = LATE_SECONDS
    ) -> None:
        self._db = db
        self._follow_seconds = follow_seconds
        self._check_spacing = check_spacing
        self._late_seconds = late_seconds

    async def follow(
        self,
        team_id: str,
        channel_id: str,
        meeting_id: UUID,
        *,
        user_id: str,
        level: Level,
        episode: Episode,
        worker_id: str | None = None,
        lease_seconds: float = 60.0,
    ) -> StoredFollow:
        """Follow a meeting in a channel, and make its card due.

        `episode` is the meeting's state as just looked up; it is stored if no channel follows the meeting yet. A paused
        follow becomes active; an expired one stays over, and a new follow begins beside it. With a `worker_id`, that
        worker gets the lease of a new follow's card, so no other one sees the card as due until the lease ends; it
        calls `show_followed_again` once the card is posted.
        """
        lease = None if worker_id is None else new_lease(worker_id, lease_seconds, self._db.monotonic())
        async with self._db.transaction() as connection:
            now = self._db.now()
            meeting_before = await self._upsert_meeting(connection, now, meeting_id, episode)
            condition = _key(team_id, channel_id, meeting_id)
            follow = await _find(connection, condition)
            is_new = follow is None
            if follow is None:
                follow_id = uuid4()
                row = {
                    "id": follow_id,
                    "team_id": team_id,
                    "channel_id": channel_id,
                    "meeting_id": meeting_id,
                    "created_by": user_id,
                    "created_at": now,
                    "level": level,
                    "state": FollowState.ACTIVE,
                    "creator_notified": False,
                    "expires_at": now + self._follow_seconds,
                }
                await connection.execute(sa.insert(follows).values(row))
                await _add_card(connection, now, follow_id, meeting_id, lease)
                # Not before the new card is posted or, if the worker is killed, may be posted by another one.
                due_at = after(now, lease.seconds) if lease else now
                await show_followed_again(connection, due_at, team_id, channel_id, [meeting_id])
            elif follow.state is FollowState.PAUSED:
                await resume(connection, now, [follow], self._check_spacing)
            card = await _load_new_card(connection, now, condition, lease) if is_new and lease else None
            ts = await _newest_card_ts(connection, condition)
            return StoredFollow(await _get(connection, condition), is_new, ts, card, meeting_before)

    async def retract(self, followed: StoredFollow) -> bool:
        """Undo a new follow whose card Slack refuses, and restore the meeting's earlier row.

        If the card's lease was lost, change nothing and return False.
        """
        card = followed.card
        if card is None:
            return False
        meeting_id = followed.follow.meeting_id
        is_leased = sa.exists().where(cards.c.follow_id == follows.c.id, cards.c.lease == card.lease.token)
        async with self._db.transaction() as connection:
            await lock(connection, [meeting_id])
            retracted = sa.delete(follows).where(follows.c.id == followed.follow.id, is_leased)
            if (await connection.execute(retracted)).rowcount == 0:
                return False
            followed_by = sa.exists().where(follows.c.meeting_id == meetings.c.meeting_id)
            this = meetings.c.meeting_id == meeting_id
            if followed.meeting_before is None:
                await connection.execute(sa.delete(meetings).where(this, ~followed_by))
                await stop_checking(connection, [meeting_id])
            else:
                by_others = followed_by.where(sa.text(CURRENT))
                await connection.execute(sa.update(meetings).where(this, ~by_others).values(followed.meeting_before))
            return True

    async def show_followed_again(self, follow: Follow) -> None:
        """Have the cards of the channel's past follows of this meeting say now that a newer card follows it."""
        async with self._db.transaction() as connection:
            await lock(connection, [follow.meeting_id])
            now = self._db.now()
            await show_followed_again(connection, now, follow.team_id, follow.channel_id, [follow.meeting_id])

    async def unfollow(self, team_id: str, channel_id: str, meeting_id: UUID, *, user_id: str) -> Follow | None:
        """End the follow, and have its latest card show that and offer to follow again; return None if there is none.

        Nothing more is announced. A card that was certainly never posted is dropped. The rest is deleted once the card
        says that the channel follows the meeting again (`CardQueue.remove_ended`), or by `Maintenance.purge`.
        """
        async with self._db.transaction() as connection:
            now = self._db.now()
            await lock(connection, [meeting_id])
            follow = await _find(connection, _key(team_id, channel_id, meeting_id))
            if follow is None:
                return None
            await end(connection, now, self._late_seconds, follow.id, unfollowed_by=user_id)
            await stop_checking(connection, [meeting_id])
            return follow

    async def set_level(self, team_id: str, channel_id: str, meeting_id: UUID, level: Level) -> Follow | None:
        """Set the level from the next change on, and have the newest card show it; None if there is no follow."""
        async with self._db.transaction() as connection:
            await lock(connection, [meeting_id])
            condition = _key(team_id, channel_id, meeting_id)
            follow = await _find(connection, condition)
            if follow is None or follow.level is level:
                return follow
            await connection.execute(sa.update(follows).where(condition).values(level=level))
            newer = {"desired_version": cards.c.desired_version + 1}
            if follow.state is FollowState.ACTIVE:
                newer["next_attempt_at"] = due_to_show(self._db.now())
            await connection.execute(sa.update(cards).where(cards.c.follow_id == follow.id, is_latest()).values(newer))
            return await _get(connection, condition)

    async def in_channel(self, team_id: str, channel_id: str) -> list[FollowStatus]:
        """Return a channel's active and paused follows, oldest first."""
        async with self._db.read_only() as connection:
            return await list_follows(connection, self._db.now(), team_id, channel_id)

    async def _upsert_meeting(
        self, connection: AsyncConnection, now: sa.ColumnElement[float], meeting_id: UUID, episode: Episode
    ) -> Mapping[str, Any] | None:
        """Lock the meeting's row, and start checks of it if there are none.

        Return the earlier row if it existed but was not being checked.
        """
        this = meetings.c.meeting_id == meeting_id
        before = (await connection.execute(sa.select(meetings).where(this).with_for_update())).mappings().one_or_none()
        initial = {
            "name": episode.name,
            "episode_number": episode.number,
            "phase": episode.phase,
            "episode_state": episode.to_dict(),
            "next_check_at": now + _FIRST_CHECK_SECONDS,
            "check_requested": False,
            "refresh_at": now,
            "consecutive_failures": 0,
            "last_checked_at": now,
            "checked_at": now,
            "idle": False,
        }
        if before is not None and before["next_check_at"] is None:
            # Replace the state left by the last follow: changes since then would be announced as news. Keep the row,
            # since unfinished cards of other channels' past follows depend on it.
            await connection.execute(sa.update(meetings).where(this).values(initial))
            return dict(before)
        statement = insert(connection, meetings).values(meeting_id=meeting_id, **initial)
        requested = refresh_values(now, self._check_spacing)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=[meetings.c.meeting_id], set_=requested)
        )
        return None


async def resume(
    connection: AsyncConnection, now: sa.ColumnElement[float], paused: list[Follow], check_spacing: float
) -> None:
    """Reactivate paused follows, whose meetings are locked, and drop outdated announcements."""
    ids = [follow.id for follow in paused]
    active = sa.update(follows).where(follows.c.id.in_(ids)).values(state=FollowState.ACTIVE, **NOT_REFUSED)
    await connection.execute(active)
    await drop_outdated(connection, now, ids)
    await wake_unfinished(connection, now, ids)
    theirs = sa.update(meetings).where(meetings.c.meeting_id.in_({follow.meeting_id for follow in paused}))
    await connection.execute(theirs.values(refresh_values(now, check_spacing)))


def _key(team_id: str, channel_id: str, meeting_id: UUID) -> sa.ColumnElement[bool]:
    """Return the condition for the channel's current follow of the meeting; there is at most one."""
    return sa.and_(
        follows.c.team_id == team_id,
        follows.c.channel_id == channel_id,
        follows.c.meeting_id == meeting_id,
        sa.text(CURRENT),
    )


async def _find(connection: AsyncConnection, condition: sa.ColumnElement[bool]) -> Follow | None:
    row = (await connection.execute(sa.select(follows).where(condition))).mappings().one_or_none()
    return None if row is None else follow_from(dict(row))


async def _get(connection: AsyncConnection, condition: sa.ColumnElement[bool]) -> Follow:
    row = (await connection.execute(sa.select(follows).where(condition))).mappings().one()
    return follow_from(dict(row))


async def _newest_card_ts(connection: AsyncConnection, condition: sa.ColumnElement[bool]) -> str | None:
    query = sa.select(cards.c.message_ts).join(follows, follows.c.id == cards.c.follow_id).where(condition, is_latest())
    ts: str | None = await connection.scalar(query)
    return ts


async def _load_new_card(
    connection: AsyncConnection, now: sa.ColumnElement[float], condition: sa.ColumnElement[bool], lease: Lease
) -> DueCard:
    query = sa.select(cards.c.follow_id, cards.c.episode).join(follows, follows.c.id == cards.c.follow_id)
    row = (await connection.execute(query.where(condition))).one()
    (card,) = await load_cards(connection, now, [(row.follow_id, row.episode)], lease)
    return card


async def _add_card(
    connection: AsyncConnection, now: sa.ColumnElement[float], follow_id: UUID, meeting_id: UUID, lease: Lease | None
) -> None:
    # Show the state in the meeting's row, which other channels' follows may have kept up to date.
    card = sa.select(
        sa.literal(follow_id, sa.Uuid),
        meetings.c.episode_number,
        meetings.c.episode_state,
        sa.literal(1),
        sa.literal(1 if lease else 0),
        now,
        after(now, lease.seconds) if lease else now,
        sa.literal(lease.token if lease else None, sa.Text),
        sa.literal(1 if lease else 0),
        sa.true(),
    ).where(meetings.c.meeting_id == meeting_id)
    columns = ["follow_id", "episode", "desired", "desired_version", "rendered_version"]
    columns += ["ordered_at", "next_attempt_at", "lease"]
    columns += ["attempts", "has_news"]
    await connection.execute(sa.insert(cards).from_select(columns, card))
