"""The tables as the migrations make them are those in tables.py, and a later migration keeps what is in them."""

import asyncio
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from bot.errors import ConfigurationError
from bot.store.address import parse
from bot.store.database import Database
from bot.store.migrating import MIGRATIONS, migrate
from bot.store.store import Store
from bot.store.tables import metadata
from tests.store.acting import CHANNEL, TEAM, Change, Channel, Episode, follow, see

NEXT = '''
"""A step such as there may be: the busiest table is replaced, one gets a column, and an index goes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("follows") as follows:
        follows.add_column(sa.Column("language", sa.Text, nullable=False, server_default="en"))
        follows.alter_column("created_by", existing_type=sa.Text(), nullable=True)
    with op.batch_alter_table("meetings") as meetings:
        meetings.alter_column("phase", existing_type=sa.Text(), nullable=True)
    op.drop_index("ix_follows_untold", "follows")
    op.execute("UPDATE follows SET language = 'de'")
'''


def _schema(connection: sa.Connection) -> set[tuple[str, ...]]:
    """Everything that the engine itself knows of the tables, checks and partial indexes included."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%' AND name NOT LIKE 'sqlite_%'"
        rows = connection.execute(sa.text(query))
        return {(name, " ".join(sorted(sql.replace(",", " ").split()))) for name, sql in rows}
    queries = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
        "SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'",
        "SELECT table_name, column_name, data_type, is_nullable, column_default, identity_generation"
        " FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'",
    )
    return {tuple(map(str, row)) for query in queries for row in connection.execute(sa.text(query))}


@pytest.fixture
def url(new_url: str) -> str:
    """A database for one test alone, which may change its tables."""
    asyncio.run(migrate(parse(new_url)))
    return new_url


async def test_the_tables_agree(database: Database) -> None:
    """Alembic sees no difference between the migrated tables and tables.py."""

    def differences(connection: sa.Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_engine_agrees(database: Database) -> None:
    """Nor does the engine, which knows more: checks and the conditions of indexes."""
    async with database.writing() as connection:
        migrated = await connection.run_sync(_schema)
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)

        assert await connection.run_sync(_schema) == migrated


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """The migrations of a later version."""
    path = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, path, ignore=shutil.ignore_patterns("__pycache__"))
    (path / "versions" / "0002_language.py").write_text(NEXT)
    return path


async def test_the_next_migration(url: str, store: Store, database: Database, newer: Path) -> None:
    """What was there is there afterwards: a table that is replaced takes nothing with it."""
    await follow(store)
    await see(store, Episode(phase="live"), Change())

    await migrate(parse(url), newer)

    channel = Channel()
    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.phase == "live"
    await channel.work(store)
    assert list(channel.threads.values()) == [["live"]]
    async with database.reading() as connection:
        assert await connection.scalar(sa.text("SELECT language FROM follows")) == "de"
        assert await connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "0002"
    await store.follows.unfollow(TEAM, CHANNEL, listed.follow.meeting_id)
    async with database.reading() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM announcements")) == 0


async def test_back_to_the_version_before(url: str, newer: Path) -> None:
    """The older version says that it is too old."""
    await migrate(parse(url), newer)

    with pytest.raises(ConfigurationError, match="newer version"):
        await migrate(parse(url))


async def test_a_migration_that_fails(url: str, database: Database, newer: Path) -> None:
    """Leaves nothing of itself, so that it can be mended and run again."""
    path = newer / "versions" / "0002_language.py"
    path.write_text(NEXT + "    op.execute('SELECT * FROM nowhere')\n")

    with pytest.raises(ConfigurationError, match="cannot be used"):
        await migrate(parse(url), newer)

    async with database.reading() as connection:
        columns = await connection.run_sync(lambda sync: sa.inspect(sync).get_columns("follows"))
        assert "language" not in [column["name"] for column in columns]
        assert await connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "0001"
    path.write_text(NEXT)
    await migrate(parse(url), newer)


async def test_migrating_twice(url: str) -> None:
    """Changes nothing."""
    await migrate(parse(url))
    await migrate(parse(url))
