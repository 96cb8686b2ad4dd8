"""Migration of the tables by Alembic. Several processes may start it at once."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.errors import ConfigurationError
from bot.store import sqlite
from bot.store.database import is_sqlite
from bot.store.diagnostics import describe_error
from bot.store.migrations import MIGRATIONS, SchemaRevisions
from bot.store.postgresql import Timeouts, open_postgresql
from bot.store.sqlite import file_of, make_private, set_up_sqlite

LOCK_SECONDS = 2.0
"""How long a migration waits for a table lock before it gives way; statements queue behind it meanwhile."""
PAUSE_SECONDS = 5.0
LOCK_TRIES = 30
"""Three and a half minutes in total, which is less than Kubernetes gives the bot to start."""
_SQLITE_PAUSE_SECONDS = 0.02
# An arbitrary number for the advisory lock that no other program in this database uses.
_LOCK = 0x11FE57BEA3
# lock_not_available; deadlock_detected, if a running transaction locks the old tables in a different order.
_IN_THE_WAY = ("55P03", "40P01")

log = structlog.get_logger(__name__)


async def migrate(url: URL, migrations: Path = MIGRATIONS) -> None:
    """Run the pending migrations under a lock, all of them or none. Raises ConfigurationError."""
    try:
        if is_sqlite(url):
            # Alembic is not async, and neither is SQLite.
            await asyncio.to_thread(_migrate_sqlite, url, migrations)
        else:
            await _migrate_postgresql(url, migrations)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise ConfigurationError([describe_error(error, url)]) from error


def _migrate_sqlite(url: URL, migrations: Path) -> None:
    timeout = {"timeout": sqlite.BUSY_SECONDS}
    engine = sa.create_engine(url.set(drivername="sqlite"), poolclass=sa.NullPool, connect_args=timeout)
    sa.event.listen(engine, "connect", _set_up_sqlite)
    if path := file_of(url):
        make_private(path)
    steps = SchemaRevisions(url, migrations)
    with engine.connect() as connection:
        # This is the lock: a second process waits here.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        steps.run(connection)
        connection.commit()


async def _migrate_postgresql(url: URL, migrations: Path) -> None:
    # A migration may take longer than any other statement.
    steps = SchemaRevisions(url, migrations)
    engine = open_postgresql(url, Timeouts(statement=None), poolclass=sa.NullPool)
    try:
        for _ in range(LOCK_TRIES - 1):
            try:
                return await _try_postgresql(engine, steps)
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _IN_THE_WAY:
                    raise
            log.warning("migration_lock_timeout", retry_in=PAUSE_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
        await _try_postgresql(engine, steps)
    finally:
        await engine.dispose()


async def _try_postgresql(engine: AsyncEngine, steps: SchemaRevisions) -> None:
    async with engine.begin() as connection:
        # A second process waits here until the transaction ends, without a time limit.
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        # From here on a waiting lock request blocks all later statements on the table, so limit the wait.
        wait = sa.func.set_config("lock_timeout", f"{LOCK_SECONDS * 1000:.0f}", sa.true())
        await connection.execute(sa.select(wait))
        await connection.run_sync(steps.run)


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # WAL is stored in the file: readers and the writer then do not wait for each other. Altering a table replaces it:
    # with foreign keys enforced, dropping the old one would delete the rows that refer to it.
    deadline = time.monotonic() + sqlite.BUSY_SECONDS
    while True:
        try:
            return set_up_sqlite(connection, "journal_mode = WAL", "foreign_keys = OFF")
        except sqlite3.OperationalError as error:
            # This statement ignores the busy timeout while another process writes, such as a second bot at its start.
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
        time.sleep(_SQLITE_PAUSE_SECONDS)
