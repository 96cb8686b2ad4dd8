"""Bring the tables up to date, by Alembic, whoever else does the same at the same moment."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from bot.errors import ConfigurationError
from bot.store import database
from bot.store.address import place
from bot.store.database import is_sqlite, set_up_sqlite
from bot.store.explaining import explain

MIGRATIONS = Path(__file__).parent / "migrations"
# Any number that nobody else takes an advisory lock on in this database.
_LOCK = 0x11FE57BEA3


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
    steps = Steps(url, migrations)
    with engine.connect() as connection:
        # The lock; the second one to come waits here.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        steps.run(connection)
        connection.commit()


async def _migrate_postgresql(url: URL, migrations: Path) -> None:
    # A step may take longer than any other statement.
    timeout = {"timeout": database.CONNECT_SECONDS}
    steps = Steps(url, migrations)
    async with contextlib.AsyncExitStack() as stack:
        engine = create_async_engine(url, poolclass=sa.NullPool, connect_args=timeout)
        stack.push_async_callback(engine.dispose)
        try:
            connection = await stack.enter_async_context(engine.begin())
        except TypeError as error:
            # What the driver makes of an option in the URL that it does not know.
            raise ConfigurationError([explain(error, url)]) from error
        # The second one to come waits here, until the transaction ends.
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        await connection.run_sync(steps.run)


class Steps:
    """What there is to run. Read before the lock is taken, which is then held for what is missing alone."""

    def __init__(self, url: URL, migrations: Path = MIGRATIONS) -> None:
        self._url = url
        self._config = Config()
        self._config.set_main_option("script_location", str(migrations).replace("%", "%%"))
        script = ScriptDirectory.from_config(self._config)
        self._known = {step.revision for step in script.walk_revisions()}
        self.newest = script.get_current_head()

    def last_run(self, connection: sa.Connection) -> str | None:
        """The last one that the database has seen. Raises ConfigurationError for one that is not known here."""
        present = MigrationContext.configure(connection).get_current_revision()
        if present is not None and present not in self._known:
            newer = f"{place(self._url)} was written by a newer version of this bot; run that version"
            raise ConfigurationError([f"{newer}, or name another database in DATABASE_URL."])
        return present

    def run(self, connection: sa.Connection) -> None:
        """Run those that the database has not seen."""
        if self.last_run(connection) != self.newest:
            self._config.attributes["connection"] = connection
            command.upgrade(self._config, "head")
        # Changes nothing, and fails here and now where the bot could only read.
        connection.execute(sa.text("UPDATE alembic_version SET version_num = version_num"))


def _set_up_sqlite(connection: Any, record: object) -> None:
    # WAL is kept in the file: readers and the writer do not wait for each other. And a table is altered by replacing
    # it: with foreign keys all that hangs on it would go with the old one.
    set_up_sqlite(connection, "journal_mode = WAL", "foreign_keys = OFF")
