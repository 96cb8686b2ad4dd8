"""The tables as the migrations make them are those in schema.py, and a later migration keeps what is in them."""

import io
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from bot.errors import ConfigurationError
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.migrations import MIGRATIONS, is_compatible
from bot.store.migrator import migrate
from bot.store.schema import metadata
from bot.store.store import Store, open_store
from tests.store.helpers import CHANNEL, TEAM, Change, Channel, Episode, follow, see

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
    op.drop_index("ix_follows_unnotified", "follows")
    op.execute("UPDATE follows SET language = 'de'")
'''

ADDITIVE = '''
"""A step that only adds."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None
additive = True


def upgrade() -> None:
    op.add_column("follows", sa.Column("language", sa.Text))
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
async def database(url: str) -> AsyncIterator[Database]:
    """Yield a database of one test's own, which may change its tables."""
    database = Database(connect(parse_database_url(url)))
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database, check_spacing=0)


async def test_alembic_sees_no_difference_between_migrated_tables_and_schema(database: Database) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with database.read_only() as connection:
        assert await connection.run_sync(differences) == []


async def test_database_sees_no_difference_in_checks_and_conditions_of_indexes(database: Database) -> None:
    async with database.transaction() as connection:
        migrated = await connection.run_sync(_schema)
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)

        assert await connection.run_sync(_schema) == migrated


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Return the migrations of a later version."""
    path = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, path, ignore=shutil.ignore_patterns("__pycache__"))
    (path / "versions" / "0002_language.py").write_text(NEXT)
    return path


async def test_migration_keeps_the_rows_of_a_replaced_table(
    url: str, store: Store, database: Database, newer: Path
) -> None:
    await follow(store)
    await see(store, Episode(phase="live"), Change())

    await migrate(parse_database_url(url), newer)

    channel = Channel()
    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.phase == "live"
    await channel.work(store)
    assert list(channel.threads.values()) == [["live"]]
    async with database.read_only() as connection:
        assert await connection.scalar(sa.text("SELECT language FROM follows")) == "de"
        assert await connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "0002"
    assert await store.workspaces.forget(TEAM) == 1
    async with database.read_only() as connection:
        assert await connection.scalar(sa.text("SELECT count(*) FROM announcements")) == 0


async def test_version_before_an_additive_migration_works_and_warns(url: str, newer: Path, log: io.StringIO) -> None:
    step = newer / "versions" / "0002_language.py"
    step.write_text(ADDITIVE)
    await migrate(parse_database_url(url), newer)

    store = await open_store(url)
    assert (await follow(store)).is_new
    assert await store.check() is None
    await store.close()

    assert log.getvalue().count("schema_newer_than_code") == 1
    await migrate(parse_database_url(url), newer)
    assert log.getvalue().count("schema_newer_than_code") == 1


UNDECLARED = ADDITIVE.replace("additive = True", "")


@pytest.mark.parametrize(
    "steps",
    [
        [NEXT],
        [UNDECLARED, ADDITIVE.replace("0002", "0003").replace("0001", "0002").replace("language", "region")],
    ],
    ids=["one that does not say that it only adds", "such a one before one that only adds"],
)
async def test_version_before_breaking_migrations_is_refused(url: str, newer: Path, steps: list[str]) -> None:
    for number, step in enumerate(steps, start=2):
        (newer / "versions" / f"000{number}_language.py").write_text(step)
    await migrate(parse_database_url(url), newer)

    with pytest.raises(ConfigurationError, match="newer version"):
        await migrate(parse_database_url(url))


async def test_migration_called_additive_by_mistake_is_corrected_at_the_next_start(url: str, newer: Path) -> None:
    step = newer / "versions" / "0002_language.py"
    step.write_text(ADDITIVE)
    await migrate(parse_database_url(url), newer)
    await migrate(parse_database_url(url))
    step.write_text(UNDECLARED)
    await migrate(parse_database_url(url), newer)

    with pytest.raises(ConfigurationError, match="newer version"):
        await migrate(parse_database_url(url))


@pytest.mark.parametrize("statement", ["DELETE FROM schema_compatibility", "DROP TABLE schema_compatibility"])
async def test_older_version_is_refused_if_compatibility_is_unknown(
    url: str, newer: Path, database: Database, statement: str
) -> None:
    (newer / "versions" / "0002_language.py").write_text(ADDITIVE)
    await migrate(parse_database_url(url), newer)
    async with database.transaction() as connection:
        await connection.execute(sa.text(statement))

    with pytest.raises(ConfigurationError, match="newer version"):
        await migrate(parse_database_url(url))


@pytest.mark.parametrize(
    ("newest", "present", "oldest", "able"),
    [
        ("0001", "0002", "0001", True),
        ("0009", "0010", "0001", True),
        ("0009", "0010", "0009", True),
        ("0009", "0010", "0010", False),
        ("0001", "0002", None, False),
        ("0001", "ae1027a6acf", "0001", False),
        ("0001", "0002", "ae1027a6acf", False),
        ("0003", "0002", "0001", False),
        ("0001", "10000", "0001", False),
        ("0001", "0002", "", False),
    ],
)
def test_version_that_knows_the_minimum_revision_is_compatible(
    newest: str, present: str, oldest: str | None, able: bool
) -> None:
    assert is_compatible(newest, present, oldest) is able


def test_migrations_are_numbered_and_say_whether_they_only_add() -> None:
    steps = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())[::-1]
    numbers = [f"{number:04}" for number in range(1, len(steps) + 1)]

    assert [step.revision for step in steps] == numbers
    assert [step.down_revision for step in steps] == [None, *numbers[:-1]]
    assert [Path(step.path).name[:5] for step in steps] == [f"{number}_" for number in numbers]
    additive = [step.module.additive for step in steps]
    assert set(additive) <= {True, False}
    assert additive[0] is False


async def test_failed_migration_leaves_nothing_and_can_be_run_again(url: str, database: Database, newer: Path) -> None:
    path = newer / "versions" / "0002_language.py"
    path.write_text(NEXT + "    op.execute('SELECT * FROM nowhere')\n")

    with pytest.raises(ConfigurationError, match="cannot be used"):
        await migrate(parse_database_url(url), newer)

    async with database.read_only() as connection:
        columns = await connection.run_sync(lambda sync: sa.inspect(sync).get_columns("follows"))
        assert "language" not in [column["name"] for column in columns]
        assert await connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "0001"
    path.write_text(NEXT)
    await migrate(parse_database_url(url), newer)


async def test_migrating_again_changes_nothing(url: str) -> None:
    await migrate(parse_database_url(url))
    await migrate(parse_database_url(url))
