"""Claimed cards with everything that the announcer needs to work on them."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.episode import Change, Episode
from bot.domain.failed_calls import Failures
from bot.domain.follow import Follow, FollowState
from bot.store.cards import is_latest
from bot.store.leases import Lease
from bot.store.outdated_announcements import IN_THREAD
from bot.store.past_follows import is_followed_again
from bot.store.rows import follow_from, from_epoch
from bot.store.schema import announcements, cards, follows


@dataclass(frozen=True, slots=True)
class Announcement:
    """One change to announce in a thread, unique by follow, `episode` and `seq`."""

    episode: int
    seq: int
    """Negative for the store's own announcement (kind EXPIRED), which is not a Change."""
    kind: str
    payload: dict[str, Any]
    """Change.to_dict(), and IN_THREAD."""
    occurred_at: datetime
    recorded_at: datetime

    @property
    def change(self) -> Change:
        """The change to announce. Raises KeyError for the store's own announcement."""
        return Change.from_dict(self.payload)

    @property
    def is_in_thread_only(self) -> bool:
        """Whether the channel itself does not see it, even if the follow is loud."""
        return bool(self.payload.get(IN_THREAD))


@dataclass(frozen=True, slots=True)
class DueCard:
    """A claimed card: only the lease's holder may work on it until the lease ends."""

    follow: Follow
    episode: int
    """The episode's number."""
    message_ts: str | None
    """None until it is posted."""
    times_deleted: int
    """How many times its message was deleted in Slack."""
    ordered_at: float
    """When it first became due for posting, or for posting again, in epoch seconds by the database's clock."""
    stored_episode: dict[str, Any]
    """Episode.to_dict() of what the card should show. It is decoded on access, so that a row that cannot be decoded
    stops only its own card."""
    desired_version: int
    rendered_version: int
    """Before the card is posted, the version of the first attempt: if Slack accepted that one, the message shows it,
    even if a later attempt with the same ID sent a newer version."""
    rendered_at: datetime | None
    unconfirmed_until: float | None
    """Until when Slack may still carry out an unconfirmed request, in epoch seconds by the database's clock."""
    claimed_at: float
    """Time of the claim by the same clock."""
    attempts: int
    """Number of consecutive failed claims, not counting this one."""
    is_latest: bool
    """Whether it is the newest card of its follow."""
    is_followed_again: bool
    """Whether this follow is over but the channel has a newer, current one of the same meeting."""
    failing: dict[str, Any] | None
    """Failures.to_dict() of `failures`. Each step writes it."""
    announcements: tuple[Announcement, ...]
    """Pending announcements for its thread, in order."""
    lease: Lease

    @property
    def desired(self) -> Episode:
        """The episode that the card should show."""
        return Episode.from_dict(self.stored_episode)

    @property
    def failures(self) -> Failures:
        """Since when Slack has refused the card's requests."""
        return Failures.from_dict(self.failing)

    @property
    def is_unfollowed(self) -> bool:
        """Whether someone ended the follow."""
        return self.follow.state is FollowState.UNFOLLOWED

    @property
    def is_over(self) -> bool:
        """Whether the follow has ended or expired."""
        return self.follow.state in (FollowState.UNFOLLOWED, FollowState.EXPIRED)

    @property
    def has_news(self) -> bool:
        """Whether the card is unposted or has pending announcements."""
        return self.message_ts is None or bool(self.announcements)

    @property
    def needs_edit(self) -> bool:
        """Whether the card's message is out of date, or may be."""
        return self.rendered_version < self.desired_version or self.may_be_overwritten

    @property
    def may_be_overwritten(self) -> bool:
        """Whether an earlier, unanswered edit may have overtaken the last one. Slack has applied it by now or never
        will, so one more edit settles it."""
        return self.unconfirmed_until is not None and self.unconfirmed_until <= self.claimed_at

    def after_deletion(self) -> "DueCard":
        """Return the card as `CardQueue.mark_deleted` stores it: its message was deleted in Slack."""
        return replace(
            self,
            message_ts=None,
            rendered_version=self.desired_version,
            unconfirmed_until=None,
            times_deleted=self.times_deleted + 1,
            ordered_at=self.claimed_at,
            failing=None,
        )


async def load_cards(
    connection: AsyncConnection, now: sa.ColumnElement[float], keys: list[tuple[UUID, int]], lease: Lease
) -> list[DueCard]:
    """Load the work for claimed cards, in the order of their keys."""
    pending = await _unsent(connection, keys)
    query = (
        sa.select(
            follows,
            cards,
            now.label("claimed_at"),
            is_latest().label("is_latest"),
            is_followed_again().label("is_followed_again"),
        )
        .join(follows, follows.c.id == cards.c.follow_id)
        .where(sa.tuple_(cards.c.follow_id, cards.c.episode).in_(keys))
    )
    found = {}
    for row in (await connection.execute(query)).mappings():
        key = (row["follow_id"], row["episode"])
        found[key] = DueCard(
            follow=follow_from(dict(row)),
            episode=row["episode"],
            message_ts=row["message_ts"],
            times_deleted=row["times_deleted"],
            ordered_at=row["ordered_at"],
            stored_episode=row["desired"],
            desired_version=row["desired_version"],
            rendered_version=row["rendered_version"],
            rendered_at=None if row["rendered_at"] is None else from_epoch(row["rendered_at"]),
            unconfirmed_until=row["unconfirmed_until"],
            claimed_at=row["claimed_at"],
            attempts=row["attempts"] - 1,
            is_latest=bool(row["is_latest"]),
            is_followed_again=bool(row["is_followed_again"]),
            failing=row["failing"],
            announcements=tuple(pending[key]),
            lease=lease,
        )
    return [found[key] for key in keys]


async def _unsent(
    connection: AsyncConnection, keys: list[tuple[UUID, int]]
) -> dict[tuple[UUID, int], list[Announcement]]:
    query = (
        sa.select(announcements)
        .where(sa.tuple_(announcements.c.follow_id, announcements.c.episode).in_(keys))
        .where(announcements.c.sent_at.is_(None))
        .order_by(announcements.c.id)
    )
    found = defaultdict(list)
    for row in await connection.execute(query):
        found[row.follow_id, row.episode].append(
            Announcement(
                episode=row.episode,
                seq=row.seq,
                kind=row.kind,
                payload=row.payload,
                occurred_at=from_epoch(row.occurred_at),
                recorded_at=from_epoch(row.created_at),
            )
        )
    return found
