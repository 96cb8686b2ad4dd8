"""What tests of the store do all the time, and stand-ins for what the state machine makes."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bot.domain.follow import Follow, Level
from bot.store.database import Database
from bot.store.database_url import parse_database_url
from bot.store.due_cards import DueCard
from bot.store.follow_list import FollowStatus
from bot.store.follows import StoredFollow
from bot.store.meeting_queue import DueMeeting
from bot.store.migrator import migrate
from bot.store.store import Store

TEAM, CHANNEL, ANN, BEN = "T1", "C1", "U1", "U2"
MEETING = UUID(int=1)
OTHER_MEETING = UUID(int=2)
LEASE = 30.0


_empty_tables: list[bytes] = []


async def sqlite_with_tables(path: Path) -> str:
    """Make a SQLite file with empty tables, which takes a migration only once per process; return its URL."""
    url = f"sqlite:///{path}"
    if _empty_tables:
        await asyncio.to_thread(path.write_bytes, _empty_tables[0])
    else:
        await migrate(parse_database_url(url))
        _empty_tables.append(await asyncio.to_thread(path.read_bytes))
    return url


@dataclass
class Clock:
    time: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += seconds


@dataclass(frozen=True)
class Episode:
    number: int = 1
    phase: str = "waiting"
    name: str | None = "All hands"

    def to_dict(self) -> dict[str, Any]:
        return {"number": self.number, "phase": self.phase}


@dataclass(frozen=True)
class Change:
    seq: int = 1
    kind: str = "live"
    episode: int = 1
    at: datetime = datetime(2027, 1, 15, 8, 0, tzinfo=UTC)

    def to_dict(self) -> dict[str, Any]:
        return {"episode": self.episode, "seq": self.seq, "kind": self.kind}


async def follow(
    store: Store,
    channel: str = CHANNEL,
    *,
    meeting: UUID = MEETING,
    level: Level = Level.NORMAL,
    episode: Episode | None = None,
) -> StoredFollow:
    return await store.follows.follow(TEAM, channel, meeting, user_id=ANN, level=level, episode=episode or Episode())


async def follow_and_check(
    store: Store, meeting: UUID = MEETING, phase: str = "waiting", *, next_check_in: float = 60
) -> None:
    """Follow a meeting, and check it once."""
    await follow(store, meeting=meeting)
    await store.meeting_queue.record(await look(store), Episode(phase=phase), next_check_in=next_check_in)


async def follow_and_post(
    store: Store, channel: str = CHANNEL, *, meeting: UUID = MEETING, episode: Episode | None = None
) -> "Channel":
    """Follow a meeting whose card is posted at once."""
    await follow(store, channel, meeting=meeting, episode=episode)
    slack = Channel()
    await slack.work(store)
    return slack


async def listed(store: Store, channel: str = CHANNEL) -> FollowStatus:
    """Return the only follow of a channel."""
    (found,) = await store.follows.in_channel(TEAM, channel)
    return found


async def claim(store: Store, worker_id: str = "announcer") -> DueCard:
    """Claim the one card that is due."""
    (card,) = await store.card_queue.claim(worker_id, 10, LEASE)
    return card


async def pause(store: Store, reason: str = "not_in_channel") -> Follow:
    """Have Slack refuse the one card that is due."""
    paused = await store.pauses.pause(await claim(store), reason)
    assert paused is not None
    return paused


async def count(database: Database, table: sa.Table) -> int:
    async with database.read_only() as connection:
        return int(await connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


@contextlib.contextmanager
def recorded_statements(store: Store) -> Iterator[list[str]]:
    """Record the statements that a store sends, apart from those that begin transactions."""
    statements: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            statements.append(statement)

    engine = store._db.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", record)
    yield statements
    sa.event.remove(engine, "before_cursor_execute", record)


async def look(store: Store, worker_id: str = "tracker") -> DueMeeting:
    """Claim the one meeting that is due."""
    (meeting,) = await store.meeting_queue.claim(worker_id, 10, LEASE)
    return meeting


async def check(store: Store) -> None:
    """Check all meetings that are due, and find nothing new."""
    for meeting in await store.meeting_queue.claim("tracker", 1_000, LEASE):
        await store.meeting_queue.release(meeting, next_check_in=60)


async def expire(store: Store) -> list[Follow]:
    """Expire follows after a check that has found nothing new."""
    await check(store)
    return await store.maintenance.expire()


async def see(store: Store, episode: Episode, *changes: Change, **how: Any) -> None:
    """Check a meeting as if a check had been requested, and record what is seen."""
    assert await store.meeting_queue.request_check(how.pop("meeting", MEETING))
    await store.meeting_queue.record(await look(store), episode, changes, **{"next_check_in": 60.0, **how})


@dataclass
class Channel:
    """What the announcer did: a little of Slack."""

    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each posted message shows, by ts."""
    threads: dict[str, list[str]] = field(default_factory=dict)
    """Return what was announced in each card's thread."""
    messages: int = 0

    def ts(self) -> str:
        self.messages += 1
        return f"1800000000.{self.messages:06}"

    async def work(self, store: Store, worker_id: str = "announcer") -> list[DueCard]:
        """Do all that is due, as the announcer does; what was due."""
        due = await store.card_queue.claim(worker_id, 100, LEASE)
        for card in due:
            await self.work_at(store, card)
            await store.card_queue.release(card)
            await store.card_queue.remove_ended(card.follow)
        return due

    async def work_at(self, store: Store, card: DueCard) -> None:
        ts = card.message_ts
        if ts is None:
            ts = self.ts()
            self.cards[ts] = card.stored_episode
            self.threads[ts] = []
            await store.card_queue.mark_posted(card, ts, card.desired_version)
        elif card.needs_edit:
            self.cards[ts] = card.stored_episode
            await store.card_queue.mark_rendered(card, card.desired_version)
        for announcement in card.announcements:
            self.threads[ts].append(announcement.kind)
            await store.card_queue.mark_sent(card, announcement.seq, self.ts())
