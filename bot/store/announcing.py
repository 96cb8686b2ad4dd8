"""Who works at which card next: posts it, edits it, tells in its thread what is to be told."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.card_progress import CardProgress, Progress
from bot.store.cards import never_tried, waits_for_run_before
from bot.store.database import Database, moment
from bot.store.leases import Lease, after, due_in, is_due, new_lease
from bot.store.outdated import still_true
from bot.store.tables import announcements, cards, follows
from bot.store.values import Follow, follow_from


@dataclass(frozen=True, slots=True)
class Announcement:
    """One change to tell in a thread. Unique by the follow, `episode` and `seq`."""

    episode: int
    seq: int
    """Negative where it is no Change, but a word of the store's own (kind EXPIRED)."""
    kind: str
    data: dict[str, Any]
    """Change.to_dict()."""
    changed_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class DueCard:
    """A card that its holder alone may work at, until the lease ends."""

    follow: Follow
    episode: int
    """The number of the episode."""
    ts: str | None
    """None until it is posted."""
    lost: int
    """How often its message was deleted in Slack."""
    wanted: dict[str, Any]
    """Episode.to_dict(), what it should show."""
    wanted_version: int
    shown_version: int
    """Of one that is not posted yet, the first that was tried: if Slack has taken that, it shows it, whatever it is
    sent by the same ID later."""
    shown_at: datetime | None
    attempts: int
    """How many claims in a row have come to nothing, this one not counted."""
    announcements: tuple[Announcement, ...]
    """What is still to be told in its thread, in order."""
    lease: Lease

    @property
    def needs_edit(self) -> bool:
        """Whether what it shows is not what it should show."""
        return self.shown_version < self.wanted_version


class Announcing:
    """What the announcer does.

    Each method but `claim` and `due_in` is fenced: it returns False, and writes nothing, where the lease was lost.
    `posted`, `shown`, `sent` and `lost` renew the lease; `finish` and `postpone` give the card back, and so does what
    is the `last` step. What comes at the same time from several cards is written in one transaction.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._progress = CardProgress(db)

    async def claim(self, owner: str, limit: int, lease_seconds: float) -> list[DueCard]:
        """Cards that are due, those that have waited longest first, for this owner alone until the lease's end.

        Those of one follow come in order: the next run's when all of the run before is told.
        """
        lease = new_lease(owner, lease_seconds)
        async with self._db.writing() as connection:
            now = self._db.now()
            # Rows that another replica is claiming right now are passed over, not waited for.
            due = (
                sa.select(cards.c.follow_id, cards.c.episode)
                .where(is_due(cards.c.due_at, now), ~waits_for_run_before())
                .order_by(cards.c.due_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            keys = [(row.follow_id, row.episode) for row in await connection.execute(due)]
            if not keys:
                return []
            claimed = {
                "lease": lease.token,
                "due_at": after(now, lease.seconds),
                "attempts": cards.c.attempts + 1,
                "shown_version": sa.case((never_tried(), cards.c.wanted_version), else_=cards.c.shown_version),
            }
            which = sa.tuple_(cards.c.follow_id, cards.c.episode).in_(keys)
            await connection.execute(sa.update(cards).where(which).values(claimed))
            return await claimed_work(connection, await still_true(connection, now, keys), lease)

    async def posted(self, card: DueCard, ts: str, version: int, *, last: bool = False) -> bool:
        """The card is in the channel, and shows this version. The `last` step of all gives the card back, too."""
        return await self._write(card, ts=ts, version=version, finished=last)

    async def shown(self, card: DueCard, version: int, *, last: bool = False) -> bool:
        """The card was edited and shows this version."""
        return await self._write(card, version=version, finished=last)

    async def sent(self, card: DueCard, seq: int, ts: str, *, version: int | None = None, last: bool = False) -> bool:
        """This announcement is in the thread; and the card shows this version, if one is given."""
        return await self._write(card, seq=seq, sent_ts=ts, version=version, finished=last)

    async def finish(self, card: DueCard) -> bool:
        """Give the card back: due at once if anything is left to do, also what came meanwhile, and else at rest."""
        return await self._write(card, finished=True)

    async def lost(self, card: DueCard) -> bool:
        """The card's message is gone from the channel: it is to be posted anew."""
        async with self._db.writing() as connection:
            anew = {"ts": None, "shown_version": card.wanted_version, "lost": cards.c.lost + 1}
            due_at = after(self._db.now(), card.lease.seconds)
            gone = sa.update(cards).where(_holds(card)).values(due_at=due_at, **anew)
            return (await connection.execute(gone)).rowcount == 1

    async def postpone(self, card: DueCard, seconds: float) -> bool:
        """Give the card back, due in so many seconds: nothing makes it due before that. Half an hour at most."""
        async with self._db.writing() as connection:
            later = sa.update(cards).where(_holds(card)).values(lease=None, due_at=after(self._db.now(), seconds))
            return (await connection.execute(later)).rowcount == 1

    async def is_unfollowed(self, card: DueCard) -> bool:
        """Whether nobody follows any more where the card is: its row is gone."""
        held = sa.select(cards.c.episode).where(cards.c.follow_id == card.follow.id, cards.c.episode == card.episode)
        async with self._db.reading() as connection:
            return await connection.scalar(held) is None

    async def due_in(self) -> float | None:
        """Seconds until a card is due, 0 if one is; None if nothing is to be done."""
        async with self._db.reading() as connection:
            return await due_in(connection, cards.c.due_at, self._db.now(), ~waits_for_run_before())

    async def _write(self, card: DueCard, **step: Any) -> bool:
        lease = card.lease
        return await self._progress.write(Progress(card.follow.id, card.episode, lease.token, lease.seconds, **step))


def _holds(card: DueCard) -> sa.ColumnElement[bool]:
    return sa.and_(
        cards.c.follow_id == card.follow.id, cards.c.episode == card.episode, cards.c.lease == card.lease.token
    )


async def claimed_work(connection: AsyncConnection, keys: list[tuple[UUID, int]], lease: Lease) -> list[DueCard]:
    """What there is to do for cards that are claimed, in the order of their keys."""
    to_tell = await _unsent(connection, keys)
    query = (
        sa.select(follows, cards)
        .join(follows, follows.c.id == cards.c.follow_id)
        .where(sa.tuple_(cards.c.follow_id, cards.c.episode).in_(keys))
    )
    found = {}
    for row in (await connection.execute(query)).mappings():
        key = (row["follow_id"], row["episode"])
        found[key] = DueCard(
            follow=follow_from(dict(row)),
            episode=row["episode"],
            ts=row["ts"],
            lost=row["lost"],
            wanted=row["wanted"],
            wanted_version=row["wanted_version"],
            shown_version=row["shown_version"],
            shown_at=None if row["shown_at"] is None else moment(row["shown_at"]),
            attempts=row["attempts"] - 1,
            announcements=tuple(to_tell[key]),
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
                data=row.data,
                changed_at=moment(row.changed_at),
                recorded_at=moment(row.created_at),
            )
        )
    return found
