"""The entry point of the store."""

from bot.domain.follow import FOLLOW_SECONDS
from bot.store.database import Clock, Database, connect
from bot.store.database_url import parse
from bot.store.meetings import CHECK_SPACING_SECONDS
from bot.store.migrator import migrate
from bot.store.store import Store


async def open_store(
    url: str,
    *,
    clock: Clock | None = None,
    monotonic: Clock | None = None,
    follow_seconds: float = FOLLOW_SECONDS,
    check_spacing: float = CHECK_SPACING_SECONDS,
) -> Store:
    """Open the store in the database at this URL, after migrating its tables to this version.

    Several processes may do this at once. `clock` (epoch seconds) and `monotonic` are for tests: by default the time is
    PostgreSQL's, or this machine's for SQLite. Raises ConfigurationError with one sentence.
    """
    parsed = parse(url)
    await migrate(parsed)
    return Store(Database(connect(parsed), clock, monotonic), follow_seconds, check_spacing)
