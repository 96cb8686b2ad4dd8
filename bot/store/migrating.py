"""Bring the tables up to date, by Alembic, whoever else does the same at the same moment."""

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
from bot.store import database
from bot.store.connecting import Timeouts, open_engine
from bot.store.database import is_sqlite, set_up_sqlite
from bot.store.explaining import explain
from bot.store.file import file_of, make_private
from bot.store.steps import MIGRATIONS, Steps

LOCK_SECONDS = 2.0
"""How long a step waits for a table, and everybody behind it, before it lets them pass."""
PAUSE_SECONDS = 5.0
LOCK_TRIES = 30
"""Three and a half minutes in all: shorter than the time that Kubernetes gives a bot to start."""
_SQLITE_PAUSE_SECONDS = 0.02
# Any number that nobody else takes an advisory lock on in this database.
_LOCK = 0x11FE57BEA3
# lock_not_available; deadlock_detected, where what was begun with the old tables wants them in another order.
_IN_THE_WAY = ("55P03", "40P01")

log = structlog.get_logger(__name__)


async def migrate(url: URL, migrations: Path = MIGRATIONS) -> None:
    """Run the steps that are missing, under a lock, all of them or none. Raises ConfigurationError."""
    try:
        if is_sqlite(url):
            # Alembic is not async, and neither is SQLite.
            await asyncio.to_thread(_migrate_sqlite, url, migrations)
        else:
            await _migrate_postgresql(url, migrations)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise ConfigurationError([explain(error, url)]) from error


def _migrate_sqlite(url: URL, migrations: Path) -> None:
    timeout = {"timeout": database.BUSY_SECONDS}
    engine = sa.create_engine(url.set(drivername="sqlite"), poolclass=sa.NullPool, connect_args=timeout)
    sa.event.listen(engine, "connect", _set_up_sqlite)
    if path := file_of(url):
        make_private(path)
    steps = Steps(url, migrations)
    with engine.connect() as connection:
        # The lock; the second one to come waits here.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        steps.run(connection)
        connection.commit()


async def _migrate_postgresql(url: URL, migrations: Path) -> None:
    # A step may take longer than any other statement.
    steps = Steps(url, migrations)
    engine = open_engine(url, Timeouts(statement=None), poolclass=sa.NullPool)
    try:
        for _ in range(LOCK_TRIES - 1):
            try:
                return await _try_postgresql(engine, steps)
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _IN_THE_WAY:
                    raise
            log.warning("tables_are_locked", again_in=PAUSE_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)
        await _try_postgresql(engine, steps)
    finally:
        await engine.dispose()


async def _try_postgresql(engine: AsyncEngine, steps: Steps) -> None:
    async with engine.begin() as connection:
        # The second one to come waits here, until the transaction ends: for as long as that takes.
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        # From here on it may be in the way of everybody who comes after it.
        wait = sa.func.set_config("lock_timeout", f"{LOCK_SECONDS * 1000:.0f}", True)
        await connection.execute(sa.select(wait))
        await connection.run_sync(steps.run)


def _set_up_sqlite(connection: Any, record: object) -> None:
    # WAL is kept in the file: readers and the writer do not wait for each other. And a table is altered by replacing
    # it: with foreign keys all that hangs on it would go with the old one.
    deadline = time.monotonic() + database.BUSY_SECONDS
    while True:
        try:
            return set_up_sqlite(connection, "journal_mode = WAL", "foreign_keys = OFF")
        except sqlite3.OperationalError as error:
            # Of all statements this one does not wait while somebody else writes, such as another bot that is starting.
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                raise
        time.sleep(_SQLITE_PAUSE_SECONDS)
