"""The same store on SQLite and on PostgreSQL, with a clock that stands still until a test moves it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.migrator import migrate
from bot.store.schema import metadata
from bot.store.store import Store
from tests.postgres import Postgres, front, postgres
from tests.store.helpers import Clock

__all__ = ["front", "postgres"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database file with all tables and nothing in them."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(migrate(parse_database_url(f"sqlite:///{path}")))
    return path


@pytest.fixture(scope="session")
def postgres_database(postgres: Postgres) -> str:
    """Return the same, the name of a database of PostgreSQL's."""

    async def create() -> str:
        name = await postgres.create()
        await migrate(parse_database_url(postgres.url(name)))
        return name

    return asyncio.run(create())


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'livestream.db')}"


@pytest.fixture
async def postgres_url(postgres: Postgres, postgres_database: str) -> str:
    await postgres.empty(postgres_database, *(table for table in metadata.tables))
    return postgres.url(postgres_database)


@pytest.fixture
async def new_postgres_url(postgres: Postgres) -> AsyncIterator[str]:
    """Yield a database without tables."""
    name = await postgres.create()
    yield postgres.url(name)
    await postgres.drop(name)


@pytest.fixture
def new_sqlite_url(tmp_path: Path) -> str:
    """Return a file that is not there yet."""
    return f"sqlite:///{tmp_path / 'new.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a new database without tables, once of each kind."""
    return str(request.getfixturevalue(f"new_{request.param}_url"))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a new database with all tables, once of each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def database(url: str, clock: Clock) -> AsyncIterator[Database]:
    """Yield a second way into the same database, for looking behind the store."""
    database = Database(connect(parse_database_url(url)), clock)
    yield database
    await database.close()


@pytest.fixture
async def store(url: str, clock: Clock) -> AsyncIterator[Store]:
    store = Store(Database(connect(parse_database_url(url)), clock), check_spacing=0)
    yield store
    await store.close()
