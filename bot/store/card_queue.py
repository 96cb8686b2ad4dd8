"""The announcer's work: claim cards, and record what was posted, edited and announced."""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.domain.follow import Follow, FollowState
from bot.store.card_updates import CardUpdate, CardWriteBatcher, Written
from bot.store.cards import has_news, is_blocked_by_previous, is_latest, is_unattempted
from bot.store.database import Database
from bot.store.leases import Lease, after, due_in, is_due, new_lease
from bot.store.meetings import lock
from bot.store.outdated_announcements import still_true
from bot.store.rows import follow_from, from_epoch
from bot.store.schema import CURRENT, announcements, cards, follows

LATE_SECONDS = 120.0
"""How long after the bot stops waiting Slack may still carry out a request."""

_again = follows.alias("again")


@dataclass(frozen=True, slots=True)
class Announcement:
    """One change to announce in a thread, unique by follow, `episode` and `seq`."""

    episode: int
    seq: int
    """Negative for the store's own announcement (kind EXPIRED), which is not a Change."""
    kind: str
    payload: dict[str, Any]
    """Change.to_dict()."""
    occurred_at: datetime
    recorded_at: datetime


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
    desired: dict[str, Any]
    """Episode.to_dict() of what the card should show."""
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
    """Failures.to_dict(): since when Slack has refused the card's requests. Each step writes it."""
    announcements: tuple[Announcement, ...]
    """Pending announcements for its thread, in order."""
    lease: Lease

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


class CardQueue:
    """The announcer's part of the store.

    Most methods are fenced: if the lease was lost, they write nothing and return False. `posted`, `shown`, `sent`,
    `lost` and `renew` renew the lease; `finish`, `postpone`, `give_up` and a step marked `last` release the card. Steps
    of several cards that arrive together are written in one transaction. `reported_*` and `doubt` are for a holder that
    lost the lease but knows what Slack did.
    """

    def __init__(self, db: Database, late_seconds: float = LATE_SECONDS) -> None:
        self._db = db
        self._late_seconds = late_seconds
        self._progress = CardWriteBatcher(db, late_seconds)

    async def claim(
        self, owner: str, limit: int, lease_seconds: float, *, edits: int | None = None, take_over: bool = True
    ) -> list[DueCard]:
        """Claim due cards for this owner until the lease ends.

        Claims up to `limit` cards that have news, longest waiting first, then up to `edits` (None: the rest of the
        limit) that only need an edit. Cards of one follow come in order: the next episode's only once the previous
        one's announcements are sent. A request for a card whose lease has run out may still be on its way to Slack;
        without `take_over` such cards are skipped.
        """
        lease = new_lease(owner, lease_seconds, self._db.monotonic())
        async with self._db.transaction() as connection:
            now = self._db.now()
            which = [] if take_over else [cards.c.lease.is_(None)]
            keys = await _due(connection, now, limit, cards.c.has_news == sa.true(), ~is_blocked_by_previous(), *which)
            edits = limit - len(keys) if edits is None else edits
            keys += await _due(connection, now, edits, cards.c.has_news == sa.false(), *which)
            if not keys:
                return []
            claimed = {
                "lease": lease.token,
                "next_attempt_at": after(now, lease.seconds),
                "attempts": cards.c.attempts + 1,
                "rendered_version": sa.case(
                    (is_unattempted(), cards.c.desired_version), else_=cards.c.rendered_version
                ),
                # The last holder may have sent Slack a request and never received the answer.
                "unconfirmed_until": sa.case(
                    (cards.c.lease.is_not(None), now + self._late_seconds), else_=cards.c.unconfirmed_until
                ),
            }
            these = sa.tuple_(cards.c.follow_id, cards.c.episode).in_(keys)
            await connection.execute(sa.update(cards).where(these).values(claimed))
            due = await claimed_work(connection, now, await still_true(connection, now, keys), lease)
            return await _without_last_words(connection, now, due)

    async def mark_posted(self, card: DueCard, ts: str, version: int, *, last: bool = False) -> bool:
        """Record that the card was posted and shows this version. The `last` step also releases the card."""
        written = await self._write(card, ts=ts, version=version, settled=card.unconfirmed_until, finished=last)
        return written is not Written.LOST

    async def mark_rendered(
        self, card: DueCard, version: int, *, unconfirmed: bool = False, last: bool = False
    ) -> bool:
        """Record that the card was edited and shows this version; `unconfirmed`: an earlier attempt got no answer."""
        settled = _settled(card, version)
        written = await self._write(card, version=version, settled=settled, unconfirmed=unconfirmed, finished=last)
        return written is not Written.LOST

    async def mark_sent(
        self,
        card: DueCard,
        seq: int,
        ts: str,
        *,
        version: int | None = None,
        unconfirmed: bool = False,
        last: bool = False,
    ) -> bool | None:
        """Record that this announcement is in the thread.

        Return None if that is recorded, but an earlier holder has reported that another message announces the change:
        one of the two has to go. `version`: the card now shows it. `unconfirmed`: an edit that preceded the
        announcement got no answer.
        """
        settled = _settled(card, version)
        written = await self._write(
            card, seq=seq, sent_ts=ts, version=version, settled=settled, unconfirmed=unconfirmed, finished=last
        )
        return None if written is Written.REPEATED else written is Written.DONE

    async def release(self, card: DueCard) -> bool:
        """Release the card: due now if anything is left to do, including what arrived meanwhile, otherwise idle."""
        return await self._write(card, finished=True) is not Written.LOST

    async def mark_deleted(self, card: DueCard) -> bool:
        """Record that the card's message was deleted, so that the card is posted again."""
        values = {
            "message_ts": None,
            "rendered_version": card.desired_version,
            "times_deleted": cards.c.times_deleted + 1,
            "ordered_at": card.claimed_at,
            "has_news": True,
            "unconfirmed_until": None,
            "failing": None,
        }
        return await self._update(card, next_attempt_at=after(self._db.now(), card.lease.seconds), **values)

    async def renew(self, card: DueCard) -> bool:
        """Extend the lease, since the next call to Slack could outlive it."""
        return await self._update(card, next_attempt_at=after(self._db.now(), card.lease.seconds))

    async def defer(self, card: DueCard, seconds: float, *, failed: bool = True, unconfirmed: bool = False) -> bool:
        """Release the card and make it due in `seconds`, capped at half an hour; nothing makes it due earlier.

        Unless something `failed`, the claim does not count as an attempt. `unconfirmed`: a request got no answer.
        """
        now = self._db.now()
        values: dict[str, Any] = {"lease": None, "next_attempt_at": after(now, seconds), "has_news": has_news()}
        values["failing"] = card.failing
        if not failed:
            values["attempts"] = sa.case((cards.c.attempts > 0, cards.c.attempts - 1), else_=0)
        if unconfirmed:
            values["unconfirmed_until"] = now + self._late_seconds
        return await self._update(card, **values)

    async def give_up(self, card: DueCard) -> bool:
        """Release the card for good: its follow is over, and Slack refuses the edit that would show it."""
        return await self._update(card, lease=None, next_attempt_at=None, failing=None)

    async def reported_post(self, card: DueCard, ts: str) -> bool | None:
        """Report a card's message that was posted by a holder that has since lost the lease.

        True: this message is the card. False: another message is, or the card no longer exists. None: another worker
        may be posting it right now; report again later.
        """
        async with self._db.transaction() as connection:
            now = self._db.now()
            this = sa.select(cards, (cards.c.next_attempt_at > now).label("is_held")).where(_is(card)).with_for_update()
            row = (await connection.execute(this)).one_or_none()
            if row is None or row.times_deleted != card.times_deleted or row.message_ts not in (None, ts):
                return False
            if row.message_ts == ts:
                return True
            if row.lease is not None and row.is_held:
                return None
            known = {
                "message_ts": ts,
                "rendered_version": card.rendered_version,
                "rendered_at": now,
                "lease": None,
                "has_news": has_news(),
                "unconfirmed_until": None,
                # NULL means that the follow is paused.
                "next_attempt_at": sa.case((cards.c.next_attempt_at.is_(None), sa.null()), else_=now),
            }
            await connection.execute(sa.update(cards).where(_is(card)).values(known))
            return True

    async def reported_reply(self, card: DueCard, seq: int, ts: str) -> bool:
        """Report an announcement that was sent by a holder that has since lost the lease.

        Return False if another message had already announced the change. If the next holder is announcing it right now,
        `sent` returns None to that holder.
        """
        this = sa.and_(
            announcements.c.follow_id == card.follow.id,
            announcements.c.episode == card.episode,
            announcements.c.seq == seq,
        )
        async with self._db.transaction() as connection:
            unsent = sa.update(announcements).where(this, announcements.c.sent_at.is_(None))
            await connection.execute(unsent.values(sent_ts=ts, sent_at=self._db.now()))
            known: str | None = await connection.scalar(sa.select(announcements.c.sent_ts).where(this))
            return known in (None, ts)

    async def doubt(self, card: DueCard, *, unconfirmed: bool) -> bool:
        """Have the card's current or next holder edit it once more, since a worker edited it after losing the lease.

        `unconfirmed`: that edit got no answer. Return False if the card no longer exists.
        """
        paused = sa.exists().where(follows.c.id == cards.c.follow_id, follows.c.state == FollowState.PAUSED)
        async with self._db.transaction() as connection:
            until = self._db.now() + (self._late_seconds if unconfirmed else 0.0)
            doubtful = {
                "unconfirmed_until": until,
                "next_attempt_at": sa.case(
                    (paused, cards.c.next_attempt_at), else_=sa.func.coalesce(cards.c.next_attempt_at, until)
                ),
            }
            return (await connection.execute(sa.update(cards).where(_is(card)).values(doubtful))).rowcount == 1

    async def remove_ended(self, follow: Follow) -> bool:
        """Delete an unfollowed follow if each of its cards shows the end or never will."""
        async with self._db.transaction() as connection:
            await lock(connection, [follow.meeting_id])
            return (await connection.execute(removal_of_ended(follow.id))).rowcount == 1

    async def due_in(self, *, edits: bool = True) -> float | None:
        """Return the seconds until a card is due, 0 if one is, None if there is no work. Without `edits`, only cards
        with news count."""
        async with self._db.read_only() as connection:
            now = self._db.now()
            news = await due_in(
                connection, cards.c.next_attempt_at, now, cards.c.has_news == sa.true(), ~is_blocked_by_previous()
            )
            edit = (
                await due_in(connection, cards.c.next_attempt_at, now, cards.c.has_news == sa.false())
                if edits
                else None
            )
        return min((wait for wait in (news, edit) if wait is not None), default=None)

    async def _update(self, card: DueCard, **values: Any) -> bool:
        async with self._db.transaction() as connection:
            held = sa.update(cards).where(_is(card), cards.c.lease == card.lease.token)
            return (await connection.execute(held.values(values))).rowcount == 1

    async def _write(self, card: DueCard, **step: Any) -> Written:
        lease = card.lease
        step |= {"failing": card.failing}
        return await self._progress.write(CardUpdate(card.follow.id, card.episode, lease.token, lease.seconds, **step))


async def _due(
    connection: AsyncConnection, now: sa.ColumnElement[float], limit: int, *which: sa.ColumnElement[bool]
) -> list[tuple[UUID, int]]:
    if limit <= 0:
        return []
    # Skip rows that another replica is claiming right now instead of waiting for them.
    due = (
        sa.select(cards.c.follow_id, cards.c.episode)
        .where(cards.c.next_attempt_at.is_not(None), is_due(cards.c.next_attempt_at, now), *which)
        .order_by(cards.c.next_attempt_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [(row.follow_id, row.episode) for row in await connection.execute(due)]


def removal_of_ended(follow_id: UUID) -> sa.Delete:
    """Return the statement that deletes an unfollowed follow if none of its cards is due."""
    waiting = sa.exists().where(cards.c.follow_id == follows.c.id, cards.c.next_attempt_at.is_not(None))
    return sa.delete(follows).where(follows.c.id == follow_id, follows.c.state == FollowState.UNFOLLOWED, ~waiting)


def _is(card: DueCard) -> sa.ColumnElement[bool]:
    return sa.and_(cards.c.follow_id == card.follow.id, cards.c.episode == card.episode)


def _settled(card: DueCard, version: int | None) -> float | None:
    return card.unconfirmed_until if version is not None and card.may_be_overwritten else None


async def claimed_work(
    connection: AsyncConnection, now: sa.ColumnElement[float], keys: list[tuple[UUID, int]], lease: Lease
) -> list[DueCard]:
    """Load the work for claimed cards, in the order of their keys."""
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
            message_ts=row["message_ts"],
            times_deleted=row["times_deleted"],
            ordered_at=row["ordered_at"],
            desired=row["desired"],
            desired_version=row["desired_version"],
            rendered_version=row["rendered_version"],
            rendered_at=None if row["rendered_at"] is None else from_epoch(row["rendered_at"]),
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


async def _without_last_words(
    connection: AsyncConnection, now: sa.ColumnElement[float], due: list[DueCard]
) -> list[DueCard]:
    """Drop the announcements that a follow has expired where the channel follows the meeting again."""
    again = {card.follow.id for card in due if card.is_followed_again and card.announcements}
    if not again:
        return due
    own = sa.and_(announcements.c.seq < 0, announcements.c.sent_at.is_(None))
    dropped = sa.update(announcements).where(announcements.c.follow_id.in_(again), own)
    # A sent_at without a sent_ts marks an announcement as dropped.
    await connection.execute(dropped.values(sent_at=now, sent_ts=None))
    return [
        replace(card, announcements=tuple(each for each in card.announcements if each.seq > 0))
        if card.follow.id in again
        else card
        for card in due
    ]


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
