"""Who works at which card next: posts it, edits it, announces in its thread what there is to announce."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.card_progress import CardProgress, Progress
from bot.store.cards import has_news, is_latest, never_tried, waits_for_run_before
from bot.store.database import Database, moment
from bot.store.leases import Lease, after, due_in, is_due, new_lease
from bot.store.meetings import lock
from bot.store.outdated import still_true
from bot.store.tables import CURRENT, FollowState, announcements, cards, follows
from bot.store.values import Follow, follow_from

LATE_SECONDS = 60.0
"""How long after the bot has given up Slack may still do what it was asked."""

_again = follows.alias("again")


@dataclass(frozen=True, slots=True)
class Announcement:
    """One change to announce in a thread. Unique by the follow, `episode` and `seq`."""

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
    unconfirmed_until: float | None
    """Until when Slack may do what it has not confirmed, in epoch seconds of the database."""
    claimed_at: float
    """The same clock at the claim."""
    attempts: int
    """How many claims in a row have come to nothing, this one not counted."""
    is_latest: bool
    """Whether it is the newest card of its follow."""
    is_followed_again: bool
    """Whether the channel follows the meeting, where this follow of it is over."""
    failing: dict[str, Any] | None
    """Failures.to_dict(): since when Slack has not done what the card asks of it. Each step writes it."""
    announcements: tuple[Announcement, ...]
    """What is still to be announced in its thread, in order."""
    lease: Lease

    @property
    def has_news(self) -> bool:
        """Whether it has to be posted, or something is to be announced in its thread."""
        return self.ts is None or bool(self.announcements)

    @property
    def needs_edit(self) -> bool:
        """Whether what it shows is not, or may not be, what it should show."""
        return self.shown_version < self.wanted_version or self.may_be_overwritten

    @property
    def may_be_overwritten(self) -> bool:
        """Whether an earlier edit that got no answer may have come after the last one. By now it has come or never
        will, so one more edit is the last word."""
        return self.unconfirmed_until is not None and self.unconfirmed_until <= self.claimed_at


class Announcing:
    """What the announcer does.

    Most methods are fenced: they return False, and write nothing, where the lease was lost. `posted`, `shown`, `sent`,
    `lost` and `renew` renew the lease; `finish`, `postpone` and `give_up` give the card back, and so does what is the
    `last` step. What comes at the same time from several cards is written in one transaction. `reported_*` and `doubt`
    are for those who have lost the lease, and know what Slack did nevertheless.
    """

    def __init__(self, db: Database, late_seconds: float = LATE_SECONDS) -> None:
        self._db = db
        self._late_seconds = late_seconds
        self._progress = CardProgress(db, late_seconds)

    async def claim(
        self, owner: str, limit: int, lease_seconds: float, *, edits: int | None = None, take_over: bool = True
    ) -> list[DueCard]:
        """Claim due cards for this owner alone until the lease's end: up to `limit` that have news, those that have
        waited longest first, and then up to `edits` (None: what is left of the limit) that only want an edit.

        Those of one follow come in order: the next run's when all of the run before is announced. A card whose lease
        has run out may be on its way to Slack still; without `take_over` it is left alone.
        """
        lease = new_lease(owner, lease_seconds, self._db.monotonic())
        async with self._db.writing() as connection:
            now = self._db.now()
            which = [] if take_over else [cards.c.lease.is_(None)]
            keys = await _due(connection, now, limit, cards.c.has_news == sa.true(), ~waits_for_run_before(), *which)
            edits = limit - len(keys) if edits is None else edits
            keys += await _due(connection, now, edits, cards.c.has_news == sa.false(), *which)
            if not keys:
                return []
            claimed = {
                "lease": lease.token,
                "due_at": after(now, lease.seconds),
                "attempts": cards.c.attempts + 1,
                "shown_version": sa.case((never_tried(), cards.c.wanted_version), else_=cards.c.shown_version),
                # Its last holder may have asked Slack for something, and never heard the answer.
                "unconfirmed_until": sa.case(
                    (cards.c.lease.is_not(None), now + self._late_seconds), else_=cards.c.unconfirmed_until
                ),
            }
            these = sa.tuple_(cards.c.follow_id, cards.c.episode).in_(keys)
            await connection.execute(sa.update(cards).where(these).values(claimed))
            return await claimed_work(connection, now, await still_true(connection, now, keys), lease)

    async def posted(self, card: DueCard, ts: str, version: int, *, last: bool = False) -> bool:
        """The card is in the channel, and shows this version. The `last` step of all gives the card back, too."""
        return await self._write(card, ts=ts, version=version, settled=card.unconfirmed_until, finished=last)

    async def shown(self, card: DueCard, version: int, *, last: bool = False) -> bool:
        """The card was edited and shows this version."""
        return await self._write(card, version=version, settled=_settled(card, version), finished=last)

    async def sent(
        self,
        card: DueCard,
        seq: int,
        ts: str,
        *,
        version: int | None = None,
        unconfirmed: bool = False,
        last: bool = False,
    ) -> bool:
        """This announcement is in the thread; and the card shows this version, if one is given, or was edited before
        that with no answer."""
        settled = _settled(card, version)
        return await self._write(
            card, seq=seq, sent_ts=ts, version=version, settled=settled, unconfirmed=unconfirmed, finished=last
        )

    async def finish(self, card: DueCard) -> bool:
        """Give the card back: due at once if anything is left to do, also what came meanwhile, and else at rest."""
        return await self._write(card, finished=True)

    async def lost(self, card: DueCard) -> bool:
        """The card's message is gone from the channel: another one is to be posted."""
        values = {
            "ts": None,
            "shown_version": card.wanted_version,
            "lost": cards.c.lost + 1,
            "has_news": True,
            "unconfirmed_until": None,
            "failing": None,
        }
        return await self._update(card, due_at=after(self._db.now(), card.lease.seconds), **values)

    async def renew(self, card: DueCard) -> bool:
        """Let the lease end later, since the next call to Slack could outlive it."""
        return await self._update(card, due_at=after(self._db.now(), card.lease.seconds))

    async def postpone(self, card: DueCard, seconds: float, *, failed: bool = True, unconfirmed: bool = False) -> bool:
        """Give the card back, due in so many seconds: nothing makes it due before that. Half an hour at most.

        Unless something `failed`, the claim does not count as an attempt. `unconfirmed`: something got no answer.
        """
        now = self._db.now()
        values: dict[str, Any] = {"lease": None, "due_at": after(now, seconds), "has_news": has_news()}
        values["failing"] = card.failing
        if not failed:
            values["attempts"] = sa.case((cards.c.attempts > 0, cards.c.attempts - 1), else_=0)
        if unconfirmed:
            values["unconfirmed_until"] = now + self._late_seconds
        return await self._update(card, **values)

    async def give_up(self, card: DueCard) -> bool:
        """Give the card back, and never come back to it: its follow is over, and Slack will not show that."""
        return await self._update(card, lease=None, due_at=None, failing=None)

    async def reported_post(self, card: DueCard, ts: str) -> bool | None:
        """Report where the card was posted by a holder who has lost the lease.

        True: this message is the card. False: another one is, or there is no card any longer. None: somebody is
        posting it at this moment, and it is worth asking again.
        """
        async with self._db.writing() as connection:
            now = self._db.now()
            this = sa.select(cards, (cards.c.due_at > now).label("is_held")).where(_is(card)).with_for_update()
            row = (await connection.execute(this)).one_or_none()
            if row is None or row.lost != card.lost or row.ts not in (None, ts):
                return False
            if row.ts == ts:
                return True
            if row.lease is not None and row.is_held:
                return None
            known = {
                "ts": ts,
                "shown_version": card.shown_version,
                "shown_at": now,
                "lease": None,
                "has_news": has_news(),
                "unconfirmed_until": None,
                # At rest it is paused.
                "due_at": sa.case((cards.c.due_at.is_(None), sa.null()), else_=now),
            }
            await connection.execute(sa.update(cards).where(_is(card)).values(known))
            return True

    async def reported_reply(self, card: DueCard, seq: int, ts: str) -> bool:
        """Report an announcement that was sent by a holder who has lost the lease; False where another message has
        announced the same."""
        this = sa.and_(
            announcements.c.follow_id == card.follow.id,
            announcements.c.episode == card.episode,
            announcements.c.seq == seq,
        )
        async with self._db.writing() as connection:
            unsent = sa.update(announcements).where(this, announcements.c.sent_at.is_(None))
            await connection.execute(unsent.values(sent_ts=ts, sent_at=self._db.now()))
            known: str | None = await connection.scalar(sa.select(announcements.c.sent_ts).where(this))
            return known in (None, ts)

    async def doubt(self, card: DueCard, *, unconfirmed: bool) -> bool:
        """Have the card edited once more, by its holder or the next one: somebody who had lost the lease has edited it,
        or, `unconfirmed`, has asked for that. False where there is no such card any longer."""
        paused = sa.exists().where(follows.c.id == cards.c.follow_id, follows.c.state == FollowState.PAUSED)
        async with self._db.writing() as connection:
            until = self._db.now() + (self._late_seconds if unconfirmed else 0.0)
            doubtful = {
                "unconfirmed_until": until,
                "due_at": sa.case((paused, cards.c.due_at), else_=sa.func.coalesce(cards.c.due_at, until)),
            }
            return (await connection.execute(sa.update(cards).where(_is(card)).values(doubtful))).rowcount == 1

    async def remove_ended(self, follow: Follow) -> bool:
        """Remove a follow that somebody has ended, if all its cards show that or never will."""
        async with self._db.writing() as connection:
            await lock(connection, [follow.meeting_id])
            return (await connection.execute(removal_of_ended(follow.id))).rowcount == 1

    async def due_in(self, *, edits: bool = True) -> float | None:
        """Seconds until a card is due, 0 if one is; None if nothing is to be done. Without `edits`, until one has
        news."""
        async with self._db.reading() as connection:
            now = self._db.now()
            news = await due_in(connection, cards.c.due_at, now, cards.c.has_news == sa.true(), ~waits_for_run_before())
            edit = await due_in(connection, cards.c.due_at, now, cards.c.has_news == sa.false()) if edits else None
        return min((wait for wait in (news, edit) if wait is not None), default=None)

    async def _update(self, card: DueCard, **values: Any) -> bool:
        async with self._db.writing() as connection:
            held = sa.update(cards).where(_is(card), cards.c.lease == card.lease.token)
            return (await connection.execute(held.values(values))).rowcount == 1

    async def _write(self, card: DueCard, **step: Any) -> bool:
        lease = card.lease
        step |= {"failing": card.failing}
        return await self._progress.write(Progress(card.follow.id, card.episode, lease.token, lease.seconds, **step))


async def _due(
    connection: AsyncConnection, now: sa.ColumnElement[float], limit: int, *which: sa.ColumnElement[bool]
) -> list[tuple[UUID, int]]:
    if limit <= 0:
        return []
    # Rows that another replica is claiming right now are passed over, not waited for.
    due = (
        sa.select(cards.c.follow_id, cards.c.episode)
        .where(cards.c.due_at.is_not(None), is_due(cards.c.due_at, now), *which)
        .order_by(cards.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [(row.follow_id, row.episode) for row in await connection.execute(due)]


def removal_of_ended(follow_id: UUID) -> sa.Delete:
    """Return what removes the row of a follow that somebody has ended, if none of its cards is due."""
    waiting = sa.exists().where(cards.c.follow_id == follows.c.id, cards.c.due_at.is_not(None))
    return sa.delete(follows).where(follows.c.id == follow_id, follows.c.state == FollowState.UNFOLLOWED, ~waiting)


def _is(card: DueCard) -> sa.ColumnElement[bool]:
    return sa.and_(cards.c.follow_id == card.follow.id, cards.c.episode == card.episode)


def _settled(card: DueCard, version: int | None) -> float | None:
    return card.unconfirmed_until if version is not None and card.may_be_overwritten else None


async def claimed_work(
    connection: AsyncConnection, now: sa.ColumnElement[float], keys: list[tuple[UUID, int]], lease: Lease
) -> list[DueCard]:
    """What there is to do for cards that are claimed, in the order of their keys."""
    to_tell = await _unsent(connection, keys)
    followed_again = sa.exists().where(
        follows.c.state.in_([FollowState.UNFOLLOWED, FollowState.EXPIRED]),
        _again.c.team_id == follows.c.team_id,
        _again.c.channel_id == follows.c.channel_id,
        _again.c.meeting_id == follows.c.meeting_id,
        sa.text(f"{_again.name}.{CURRENT}"),
    )
    query = (
        sa.select(
            follows,
            cards,
            now.label("claimed_at"),
            is_latest().label("is_latest"),
            followed_again.label("is_followed_again"),
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
            ts=row["ts"],
            lost=row["lost"],
            wanted=row["wanted"],
            wanted_version=row["wanted_version"],
            shown_version=row["shown_version"],
            shown_at=None if row["shown_at"] is None else moment(row["shown_at"]),
            unconfirmed_until=row["unconfirmed_until"],
            claimed_at=row["claimed_at"],
            attempts=row["attempts"] - 1,
            is_latest=bool(row["is_latest"]),
            is_followed_again=bool(row["is_followed_again"]),
            failing=row["failing"],
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
