"""The check of a database, which changes nothing."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.errors import ConfigurationError
from bot.store import sqlite
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.diagnostics import inspect
from bot.store.migrations import SchemaRevisions
from bot.store.migrator import migrate
from tests.postgres import Postgres
from tests.scenarios.newer_version import newer_migrations


async def stamp(url: str, revision: str, oldest: str) -> None:
    """Let the database say which version wrote it, and which can work with it."""
    database = Database(connect(parse_database_url(url)))
    async with database.transaction() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        await connection.execute(sa.text("UPDATE schema_compatibility SET min_revision = :oldest"), {"oldest": oldest})
    await database.close()


async def test_up_to_date(url: str) -> None:
    """A database with the tables of this version can be used."""
    assert (await inspect(url)).endswith("works, and its tables are up to date.")


async def test_no_tables_yet(new_url: str) -> None:
    """An empty database gets its tables from `run`, not from a check."""
    for _ in range(2):
        assert "`livestream-bot run` creates" in await inspect(new_url)


async def test_newer(new_url: str) -> None:
    """A database of a newer version is reported as one."""
    await migrate(parse_database_url(new_url))
    await stamp(new_url, "9999", oldest="9999")

    with pytest.raises(ConfigurationError, match="written by a newer version"):
        await inspect(new_url)


async def test_newer_and_compatible(new_url: str) -> None:
    """One of a newer version that says so can be used."""
    await migrate(parse_database_url(new_url))
    await stamp(new_url, "9999", oldest="0001")

    assert (await inspect(new_url)).endswith("works; its tables are from a newer version, which this one can use.")


async def test_older(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of an older version is brought up to date by `run`."""
    monkeypatch.setattr(SchemaRevisions.__init__, "__defaults__", (newer_migrations(tmp_path),))

    assert "older version" in await inspect(url)


async def test_no_file_is_made(tmp_path: Path) -> None:
    """A file that is not there is not there after the look either."""
    assert "doesn't exist yet" in await inspect(f"sqlite:///{tmp_path}/bot.db")
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


async def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is nothing that `run` would make."""
    with pytest.raises(ConfigurationError, match="its folder must exist"):
        await inspect(f"sqlite:///{tmp_path}/no/such/folder/bot.db")


async def test_strange_name(tmp_path: Path) -> None:
    """A name with characters that mean something in a URL is a name."""
    path = tmp_path / "a?b#c d%20.db"
    sqlite3.connect(path).close()

    assert "has no tables yet" in await inspect(f"sqlite:///{tmp_path}/a%3Fb%23c%20d%2520.db")


async def test_no_database(tmp_path: Path) -> None:
    """Another file is reported as one."""
    (tmp_path / "bot.db").write_text("once upon a time " * 100)

    with pytest.raises(ConfigurationError, match="is not a SQLite database"):
        await inspect(f"sqlite:///{tmp_path}/bot.db")


async def test_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another program has locked for good is reported as one."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.01)
    other = sqlite3.connect(tmp_path / "bot.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(ConfigurationError, match="is locked by another program"):
        await inspect(f"sqlite:///{tmp_path}/bot.db")
    other.close()


async def test_read_only(postgres: Postgres, new_postgres_url: str) -> None:
    """A PostgreSQL server that takes no changes, such as a replica, is reported as one."""
    name = parse_database_url(new_postgres_url).database
    await postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    with pytest.raises(ConfigurationError, match="is read-only; name the primary server"):
        await inspect(new_postgres_url)


async def test_unknown_option(new_postgres_url: str) -> None:
    """An option in the URL that the driver does not know is reported as one."""
    with pytest.raises(ConfigurationError, match="an unknown option, colour"):
        await inspect(f"{new_postgres_url}&colour=blue")


async def test_out_of_reach() -> None:
    """A server that is not there is reported with what to check."""
    with pytest.raises(ConfigurationError, match="can't be reached"):
        await inspect("postgresql://bot:secret@127.0.0.1:1/bot")


async def test_no_url() -> None:
    """What is no URL is reported as that."""
    with pytest.raises(ConfigurationError, match="is not the URL of a database"):
        await inspect("bot.db")
