"""Connections to PostgreSQL: opening them, checking them before use, and replacing broken ones.

No connection keeps state in the server's session, since a pooler such as PgBouncer may assign another session after
each transaction: statements are prepared without a name, and locks and settings last for one transaction.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bot.store.database_url import Server, servers
from bot.store.url_options import connect_seconds, driver_arguments


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts for PostgreSQL, in seconds. Their sum is shorter than a lease."""

    connect: float = 5.0
    """For one server."""
    ping: float = 3.0
    """For the check of a pooled connection before use."""
    statement: float | None = 10.0
    pool: float = 10.0
    recycle: float = 300.0
    """The age at which a pooled connection is replaced: DNS records, roles and certificates change."""


# SQLSTATEs and their classes (https://www.postgresql.org/docs/current/errcodes-appendix.html) that are about the
# statement or its data. After any other error the connection is replaced, because it may be the cause: the server has
# become read-only (25006), is stopping (57P01) or out of memory (53200), a pooler lost the session (08P01, 26000) ...
_STATEMENT_CLASSES = ("0A", "20", "21", "22", "23", "27", "2B", "42", "44", "54", "P0")
_STATEMENT_STATES = ("40001", "40002", "40P01", "53100", "55006", "55P03", "57014")
_DATA_CLASSES = ("21", "22", "54")
# After one of these errors the next server may accept the connection.
_NEXT_SERVER = (OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)


def open_postgresql(url: URL, timeouts: Timeouts, **pool: Any) -> AsyncEngine:
    """Return an engine that has not connected yet. Raises ConfigurationError for a file that cannot be read."""
    connector = _Connector(url, timeouts)
    engine = create_async_engine(
        # Without user, password and options: only the connector has them.
        URL.create(url.drivername, database=url.database),
        # The store relies on this: a statement sees what was committed while the previous one waited.
        isolation_level="READ COMMITTED",
        connect_args={"async_creator_fn": connector.connect, "prepared_statement_name_func": lambda: ""},
        **pool,
    )
    event.listen(engine.sync_engine, "handle_error", _give_up)
    if "poolclass" not in pool:
        event.listen(engine.sync_engine, "connect", _mark_new)
        event.listen(engine.sync_engine, "checkout", _Ping(timeouts.ping))
    return engine


def is_about_data(error: BaseException | None) -> bool:
    """Return whether PostgreSQL or its driver rejects a value: a bug in the bot, not a problem with the database."""
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_DATA_CLASSES)
    # asyncpg's DataError, for a value that cannot be encoded.
    return isinstance(error, AsyncAdapt_asyncpg_dbapi.Error) and isinstance(error.__cause__, ValueError)


class _Connector:
    """Connects to the first server that accepts, and remembers which one did."""

    def __init__(self, url: URL, timeouts: Timeouts) -> None:
        self._servers: list[Server | None] = [*servers(url)] or [None]
        self._seconds = connect_seconds(url.query, timeouts.connect)
        self._arguments: dict[str, Any] = {
            "user": url.username,
            "password": url.password,
            "database": url.database,
            "command_timeout": timeouts.statement,
            "statement_cache_size": 0,
            **driver_arguments(url.query),
        }
        if len(self._servers) > 1 and self._arguments.get("target_session_attrs") != "primary":
            # Skip read-only servers; the next one may be the primary.
            self._arguments["target_session_attrs"] = "read-write"

    async def connect(self, *_: Any, **__: Any) -> Any:
        """Return an open connection. Raises the last server's error."""
        *others, last = self._servers
        for server in others:
            with contextlib.suppress(*_NEXT_SERVER):
                return await self._connect_to(server)
        return await self._connect_to(last)

    async def _connect_to(self, server: Server | None) -> Any:
        where = {} if server is None else {"host": server[0], "port": server[1]}
        connection = await asyncpg.connect(**where, **self._arguments, timeout=self._seconds)
        # Try the server that just worked first next time.
        self._servers.sort(key=lambda each: each != server)
        return connection


class _Ping:
    """Checks a pooled connection before use. If it is dead, the pool replaces it and all that are at least as old."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self, connection: Any, record: Any, _: object) -> None:
        if record.info.pop("new", False):
            return
        try:
            connection.run_async(self._ping)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            # InternalClientError: the previous user's task was cancelled, and its statement is still running.
            raise sa.exc.InvalidatePoolError from error

    async def _ping(self, driver: Any) -> None:
        try:
            await driver.execute("SELECT 1", timeout=self._seconds)
        except BaseException:
            # Closing an unresponsive connection properly would take seconds.
            driver.terminate()
            raise


def _mark_new(_: object, record: Any) -> None:
    record.info["new"] = True


def _give_up(context: ExceptionContext) -> None:
    """Invalidate the connection, and all that are at least as old, unless the error is about the statement."""
    error = context.original_exception
    if context.connection is None or context.is_disconnect or not _is_about_the_connection(error):
        return
    if isinstance(error, OSError):
        driver: Any = context.connection.connection.driver_connection
        driver.terminate()
    context.is_disconnect = True


def _is_about_the_connection(error: BaseException) -> bool:
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return not (state.startswith(_STATEMENT_CLASSES) or state in _STATEMENT_STATES)
    if isinstance(error, AsyncAdapt_asyncpg_dbapi.InvalidCachedStatementError):
        return False
    # BufferError: the driver cannot decode a result, since the table changed after the statement was prepared.
    broken = (AsyncAdapt_asyncpg_dbapi.Error, OSError, BufferError, asyncio.CancelledError)
    return isinstance(error, broken) and not is_about_data(error)
