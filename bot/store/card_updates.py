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
from bot.store.leases import LONGEST_WAIT
from bot.store.schema import announcements, cards
from bot.store.text import clean

_MOST = 50


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
    settled: float | None = None
    """The `unconfirmed_until` to clear, because this step came after it; kept if it was set again meanwhile."""
    failing: dict[str, Any] | None = None
    """Since when Slack has refused the card's requests."""
    finished: bool = False
    """Release the card: due now if anything is left to do, otherwise idle."""

    @property
    def has_result(self) -> bool:
        """Whether Slack completed a request in this step."""
        return self.version is not None or self.seq is not None

    @property
    def key(self) -> tuple[UUID, int, str]:
        """The card and the lease it is held by."""
        return self.follow_id, self.episode, self.lease


class Written(Enum):
    """The outcome of a step."""

    LOST = auto()
    """Nothing was written: the lease was lost."""
    DONE = auto()
    REPEATED = auto()
    """It was written, but another message had already announced the change."""


class CardWriteBatcher:
    """Group commit: updates that arrive during a commit share the next one. Each is fenced by its own lease."""

    def __init__(self, db: Database, late_seconds: float) -> None:
        self._db = db
        self._late_seconds = late_seconds
        self._waiting: list[tuple[CardUpdate, asyncio.Future[Written]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, progress: CardUpdate) -> Written:
        """Write one step. Raises DatabaseUnavailable."""
        written: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append((progress, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all(), name="card progress")
        return await written

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                await self._write(batch)
        finally:
            self._writing = None

    async def _write(self, batch: list[tuple[CardUpdate, "asyncio.Future[Written]"]]) -> None:
        try:
            written = await self._together([progress for progress, _ in batch])
            for (_, future), done in zip(batch, written, strict=True):
                if done is not None:
                    _resolve(future, done)
            for (progress, future), done in zip(batch, written, strict=True):
                if done is None:
                    _resolve(future, await self._alone(progress))
        except Exception as error:  # noqa: BLE001 - raised again to each waiting caller
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)

    async def _together(self, batch: Sequence[CardUpdate]) -> list[Written | None]:
        """Write these steps; return None for those whose card's row is locked and has to be waited for."""
        async with self._db.transaction() as connection:
            # Skip locked rows: waiting for some while holding others could deadlock.
            held = await _held(connection, batch, skip_locked=len(batch) > 1)
            steps = [progress for progress in batch if progress.key in held]
            await _apply(connection, self._db.now(), self._late_seconds, steps)
            written = dict.fromkeys(held, Written.DONE)
            written |= dict.fromkeys(await _repeated(connection, steps), Written.REPEATED)
        certain = len(batch) == 1 or is_sqlite(self._db.engine.url)
        return [written.get(progress.key, Written.LOST if certain else None) for progress in batch]

    async def _alone(self, progress: CardUpdate) -> Written:
        (written,) = await self._together([progress])
        return written or Written.LOST


def _resolve(future: "asyncio.Future[Written]", written: Written) -> None:
    if not future.done():  # the waiting task may have been cancelled
        future.set_result(written)


async def _held(connection: AsyncConnection, batch: Sequence[CardUpdate], *, skip_locked: bool) -> set[Any]:
    key = sa.tuple_(cards.c.follow_id, cards.c.episode)
    query = (
        sa.select(cards.c.follow_id, cards.c.episode, cards.c.lease)
        .where(key.in_([(progress.follow_id, progress.episode) for progress in batch]))
        .where(cards.c.lease.in_({progress.lease for progress in batch}))
        .with_for_update(skip_locked=skip_locked)
    )
    return {tuple(row) for row in await connection.execute(query)}


async def _apply(
    connection: AsyncConnection, now: sa.ColumnElement[float], late_seconds: float, batch: Sequence[CardUpdate]
) -> None:
    got_on = [progress for progress in batch if progress.has_result]
    if got_on:
        await connection.execute(_progressed(now, late_seconds), [_values(progress) for progress in got_on])
    if told := [progress for progress in batch if progress.seq is not None]:
        await connection.execute(_told(now), [_values(progress) for progress in told])
    if finished := [(progress.follow_id, progress.episode) for progress in batch if progress.finished]:
        # A statement of its own: it begins after a concurrent writer releases the row, so it sees the writer's changes.
        due_at = sa.case((has_work(), now), else_=cards.c.unconfirmed_until)
        these = sa.update(cards).where(sa.tuple_(cards.c.follow_id, cards.c.episode).in_(finished))
        await connection.execute(these.values(lease=None, next_attempt_at=due_at, has_news=has_news()))


async def _repeated(connection: AsyncConnection, batch: Sequence[CardUpdate]) -> set[tuple[UUID, int, str]]:
    """Return the keys of the steps whose change is known to be announced by another message.

    A holder that lost its lease may have reported that message; so this reads what was just written.
    """
    told = {(each.follow_id, each.episode, each.seq): each for each in batch if each.seq is not None}
    if not told:
        return set()
    line = (announcements.c.follow_id, announcements.c.episode, announcements.c.seq)
    query = sa.select(*line, announcements.c.sent_ts).where(sa.tuple_(*line).in_(list(told)))
    known = {tuple(row[:3]): row.sent_ts for row in await connection.execute(query)}
    return {each.key for line, each in told.items() if known.get(line) not in (None, clean(each.sent_ts or ""))}


def _values(progress: CardUpdate) -> dict[str, Any]:
    return {
        "of_follow": progress.follow_id,
        "of_episode": progress.episode,
        "posted_ts": progress.ts,
        "version": progress.version,
        "lease_seconds": min(progress.lease_seconds, LONGEST_WAIT),
        "is_unconfirmed": progress.unconfirmed,
        "settled": progress.settled,
        "now_failing": progress.failing,
        "told_seq": progress.seq,
        "told_ts": progress.sent_ts,
    }


def _progressed(now: sa.ColumnElement[float], late_seconds: float) -> sa.Update:
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
                (cards.c.unconfirmed_until == sa.bindparam("settled", type_=sa.Double), sa.null()),
                else_=cards.c.unconfirmed_until,
            ),
            failing=sa.bindparam("now_failing", type_=sa.JSON(none_as_null=True)),
            attempts=0,
            # Progress renews the lease.
            next_attempt_at=now + sa.bindparam("lease_seconds", type_=sa.Double),
        )
    )


def _told(now: sa.ColumnElement[float]) -> sa.Update:
    this = sa.and_(
        announcements.c.follow_id == sa.bindparam("of_follow", type_=sa.Uuid),
        announcements.c.episode == sa.bindparam("of_episode", type_=sa.Integer),
        announcements.c.seq == sa.bindparam("told_seq", type_=sa.Integer),
        announcements.c.sent_at.is_(None),
    )
    return sa.update(announcements).where(this).values(sent_ts=sa.bindparam("told_ts", type_=sa.Text), sent_at=now)
