"""One database: its connections, transactions, clock and errors."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import bot.clock
from bot.errors import DatabaseUnavailable
from bot.store.postgresql import Timeouts, is_about_data, open_postgresql
from bot.store.rows import clean_parameters, dumps
from bot.store.schema import request_windows
from bot.store.sqlite import BEGIN_OPTION, DatabaseFile, file_of, open_sqlite

Clock = Callable[[], float]

_POOL_SIZE = 5
_DEFAULT_TIMEOUTS = Timeouts()
_PROBE_WINDOW = -1
# SQLAlchemy sets up a new connection with calls of the driver's own, and doesn't wrap their errors.
_CONNECTION_ERRORS = (asyncpg.InterfaceError, asyncpg.PostgresError)
# Faults of the bot; do not retry.
_PROGRAMMING_ERRORS = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.NotSupportedError)
# A privilege was revoked while the bot runs. The driver classifies it as a programming error.
_INSUFFICIENT_PRIVILEGE = "42501"
# Another one that the driver classifies as such: a newer version changed a table after a statement was prepared. The
# driver prepares it again.
_STATEMENT_OUTDATED = AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError


class Database:
    """An engine with transactions for reading and for writing."""

    def __init__(self, engine: AsyncEngine, clock: Clock | None = None, monotonic: Clock | None = None) -> None:
        """Wrap an engine. `clock` (epoch seconds) replaces PostgreSQL's clock, or this machine's for SQLite.

        `monotonic` replaces this machine's monotonic clock; it defaults to `clock` if only that is given.
        """
        self.engine = engine
        self.monotonic = monotonic or clock or bot.clock.monotonic
        self._clock = time.time if clock is None and is_sqlite(engine.url) else clock
        self._readers = engine.execution_options(**{BEGIN_OPTION: "BEGIN"})
        # Serialize this process's writers: SQLite's busy handler polls and is unfair.
        self._write_lock = asyncio.Lock() if is_sqlite(engine.url) else contextlib.nullcontext()
        path = file_of(engine.url) if is_sqlite(engine.url) else None
        self._file = None if path is None else DatabaseFile(engine, path)
        self._is_writable = True
        self._probe_task: asyncio.Task[None] | None = None

    def now(self) -> sa.ColumnElement[float]:
        """Return the statement's start time in epoch seconds, by PostgreSQL's clock so that replicas agree."""
        if self._clock is not None:
            return sa.literal(self._clock(), sa.Double)
        # Unlike clock_timestamp() it is constant within the statement, so that an index can be used.
        return sa.cast(sa.extract("epoch", sa.func.statement_timestamp()), sa.Double)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that may write. Raises DatabaseUnavailable."""
        self.file_problem()
        try:
            with _translate_errors():
                async with self._write_lock, self.engine.begin() as connection:
                    yield connection
        except DatabaseUnavailable:
            self._is_writable = False
            raise

    @contextlib.asynccontextmanager
    async def read_only(self) -> AsyncIterator[AsyncConnection]:
        """Open a read-only transaction; on SQLite it waits for no writer. Raises DatabaseUnavailable."""
        with _translate_errors():
            async with self._readers.connect() as connection:
                yield connection

    def file_problem(self) -> str | None:
        """Describe in a sentence what happened to SQLite's file while the bot was running; None if it is unchanged."""
        return None if self._file is None else self._file.problem()

    def is_writable(self) -> bool:
        """Return whether the database accepts writes: False from the first failed one until a probe succeeds.

        Most transactions change nothing, so they succeed even on a full disk. This starts the probe in the background,
        because another program's lock may delay it.
        """
        if not self._is_writable and (self._probe_task is None or self._probe_task.done()):
            self._probe_task = asyncio.create_task(self._probe(), name="database write probe")
        return self._is_writable

    async def _probe(self) -> None:
        with contextlib.suppress(DatabaseUnavailable):
            async with self.transaction() as connection:
                await connection.execute(sa.insert(request_windows).values(window_start=_PROBE_WINDOW, requests=0))
                await connection.execute(
                    sa.delete(request_windows).where(request_windows.c.window_start == _PROBE_WINDOW)
                )
            self._is_writable = True

    async def close(self) -> None:
        """Close every connection."""
        if self._probe_task is not None:
            self._probe_task.cancel()
            await asyncio.gather(self._probe_task, return_exceptions=True)
        await self.engine.dispose()


def connect(url: URL, timeouts: Timeouts = _DEFAULT_TIMEOUTS) -> AsyncEngine:
    """Return an engine that has not connected yet; `timeouts` apply to PostgreSQL."""
    if is_sqlite(url):
        engine = open_sqlite(
            url, pool_size=_POOL_SIZE, max_overflow=0, pool_timeout=timeouts.pool, json_serializer=dumps
        )
    else:
        engine = open_postgresql(
            url,
            timeouts,
            pool_size=_POOL_SIZE,
            max_overflow=_POOL_SIZE,
            pool_timeout=timeouts.pool,
            pool_recycle=timeouts.recycle,
            json_serializer=dumps,
        )
    event.listen(engine.sync_engine, "before_cursor_execute", clean_parameters, retval=True)
    return engine


def is_sqlite(url: URL) -> bool:
    """Return whether the URL is SQLite's; otherwise it is PostgreSQL's."""
    return url.get_backend_name() == "sqlite"


def insert(connection: AsyncConnection, table: sa.Table) -> postgresql.Insert:
    """Return an INSERT with ON CONFLICT: the engines share the syntax, but SQLAlchemy has a class for each."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return cast("postgresql.Insert", sqlite.insert(table))


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except (*_CONNECTION_ERRORS, sa.exc.DBAPIError, sa.exc.TimeoutError, OSError, BufferError) as error:
        cause = getattr(error, "orig", None) or error
        if is_about_data(cause) or (isinstance(error, _PROGRAMMING_ERRORS) and not _is_environmental(cause)):
            raise
        raise DatabaseUnavailable(detail=f"{type(error).__name__}: {cause}") from error


def _is_environmental(error: BaseException) -> bool:
    """Return whether the error looks like a bug but comes from a change made to the database."""
    return isinstance(error, _STATEMENT_OUTDATED) or getattr(error, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE
