"""Follows in channels where the bot may not post: pausing, one notice to their creator, and resuming."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.failed_calls import Failures
from bot.domain.follow import Follow, FollowState
from bot.store.card_queue import LATE_SECONDS
from bot.store.cards import revoke_leases, wake_unfinished
from bot.store.database import Database
from bot.store.due_cards import DueCard
from bot.store.follows import NOT_REFUSED, resume
from bot.store.leases import after, is_due
from bot.store.meetings import lock
from bot.store.rows import follow_from
from bot.store.schema import CURRENT, NOTICE_DUE, announcements, cards, follows, meetings

NOTICE_DELAY_SECONDS = 60.0
"""How long a notice about an expired follow waits for other follows that expire in the same channel."""
_NOTICE_DUE = sa.text(NOTICE_DUE)
_PAUSED, _EXPIRED = follows.c.state == FollowState.PAUSED, follows.c.state == FollowState.EXPIRED
_REFUSED = sa.or_(_PAUSED, _EXPIRED)


@dataclass(frozen=True, slots=True)
class PauseNotice:
    """A pending notice to a person that the bot cannot post in a channel where they created follows.

    There is one notice about paused follows, and one about follows that expired while Slack refused posts there.
    """

    follow: Follow
    """The first of the follows; its state says which kind of notice it is."""
    names: tuple[str | None, ...]
    """The names of the expired meetings, or of all that the person follows there; the one of `follow` comes first."""
    is_known: bool
    """Whether the person already received a notice about another follow in this channel that is still paused."""
    attempts: int
    """Number of failed attempts to send the notice."""
    follow_ids: tuple[UUID, ...]
    """The follows that the notice is about."""


class Pauses:
    """Pausing follows when Slack refuses their cards, resuming them, and the notices about it."""

    def __init__(self, db: Database, check_spacing: float, late_seconds: float = LATE_SECONDS) -> None:
        self._db = db
        self._check_spacing = check_spacing
        self._late_seconds = late_seconds

    async def pause(self, card: DueCard, reason: str, *, unconfirmed: bool = False) -> Follow | None:
        """Pause the follow of a card that cannot be posted; `reason` is Slack's code for why.

        `unconfirmed`: an earlier edit of the card got no answer.

        Return the follow, or None if the lease was lost or the follow is no longer active. Announcements wait until the
        follow is active again, and are then sent if they are still true.

        An expired follow stays expired. If its last announcement is unsent, return the follow: the announcement waits,
        too, and the creator gets a notice.
        """
        async with self._db.transaction() as connection:
            await lock(connection, [card.follow.meeting_id])
            leased = sa.select(cards.c.episode).where(
                cards.c.follow_id == card.follow.id,
                cards.c.episode == card.episode,
                cards.c.lease == card.lease.token,
            )
            if await connection.scalar(leased.with_for_update()) is None:
                return None
            now = self._db.now()
            # Release all of its cards. The holders of the others find their leases lost, but Slack may still carry out
            # their requests, and a killed holder cannot report that.
            is_this = cards.c.episode == card.episode
            may_change = sa.and_(cards.c.lease.is_not(None), sa.true() if unconfirmed else ~is_this)
            released = {
                "next_attempt_at": None,
                "lease": None,
                "failing": None,
                "unconfirmed_until": sa.case((may_change, now + self._late_seconds), else_=cards.c.unconfirmed_until),
            }
            await connection.execute(sa.update(cards).where(cards.c.follow_id == card.follow.id).values(released))
            is_active = follows.c.state == FollowState.ACTIVE
            has_unsent = sa.exists().where(announcements.c.follow_id == follows.c.id, announcements.c.sent_at.is_(None))
            paused = sa.update(follows).where(
                follows.c.id == card.follow.id,
                sa.or_(is_active, sa.and_(_EXPIRED, follows.c.pause_reason.is_(None), has_unsent)),
            )
            refused: dict[str, Any] = NOT_REFUSED | {
                "state": sa.case((is_active, FollowState.PAUSED), else_=follows.c.state),
                "pause_reason": reason,
                "paused_at": now,
                "notice_at": sa.case((_EXPIRED, now + NOTICE_DELAY_SECONDS), else_=sa.null()),
            }
            paused = paused.values(refused)
            row = (await connection.execute(paused.returning(*follows.c))).mappings().one_or_none()
            return None if row is None else follow_from(dict(row))

    async def channels_paused(self, reasons: Collection[str]) -> list[tuple[str, str]]:
        """Return the team and channel IDs of the channels with follows that are paused for one of these reasons.

        That includes expired follows whose end could not be shown.
        """
        place = (follows.c.team_id, follows.c.channel_id)
        paused = sa.select(*place).distinct().where(_REFUSED, follows.c.pause_reason.in_(reasons)).order_by(*place)
        async with self._db.read_only() as connection:
            return [(row.team_id, row.channel_id) for row in await connection.execute(paused)]

    async def resume(self, team_id: str, channel_id: str, reasons: Collection[str] | None = None) -> list[Follow]:
        """Resume the paused follows in this channel, make their unfinished cards due, and return them.

        Unfinished cards of expired follows are due, too, so that they show the end. With `reasons`, this concerns only
        follows that Slack refused for one of these. Slack's answer to an earlier request cannot pause the channel's
        active follows afterwards, nor stop the last announcement of expired ones.
        """
        here = sa.and_(follows.c.team_id == team_id, follows.c.channel_id == channel_id)
        followed = sa.select(follows).where(here, sa.or_(sa.text(CURRENT), _EXPIRED))
        async with self._db.transaction() as connection:
            rows = (await connection.execute(followed)).mappings().all()
            await lock(connection, [row["meeting_id"] for row in rows])
            # Read again: the rows may have changed before they were locked. Leave out new rows, which are not locked.
            locked = followed.where(follows.c.id.in_([row["id"] for row in rows]))
            still = locked.where(_PAUSED)
            if reasons is not None:
                still = still.where(follows.c.pause_reason.in_(reasons))
            rows = (await connection.execute(still)).mappings().all()
            unpaused = list(await connection.scalars(locked.where(~_PAUSED).with_only_columns(follows.c.id)))
            await revoke_leases(connection, self._db.now(), self._late_seconds, unpaused)
            await self._wake_expired(connection, locked, reasons)
            paused = [follow_from(dict(row)) for row in rows]
            await resume(connection, self._db.now(), paused, self._check_spacing)
            now_active = sa.select(follows).where(follows.c.id.in_([row["id"] for row in rows]))
            resumed = await connection.execute(now_active.order_by(follows.c.created_at, follows.c.id))
            return [follow_from(dict(row)) for row in resumed.mappings()]

    async def _wake_expired(
        self, connection: AsyncConnection, locked: sa.Select[Any], reasons: Collection[str] | None
    ) -> None:
        """Try again to show and announce that these follows expired, where Slack refused it."""
        refused = locked.where(
            _EXPIRED, follows.c.pause_reason.is_not(None) if reasons is None else follows.c.pause_reason.in_(reasons)
        )
        ids = list(await connection.scalars(refused.with_only_columns(follows.c.id)))
        await connection.execute(sa.update(follows).where(follows.c.id.in_(ids)).values(NOT_REFUSED))
        await wake_unfinished(connection, self._db.now(), ids)

    async def retry_denied(self, team_id: str, channel_id: str) -> None:
        """Have the channel's cards that wait for an admin to let the bot in tried now: a person may know that it is."""
        key = (cards.c.follow_id, cards.c.episode)
        failing = (
            sa.select(*key, cards.c.failing, self._db.now().label("now"))
            .join(follows, follows.c.id == cards.c.follow_id)
            .where(follows.c.team_id == team_id, follows.c.channel_id == channel_id)
            .where(cards.c.failing.is_not(None), cards.c.lease.is_(None), cards.c.next_attempt_at.is_not(None))
        )
        async with self._db.read_only() as connection:
            rows = (await connection.execute(failing)).all()
        for row in rows:
            failures = Failures.from_dict(row.failing)
            if failures.retry_in(row.now) > 0:
                this = sa.and_(sa.tuple_(*key) == (row.follow_id, row.episode), cards.c.lease.is_(None))
                now = {"failing": failures.without_wait().to_dict(), "next_attempt_at": self._db.now()}
                async with self._db.transaction() as connection:
                    await connection.execute(sa.update(cards).where(this).values(now))

    async def due_notices(self, limit: int) -> list[PauseNotice]:
        """Return the notices that are due, one of each kind for each person and channel."""
        pair = (follows.c.team_id, follows.c.channel_id, follows.c.created_by)
        kind = (*pair, follows.c.state)
        notice_at = sa.func.max(follows.c.notice_at)
        async with self._db.read_only() as connection:
            now = self._db.now()
            due = (
                sa.select(*kind, sa.func.max(follows.c.notice_attempts).label("attempts"))
                .where(_NOTICE_DUE)
                .group_by(*kind)
                .having(sa.or_(notice_at.is_(None), is_due(notice_at, now)))
                .order_by(sa.func.min(follows.c.paused_at), *kind)
                .limit(limit)
            )
            attempts = {tuple(row[:4]): row.attempts for row in await connection.execute(due)}
            if not attempts:
                return []
            theirs = (
                sa.select(follows, meetings.c.name)
                .join(meetings, meetings.c.meeting_id == follows.c.meeting_id)
                .where(sa.tuple_(*pair).in_({key[:3] for key in attempts}))
                .where(sa.or_(sa.text(CURRENT), sa.and_(_EXPIRED, _NOTICE_DUE)))
                .order_by(follows.c.paused_at, follows.c.created_at, follows.c.id)
            )
            found = defaultdict(list)
            for row in (await connection.execute(theirs)).mappings():
                state = FollowState.EXPIRED if row["state"] == FollowState.EXPIRED else FollowState.PAUSED
                found[row["team_id"], row["channel_id"], row["created_by"], state].append(row)
        # In the order in which the notices are due. Another replica may have sent one since the first query.
        notices = [_notice_from(found[key], attempts[key]) for key in attempts]
        return [notice for notice in notices if notice is not None]

    async def mark_notified(self, notice: PauseNotice, error: str | None = None) -> None:
        """Record that the notice was sent, or, with `error`, why it cannot be."""
        async with self._db.transaction() as connection:
            marked = sa.update(follows).where(_NOTICE_DUE, follows.c.id.in_(notice.follow_ids))
            await connection.execute(marked.values(creator_notified=True, notice_error=error))

    async def postpone_notice(self, notice: PauseNotice, seconds: float, *, error: str | None = None) -> None:
        """Make the notice due in `seconds`, capped at half an hour; with `error`, count a failed attempt."""
        async with self._db.transaction() as connection:
            again: dict[str, Any] = {"notice_at": after(self._db.now(), seconds)}
            if error is not None:
                again |= {"notice_attempts": follows.c.notice_attempts + 1, "notice_error": error}
            theirs = sa.update(follows).where(_NOTICE_DUE, follows.c.id.in_(notice.follow_ids))
            await connection.execute(theirs.values(again))


def _notice_from(rows: Sequence[sa.RowMapping], attempts: int) -> PauseNotice | None:
    """Return the notice about these follows of one person in one channel; None if the person knows of all of them."""
    refused = [row for row in rows if row["state"] != FollowState.ACTIVE]
    new = [row for row in refused if not row["creator_notified"]]
    if not new:
        return None
    others = [row for row in rows if row["id"] != new[0]["id"]]
    return PauseNotice(
        follow=follow_from(dict(new[0])),
        names=tuple(row["name"] for row in [new[0], *others]),
        is_known=len(new) < len(refused),
        attempts=attempts,
        follow_ids=tuple(row["id"] for row in new),
    )
