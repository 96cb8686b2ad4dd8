"""One database: its connections, its transactions, its clock, and what its errors mean here."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

import bot.clock
from bot.errors import StoreUnreachable
from bot.store.connecting import Timeouts, is_about_data, open_engine
from bot.store.file import DatabaseFile, file_of
from bot.store.storable import clean_parameters, dumps
from bot.store.tables import budget

Clock = Callable[[], float]

BUSY_SECONDS = 10
_CONNECTIONS = 5
_DEFAULT_TIMEOUTS = Timeouts()
_BEGIN = "sqlite_begin"
_NO_SLOT = -1
# Whose mistake these are: ours. They are no reason to try again.
_BUGS = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.NotSupportedError)
# insufficient_privilege: taken away while the bot runs. The driver has it among the programmer's mistakes.
_NO_RIGHTS = "42501"
# And this one too: a newer version has changed a table, which a statement had been prepared for. It is prepared anew.
_PREPARED_BEFORE = AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError


class Database:
    """An engine with transactions for reading and for writing."""

    def __init__(self, engine: AsyncEngine, clock: Clock | None = None, monotonic: Clock | None = None) -> None:
        """`clock` (epoch seconds) takes the place of PostgreSQL's own, or of this machine's for SQLite; `monotonic`
        that of this machine's monotonic time, and is `clock` where only that is given."""
        self.engine = engine
        self.monotonic = monotonic or clock or bot.clock.monotonic
        self._clock = time.time if clock is None and is_sqlite(engine.url) else clock
        self._readers = engine.execution_options(**{_BEGIN: "BEGIN"})
        # Writers of one process queue here, in order; SQLite would let them knock again and again, in none.
        self._turn = asyncio.Lock() if is_sqlite(engine.url) else contextlib.nullcontext()
        path = file_of(engine.url) if is_sqlite(engine.url) else None
        self._file = None if path is None else _watch(engine, DatabaseFile(path))
        self._takes_changes = True
        self._trial: asyncio.Task[None] | None = None

    def now(self) -> sa.ColumnElement[float]:
        """The time at which the statement begins, in epoch seconds. PostgreSQL's own, so that replicas agree."""
        if self._clock is not None:
            return sa.literal(self._clock(), sa.Double)
        # Unlike clock_timestamp() it is the same for the whole statement, or no index could be searched for it.
        return sa.cast(sa.extract("epoch", sa.func.statement_timestamp()), sa.Double)

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: all of it happens, or nothing. Raises StoreUnreachable."""
        self.file_problem()
        try:
            with _unreachable():
                async with self._turn, self.engine.begin() as connection:
                    yield connection
        except StoreUnreachable:
            self._takes_changes = False
            raise

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads, and on SQLite waits for no writer. Raises StoreUnreachable."""
        with _unreachable():
            async with self._readers.connect() as connection:
                yield connection

    def file_problem(self) -> str | None:
        """Return what has happened to SQLite's file under the bot, in a sentence; None if nothing has."""
        return None if self._file is None else self._file.problem()

    def takes_changes(self) -> bool:
        """Whether it does, as far as is known: from the first change that it did not take until a trial succeeds.

        Most transactions change nothing, and succeed on a full disk too. A trial is begun here and not waited for: it
        may take as long as the lock of another program.
        """
        if not self._takes_changes and (self._trial is None or self._trial.done()):
            self._trial = asyncio.create_task(self._try(), name="trial of the database")
        return self._takes_changes

    async def _try(self) -> None:
        with contextlib.suppress(StoreUnreachable):
            async with self.writing() as connection:
                await connection.execute(sa.insert(budget).values(slot=_NO_SLOT, used=0))
                await connection.execute(sa.delete(budget).where(budget.c.slot == _NO_SLOT))
            self._takes_changes = True

    async def close(self) -> None:
        """Close every connection."""
        if self._trial is not None:
            self._trial.cancel()
            await asyncio.gather(self._trial, return_exceptions=True)
        await self.engine.dispose()


def connect(url: URL, timeouts: Timeouts = _DEFAULT_TIMEOUTS) -> AsyncEngine:
    """Return an engine that has not connected yet; `timeouts` are for PostgreSQL."""
    if is_sqlite(url):
        engine = create_async_engine(
            url,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=timeouts.pool,
            connect_args={"timeout": BUSY_SECONDS},
            json_serializer=dumps,
        )
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    else:
        engine = open_engine(
            url,
            timeouts,
            pool_size=_CONNECTIONS,
            max_overflow=_CONNECTIONS,
            pool_timeout=timeouts.pool,
            pool_recycle=timeouts.recycle,
            json_serializer=dumps,
        )
    event.listen(engine.sync_engine, "before_cursor_execute", clean_parameters, retval=True)
    return engine


def _watch(engine: AsyncEngine, file: DatabaseFile) -> DatabaseFile:
    event.listen(engine.sync_engine, "do_connect", file.before_connect)
    event.listen(engine.sync_engine, "connect", file.after_connect)
    return file


def is_sqlite(url: URL) -> bool:
    """Whether it is SQLite, and else PostgreSQL."""
    return url.get_backend_name() == "sqlite"


def insert(connection: AsyncConnection, table: sa.Table) -> postgresql.Insert:
    """An INSERT that knows ON CONFLICT, which the two engines spell alike and SQLAlchemy does not."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return cast("postgresql.Insert", sqlite.insert(table))


def moment(epoch: float) -> datetime:
    """Epoch seconds as people's time, in UTC."""
    return datetime.fromtimestamp(epoch, UTC)


def set_up_sqlite(connection: Any, *pragmas: str) -> None:
    """Prepare a driver's connection; transactions on it are begun by us."""
    # Else the driver begins them by itself, where it finds it right and never with IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _set_up_sqlite(connection: Any, record: object) -> None:
    # What was sent stays known after a power cut too, or it would be sent again.
    set_up_sqlite(connection, "synchronous = FULL", "foreign_keys = ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that begins by reading could not write after another one has.
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))


@contextlib.contextmanager
def _unreachable() -> Iterator[None]:
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError, OSError, BufferError) as error:
        cause = getattr(error, "orig", None) or error
        if is_about_data(cause) or (isinstance(error, _BUGS) and not _happens(cause)):
            raise
        raise StoreUnreachable(detail=f"{type(error).__name__}: {cause}") from error


def _happens(error: BaseException) -> bool:
    """Return whether it comes from what others do to the database, though it looks like a bug."""
    return isinstance(error, _PREPARED_BEFORE) or getattr(error, "sqlstate", None) == _NO_RIGHTS
