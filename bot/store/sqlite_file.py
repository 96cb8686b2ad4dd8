"""A SQLite database's file: created private, and watched, since SQLite keeps working in a deleted file."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.engine import URL

_PRIVATE = 0o600
_READABLE_BY_OTHERS = 0o044

log = structlog.get_logger(__name__)


class DatabaseFile:
    """The file at the database's path, compared with the one that the first connection opened."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._opened: tuple[int, int] | None = None
        self._problem: str | None = None

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

    def before_connect(self, _dialect: object, _record: object, _arguments: object, _options: object) -> None:
        """Refuse to open a different file: SQLite would create an empty one, or mix up two files' journals."""
        if self.problem() is not None:
            raise sqlite3.OperationalError("the database file is another one than before")
        if self._opened is None:
            make_private(self._path)

    def after_connect(self, _connection: Any, _record: object) -> None:
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
