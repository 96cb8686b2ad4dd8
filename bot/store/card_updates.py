"""Group commit of card updates: one transaction writes several, since the commit is the most expensive part."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.cards import has_news, has_work
from bot.store.database import Database, is_sqlite
from bot.store.leases import MAX_WAIT_SECONDS
from bot.store.rows import clean
from bot.store.schema import announcements, cards

_BATCH_SIZE = 50


@dataclass(frozen=True, slots=True)
class CardUpdate:
    """One step of work on a card, by the holder of its lease."""

    follow_id: UUID
    episode: int
    lease: str
    lease_seconds: float
    ts: str | None = None
    """The card's message, if this step posted it."""
    version: int | None = None
    """The version that the card shows from now on."""
    seq: int | None = None
    """The announcement that was sent in its thread."""
    sent_ts: str | None = None
    unconfirmed: bool = False
    """An edit got no answer."""
    confirmed: float | None = None
    """The `unconfirmed_until` to clear, because this step came after it; it stays if it was set again meanwhile."""
    failing: dict[str, Any] | None = None
    """Since when Slack has refused the card's requests."""
    release: bool = False
    """Release the card: due now if anything is left to do, otherwise idle."""

    @property
    def has_result(self) -> bool:
        """Whether Slack completed a request in this step."""
        return self.version is not None or self.seq is not None

    @property
    def key(self) -> tuple[UUID, int, str]:
        """The card and its lease."""
        return self.follow_id, self.episode, self.lease


class Written(Enum):
    """The outcome of a step."""

    LEASE_LOST = auto()
    """Nothing was written: the lease was lost."""
    WRITTEN = auto()
    DUPLICATE = auto()
    """It was written, but another message had already announced the change."""


class CardWriteBatcher:
    """Group commit: updates that arrive during a commit share the next one. Each is fenced by its own lease."""

    def __init__(self, db: Database, late_seconds: float) -> None:
        self._db = db
        self._late_seconds = late_seconds
        self._waiting: list[tuple[CardUpdate, asyncio.Future[Written]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, update: CardUpdate) -> Written:
        """Write one step. Raises DatabaseUnavailable."""
        written: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append((update, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="card updates")
        return await written

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_BATCH_SIZE], self._waiting[_BATCH_SIZE:]
                await self._write(batch)
        finally:
            self._writing = None

    async def _write(self, batch: list[tuple[CardUpdate, "asyncio.Future[Written]"]]) -> None:
        try:
            written = await self._write_batch([update for update, _ in batch])
            for (_, future), done in zip(batch, written, strict=True):
                if done is not None:
                    _resolve(future, done)
            for (update, future), done in zip(batch, written, strict=True):
                if done is None:
                    (alone,) = await self._write_batch([update])
                    _resolve(future, alone or Written.LEASE_LOST)
        except Exception as error:  # noqa: BLE001 - raised again to each waiting caller
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)

    async def _write_batch(self, batch: Sequence[CardUpdate]) -> list[Written | None]:
        """Write these steps; return None for those whose card's row another transaction has locked."""
        async with self._db.transaction() as connection:
            # Skip locked rows: waiting for some while holding others could deadlock.
            leased = await _leased(connection, batch, skip_locked=len(batch) > 1)
            steps = [update for update in batch if update.key in leased]
            await _apply(connection, self._db.now(), self._late_seconds, steps)
            written = dict.fromkeys(leased, Written.WRITTEN)
            written |= dict.fromkeys(await _duplicates(connection, steps), Written.DUPLICATE)
        certain = len(batch) == 1 or is_sqlite(self._db.engine.url)
        return [written.get(update.key, Written.LEASE_LOST if certain else None) for update in batch]


def _resolve(future: "asyncio.Future[Written]", written: Written) -> None:
    if not future.done():  # the waiting task may have been cancelled
        future.set_result(written)


async def _leased(connection: AsyncConnection, batch: Sequence[CardUpdate], *, skip_locked: bool) -> set[Any]:
    key = sa.tuple_(cards.c.follow_id, cards.c.episode)
    query = (
        sa.select(cards.c.follow_id, cards.c.episode, cards.c.lease)
        .where(key.in_([(update.follow_id, update.episode) for update in batch]))
        .where(cards.c.lease.in_({update.lease for update in batch}))
        .with_for_update(skip_locked=skip_locked)
    )
    return {tuple(row) for row in await connection.execute(query)}


async def _apply(
    connection: AsyncConnection, now: sa.ColumnElement[float], late_seconds: float, batch: Sequence[CardUpdate]
) -> None:
    with_result = [update for update in batch if update.has_result]
    if with_result:
        await connection.execute(_update_card(now, late_seconds), [_values(update) for update in with_result])
    if sent := [update for update in batch if update.seq is not None]:
        await connection.execute(_mark_sent(now), [_values(update) for update in sent])
    if released := [(update.follow_id, update.episode) for update in batch if update.release]:
        # A statement of its own: it begins after a concurrent writer releases the row, so it sees the writer's changes.
        due_at = sa.case((has_work(), now), else_=cards.c.unconfirmed_until)
        released_cards = sa.update(cards).where(sa.tuple_(cards.c.follow_id, cards.c.episode).in_(released))
        await connection.execute(released_cards.values(lease=None, next_attempt_at=due_at, has_news=has_news()))


async def _duplicates(connection: AsyncConnection, batch: Sequence[CardUpdate]) -> set[tuple[UUID, int, str]]:
    """Return the keys of the steps whose change another message has announced.

    A holder that lost its lease may have reported that message, so this reads the rows after they are written.
    """
    sent = {(each.follow_id, each.episode, each.seq): each for each in batch if each.seq is not None}
    if not sent:
        return set()
    key = (announcements.c.follow_id, announcements.c.episode, announcements.c.seq)
    query = sa.select(*key, announcements.c.sent_ts).where(sa.tuple_(*key).in_(list(sent)))
    known = {tuple(row[:3]): row.sent_ts for row in await connection.execute(query)}
    return {each.key for key, each in sent.items() if known.get(key) not in (None, clean(each.sent_ts or ""))}


def _values(update: CardUpdate) -> dict[str, Any]:
    return {
        "of_follow": update.follow_id,
        "of_episode": update.episode,
        "posted_ts": update.ts,
        "version": update.version,
        "lease_seconds": min(update.lease_seconds, MAX_WAIT_SECONDS),
        "is_unconfirmed": update.unconfirmed,
        "confirmed": update.confirmed,
        "now_failing": update.failing,
        "sent_seq": update.seq,
        "reply_ts": update.sent_ts,
    }


def _update_card(now: sa.ColumnElement[float], late_seconds: float) -> sa.Update:
    version = sa.bindparam("version", type_=sa.Integer)
    this = sa.and_(
        cards.c.follow_id == sa.bindparam("of_follow", type_=sa.Uuid),
        cards.c.episode == sa.bindparam("of_episode", type_=sa.Integer),
    )
    return (
        sa.update(cards)
        .where(this)
        .values(
            message_ts=sa.func.coalesce(sa.bindparam("posted_ts", type_=sa.Text), cards.c.message_ts),
            rendered_version=sa.func.coalesce(version, cards.c.rendered_version),
            rendered_at=sa.case((version.is_(None), cards.c.rendered_at), else_=now),
            unconfirmed_until=sa.case(
                (sa.bindparam("is_unconfirmed", type_=sa.Boolean), now + late_seconds),
                (cards.c.unconfirmed_until == sa.bindparam("confirmed", type_=sa.Double), sa.null()),
                else_=cards.c.unconfirmed_until,
            ),
            failing=sa.bindparam("now_failing", type_=sa.JSON(none_as_null=True)),
            attempts=0,
            # Progress renews the lease.
            next_attempt_at=now + sa.bindparam("lease_seconds", type_=sa.Double),
        )
    )


def _mark_sent(now: sa.ColumnElement[float]) -> sa.Update:
    this = sa.and_(
        announcements.c.follow_id == sa.bindparam("of_follow", type_=sa.Uuid),
        announcements.c.episode == sa.bindparam("of_episode", type_=sa.Integer),
        announcements.c.seq == sa.bindparam("sent_seq", type_=sa.Integer),
        announcements.c.sent_at.is_(None),
    )
    return sa.update(announcements).where(this).values(sent_ts=sa.bindparam("reply_ts", type_=sa.Text), sent_at=now)
