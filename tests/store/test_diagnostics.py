"""Reading a database without changing it, and explaining its errors."""

import asyncio
import sqlite3
import ssl
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.errors import ConfigurationError
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.diagnostics import describe_error, inspect
from bot.store.migrations import SchemaRevisions
from tests.postgres import Postgres
from tests.scenarios.newer_version import newer_migrations


async def test_up_to_date_database_can_be_used(url: str) -> None:
    assert (await inspect(url)).endswith("works, and its tables are up to date.")


async def test_database_without_tables_stays_so(new_url: str) -> None:
    for _ in range(2):
        assert "`livestream-bot run` creates" in await inspect(new_url)


async def test_database_of_a_newer_compatible_version_can_be_used(url: str) -> None:
    database = Database(connect(parse_database_url(url)))
    async with database.transaction() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()

    assert (await inspect(url)).endswith("works; its tables are from a newer version, which this one can use.")


async def test_older_database_is_left_to_the_run_command(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SchemaRevisions.__init__, "__defaults__", (newer_migrations(tmp_path),))

    assert "older version" in await inspect(url)


async def test_missing_file_is_not_created(tmp_path: Path) -> None:
    assert "doesn't exist yet" in await inspect(f"sqlite:///{tmp_path}/bot.db")
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


async def test_file_name_may_have_characters_of_urls(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a?b#c d%20.db").close()

    assert "has no tables yet" in await inspect(f"sqlite:///{tmp_path}/a%3Fb%23c%20d%2520.db")


async def test_read_only_server_is_refused(postgres: Postgres, new_postgres_url: str) -> None:
    name = parse_database_url(new_postgres_url).database
    await postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    with pytest.raises(ConfigurationError, match="is read-only; name the primary server"):
        await inspect(new_postgres_url)


class CodedError(Exception):
    """An error of SQLite's or PostgreSQL's with a code."""

    def __init__(self, code: str, text: str = "hunter2") -> None:
        super().__init__(text)
        if code.startswith("SQLITE"):
            self.sqlite_errorname = code
        else:
            self.sqlstate = code


@pytest.mark.parametrize(
    ("error", "words"),
    [
        # Where SQLite finds no room for what it keeps beside the file.
        (CodedError("SQLITE_IOERR_SHMSIZE"), "the disk is full"),
        (CodedError("SQLITE_TOOBIG"), "The database file a.db cannot be used (SQLITE_TOOBIG)."),
        (CodedError("XX000"), "The database d at h:5432 cannot be used (PostgreSQL's error XX000)."),
        # PgBouncer's refusals all have one code.
        (CodedError("08P01", "SASL authentication failed"), "refuses the user or the password"),
        (CodedError("08P01", "no such database: bot"), "does not exist"),
        (CodedError("08P01", "no more connections allowed (max_client_conn)"), "has no free connections"),
        (CodedError("08P01", "query_wait_timeout"), "has no connection left for it"),
        (CodedError("08P01"), "and the pooler"),
        (ssl.SSLCertVerificationError("hunter2"), "has a certificate that doesn't match"),
        (ssl.SSLError("hunter2"), "can't be reached over TLS"),
        (TimeoutError("hunter2"), "does not answer"),
        (RuntimeError("hunter2"), "The database d at h:5432 cannot be used (RuntimeError); check DATABASE_URL."),
    ],
    ids=str,
)
def test_error_is_explained_without_the_drivers_text(error: Exception, words: str) -> None:
    is_sqlite = hasattr(error, "sqlite_errorname")
    url = parse_database_url("sqlite:///a.db" if is_sqlite else "postgresql://u:p@h/d")

    sentence = describe_error(error, url)

    assert words in sentence
    assert str(error) not in sentence
