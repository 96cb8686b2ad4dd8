"""Diagnosis of a database: inspection without changing or creating it, and its errors explained in sentences."""

import asyncio
import ssl
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
from sqlalchemy.engine import URL

from bot.errors import ConfigurationError
from bot.store import sqlite
from bot.store.database import is_sqlite
from bot.store.database_url import describe, parse_database_url
from bot.store.migrations import SchemaRevisions
from bot.store.postgresql import Timeouts, open_postgresql
from bot.store.sqlite import is_readable_by_others

_STATEMENT_SECONDS = 5.0
_SQLITE = {
    "SQLITE_BUSY": "is locked by another program; stop that one, then start again",
    "SQLITE_LOCKED": "is locked by another program; stop that one, then start again",
    "SQLITE_READONLY": "cannot be written to; make the file and its folder writable for the user who runs the bot",
    "SQLITE_PERM": "cannot be read; make the file and its folder accessible for the user who runs the bot",
    "SQLITE_FULL": "cannot grow, because the disk is full; make room, then start again",
    "SQLITE_CANTOPEN": "cannot be opened; its folder must exist and be writable for the user who runs the bot",
    "SQLITE_NOTADB": "is not a SQLite database; name another file in DATABASE_URL",
    "SQLITE_CORRUPT": "is damaged; restore a copy of it, or name another file in DATABASE_URL",
    # No room for the -shm file that SQLite keeps next to an open database.
    "SQLITE_IOERR_SHMSIZE": "cannot grow, because the disk is full; make room, then start again",
    "SQLITE_IOERR": "can't be read or written because of a disk error; check the disk",
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL = {
    "28P01": "refuses the user or the password; check both in DATABASE_URL",
    "28000": "refuses the user or this way of connecting; check DATABASE_URL and the server's pg_hba.conf",
    "3D000": "does not exist; create it, or check its name in DATABASE_URL",
    "42501": "does not let this user create or change tables; give it those rights",
    "25006": "is read-only; name the primary server in DATABASE_URL",
    "53100": "cannot grow, because the disk is full; make room, then start again",
    "53300": "has no free connections; close some, or allow more",
    "55P03": "is locked by another program, such as a backup; wait until that is done, then start again",
    "40P01": "is locked by another program, such as a backup; wait until that is done, then start again",
    "57P03": "is starting or stopping; start again in a minute",
}

# PgBouncer's own errors all have the SQLSTATE 08P01, or 08003 from asyncpg, so match their text.
_PGBOUNCER = {
    "startup parameter": "is behind a pooler such as PgBouncer, which refuses an option in DATABASE_URL; remove "
    "`options` from it, or add it to the pooler's ignore_startup_parameters",
    "statement pooling": "is behind a PgBouncer that doesn't allow transactions; set its pool_mode to transaction",
    "no such user": _POSTGRESQL["28P01"],
    "authentication failed": _POSTGRESQL["28P01"],
    "no such database": _POSTGRESQL["3D000"],
    "no more connections": _POSTGRESQL["53300"],
    "timeout": "is not answering the pooler in front of it, or has no connection left for it; check both",
}


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
            state = _state(connection, url)
        finally:
            connection.rollback()
    if not is_readable_by_others(file):
        return state
    return f"{state}. Other users of this machine can read it; `chmod 600 {file}` keeps it to its owner"


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


def describe_error(error: Exception, url: URL) -> str:
    """Explain why the database cannot be used, without the driver's text, which may contain a password."""
    cause = getattr(error, "orig", None) or error
    return f"{describe(url)} {_why(cause)}."


def _why(cause: BaseException) -> str:
    name = getattr(cause, "sqlite_errorname", None)
    if name is not None:
        # A prefix matches, too: SQLITE_READONLY_DIRECTORY is a kind of SQLITE_READONLY.
        known = [words for code, words in _SQLITE.items() if name == code or name.startswith(f"{code}_")]
        return known[0] if known else f"cannot be used ({name})"
    state = getattr(cause, "sqlstate", None)
    if state in ("08P01", "08003"):
        known = [words for said, words in _PGBOUNCER.items() if said in str(cause)]
        return known[0] if known else f"closes the connection ({state}); check it, and the pooler in front of it"
    if state is not None:
        return _POSTGRESQL.get(state, f"cannot be used (PostgreSQL's error {state})")
    if isinstance(getattr(cause, "__cause__", None), asyncpg.TargetServerAttributeNotMatched):
        return "doesn't accept changes; name the primary server in DATABASE_URL"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            "has a certificate that doesn't match its name or that no known authority has signed; check the host, or "
            "set sslrootcert in DATABASE_URL to a file with that authority's certificate"
        )
    if isinstance(cause, ssl.SSLError):
        return "can't be reached over TLS; check sslmode, sslcert and sslkey in DATABASE_URL"
    # asyncpg has no class for this error.
    if isinstance(cause, ConnectionError) and "rejected SSL upgrade" in str(cause):
        return "does not speak TLS, which sslmode in DATABASE_URL asks for; turn TLS on there, or remove sslmode"
    if isinstance(cause, TimeoutError):
        return "does not answer; check the host and port in DATABASE_URL, and whether a firewall is in between"
    if isinstance(cause, OSError):
        return "can't be reached; check the host and port in DATABASE_URL, and that it is running"
    return f"cannot be used ({type(cause).__name__}); check DATABASE_URL"
