"""Inspection of a database without changing or creating it."""

import asyncio
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL

from bot.errors import ConfigurationError
from bot.store import sqlite
from bot.store.database import is_sqlite
from bot.store.database_url import describe, parse_database_url
from bot.store.error_messages import describe_error
from bot.store.migrations import SchemaRevisions
from bot.store.postgresql import Timeouts, open_postgresql
from bot.store.sqlite import is_readable_by_others

_STATEMENT_SECONDS = 5.0


async def inspect(text: str) -> str:
    """Describe the database at this URL in a sentence. Raises ConfigurationError if `run` could not use it."""
    url = parse_database_url(text)
    try:
        if is_sqlite(url):
            return f"{describe(url)} {await asyncio.to_thread(_inspect_sqlite, url)}."
        return f"{describe(url)} {await _inspect_postgresql(url)}."
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise ConfigurationError([describe_error(error, url)]) from error


def _inspect_sqlite(url: URL) -> str:
    file = Path(url.database or "").absolute()
    if not file.exists() and file.parent.is_dir():
        return "doesn't exist yet; `livestream-bot run` creates it"
    # mode=rw does not create a file. Taking the write lock fails if the file or its folder is read-only.
    there = URL.create("sqlite", database=file.as_uri(), query={"mode": "rw", "uri": "true"})
    engine = sa.create_engine(there, poolclass=sa.NullPool, connect_args={"timeout": sqlite.BUSY_SECONDS})
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            return _state(connection, url) + _warning(file)
        finally:
            connection.rollback()


def _warning(file: Path) -> str:
    if not is_readable_by_others(file):
        return ""
    return f". Other users of this machine can read it; `chmod 600 {file}` keeps it to its owner"


async def _inspect_postgresql(url: URL) -> str:
    engine = open_postgresql(url, Timeouts(statement=_STATEMENT_SECONDS), poolclass=sa.NullPool)
    try:
        async with engine.connect() as connection:
            if await connection.scalar(sa.text("SELECT current_setting('transaction_read_only')")) == "on":
                raise ConfigurationError([f"{describe(url)} is read-only; name the primary server in DATABASE_URL."])
            return await connection.run_sync(_state, url)
    finally:
        await engine.dispose()


def _state(connection: sa.Connection, url: URL) -> str:
    steps = SchemaRevisions(url)
    present = steps.current(connection)
    if steps.is_newer_than_code(present):
        return "works; its tables are from a newer version, which this one can use"
    match present:
        case None:
            return "has no tables yet; `livestream-bot run` creates them"
        case steps.newest:
            return "works, and its tables are up to date"
        case _:
            return "has the tables of an older version; `livestream-bot run` brings them up to date"
