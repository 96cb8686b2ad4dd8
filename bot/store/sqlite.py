"""SQLite: opening connections to it, and watching its file.

The file is created private. It is watched because SQLite keeps working in a file that was deleted.
"""

import asyncio
import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

BUSY_SECONDS = 10
"""How long a statement waits for another program's lock."""
BEGIN_OPTION = "sqlite_begin"
"""The execution option with the statement that begins a transaction; by default, one that may write."""
_PRIVATE = 0o600
_READABLE_BY_OTHERS = 0o044

log = structlog.get_logger(__name__)


def open_sqlite(url: URL, **pool: Any) -> AsyncEngine:
    """Return an engine that has not connected yet."""
    engine = create_async_engine(url, connect_args={"timeout": BUSY_SECONDS}, **pool)
    event.listen(engine.sync_engine, "connect", _set_up)
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(engine.sync_engine, "handle_error", _keep_cancelled)
    return engine


def set_up_sqlite(connection: Any, *pragmas: str) -> None:
    """Set up a driver's connection. The bot begins its transactions itself."""
    # Otherwise the driver begins them implicitly, and never with IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _set_up(connection: Any, _record: object) -> None:
    # FULL: records of sent messages must survive a power cut, or the messages would be sent again.
    set_up_sqlite(connection, "synchronous = FULL", "foreign_keys = ON")


def _begin(connection: sa.Connection) -> None:
    # IMMEDIATE: a transaction that begins with a read cannot write once another one has written.
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN_OPTION, "BEGIN IMMEDIATE"))


def _keep_cancelled(context: ExceptionContext) -> None:
    # SQLAlchemy closes the connection of a cancelled task. SQLite delays that, and keeps the lock,
    # while a cursor is open. If the connection stays open, it is rolled back as soon as its thread has finished.
    if isinstance(context.original_exception, asyncio.CancelledError):
        context.is_disconnect = False


class DatabaseFile:
    """The file at the database's path, compared with the one that the engine's first connection opened."""

    def __init__(self, engine: AsyncEngine, path: Path) -> None:
        """Watch the file from now on, before and after each connection that the engine opens."""
        self._path = path.absolute()
        self._opened: tuple[int, int] | None = None
        self._problem: str | None = None
        event.listen(engine.sync_engine, "do_connect", self._before_connect)
        event.listen(engine.sync_engine, "connect", self._after_connect)

    def problem(self) -> str | None:
        """Describe in a sentence what happened to the file, or return None; log each change."""
        problem = self._compare()
        if problem != self._problem:
            self._problem = problem
            if problem is None:
                log.info("database_file_restored", file=str(self._path))
            else:
                log.error("database_file_lost", file=str(self._path), error=problem)
        return problem

    def _before_connect(self, _dialect: object, _record: object, _arguments: object, _options: object) -> None:
        """Refuse to open a different file: SQLite would create an empty one, or mix up two files' journals."""
        if self.problem() is not None:
            raise sqlite3.OperationalError("the database file is another one than before")
        if self._opened is None:
            make_private(self._path)

    def _after_connect(self, _connection: Any, _record: object) -> None:
        """Remember which file the first connection opened."""
        if self._opened is None:
            self._opened = _identity(self._path)

    def _compare(self) -> str | None:
        if self._opened is None:
            return None
        match _identity(self._path):
            case None:
                what = "was deleted or moved"
            case identity if identity != self._opened:
                what = "was replaced"
            case _:
                return None
        return (
            f"The database file {what} while the bot was running. Stop the bot, put the file back, and start it again."
        )


def file_of(url: URL) -> Path | None:
    """Return the path of a SQLite database; None if the URL has one of SQLite's own `file:` URIs."""
    name = url.database or ""
    return None if name.startswith("file:") else Path(name)


def make_private(path: Path) -> None:
    """Create an empty file that only its owner can read. SQLite gives the files next to it the same mode."""
    # If this fails, SQLite's own error will say why.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _PRIVATE))


def is_readable_by_others(path: Path) -> bool:
    """Return whether other users of this machine can read the file."""
    return os.name == "posix" and bool(path.stat().st_mode & _READABLE_BY_OTHERS)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
