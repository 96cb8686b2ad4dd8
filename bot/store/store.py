"""The store: one object for all its parts."""

from datetime import datetime

import sqlalchemy as sa

from bot.domain.follow import FOLLOW_SECONDS
from bot.errors import DatabaseUnavailable
from bot.store.card_queue import LATE_SECONDS, CardQueue
from bot.store.database import Clock, Database, connect
from bot.store.database_url import parse_database_url
from bot.store.follows import Follows
from bot.store.maintenance import Maintenance
from bot.store.meeting_queue import MeetingQueue
from bot.store.meetings import CHECK_SPACING_SECONDS, MeetingSweepStore
from bot.store.migrator import migrate
from bot.store.pauses import Pauses
from bot.store.request_windows import RequestWindow
from bot.store.rows import from_epoch
from bot.store.singleton_jobs import SingletonJobs
from bot.store.workspace_changes import WorkspaceChanges


class Store:
    """The bot's state, in one part for each kind of work. Close it after use."""

    def __init__(
        self,
        db: Database,
        follow_seconds: float = FOLLOW_SECONDS,
        check_spacing: float = CHECK_SPACING_SECONDS,
        late_seconds: float = LATE_SECONDS,
    ) -> None:
        self._db = db
        self.follows = Follows(db, follow_seconds, check_spacing, late_seconds)
        self.meeting_queue = MeetingQueue(db, follow_seconds, check_spacing)
        self.card_queue = CardQueue(db, late_seconds)
        self.pauses = Pauses(db, check_spacing, late_seconds)
        self.workspaces = WorkspaceChanges(db, late_seconds)
        self.meeting_sweeps = MeetingSweepStore(db)
        self.singleton_jobs = SingletonJobs(db)
        self.request_windows = RequestWindow(db)
        self.maintenance = Maintenance(db, follow_seconds)

    async def check(self) -> str | None:
        """Describe in a sentence what is wrong with the database; None if it answers and accepts writes."""
        if problem := self._db.file_problem():
            return problem
        try:
            async with self._db.read_only() as connection:
                await connection.execute(sa.text("SELECT version_num FROM alembic_version"))
        except DatabaseUnavailable:
            return "Can't reach the database."
        return None if self._db.is_writable() else "Can't write to the database: it's locked, full or read-only."

    async def time(self) -> datetime:
        """Return the database's time, which dates everything in it. Raises DatabaseUnavailable."""
        async with self._db.read_only() as connection:
            return from_epoch((await connection.execute(sa.select(self._db.now()))).scalar_one())

    async def close(self) -> None:
        """Close every connection to the database."""
        await self._db.close()


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
    parsed = parse_database_url(url)
    await migrate(parsed)
    return Store(Database(connect(parsed), clock, monotonic), follow_seconds, check_spacing)
