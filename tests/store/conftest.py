"""The same store on SQLite and on PostgreSQL, with a clock that stands still until a test moves it.

Each engine is opened once for all tests, which run in its event loop: what is expensive is a connection's start and the
first time of each statement. Tests that harm a database, or measure its connections, get a URL of their own.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from bot.store.database import Database, connect, is_sqlite
from bot.store.database_url import parse_database_url
from bot.store.migrator import migrate
from bot.store.postgresql import Timeouts
from bot.store.schema import meetings, metadata, request_windows, singleton_jobs
from bot.store.store import Store
from tests.postgres import Postgres, front, postgres
from tests.store.helpers import Clock

__all__ = ["front", "postgres"]

PATIENCE = 300
"""Seconds in which every statement ends and every lock is released."""


@dataclass(frozen=True)
class Shared:
    """Stores for all tests, which share nothing but the database and the clock, and a way to look behind them."""

    clock: Clock
    replicas: list[Store]
    database: Database


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that use a shared store in its event loop."""
    for item in items:
        if isinstance(item, pytest.Function) and "shared" in item.fixturenames:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def wait_for_locks(connection: Any, _record: object) -> None:
    """Let SQLite wait as long."""
    connection.cursor().execute(f"PRAGMA busy_timeout = {PATIENCE * 1000}")


def patient_database(url: str, clock: Clock) -> Database:
    """Return a database that is not unavailable where only the machine is slow."""
    engine = connect(
        parse_database_url(url), Timeouts(connect=PATIENCE, ping=PATIENCE, statement=PATIENCE, pool=PATIENCE)
    )
    if is_sqlite(engine.url):
        sa.event.listen(engine.sync_engine, "connect", wait_for_locks)
    return Database(engine, clock)


async def share(url: str) -> AsyncIterator[Shared]:
    clock = Clock()
    # Only those that a test uses connect.
    database, *others = (patient_database(url, clock) for _ in range(5))
    yield Shared(clock, [Store(other, check_spacing=0) for other in others], database)
    for each in (database, *others):
        await each.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database file with all tables and nothing in them."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(migrate(parse_database_url(f"sqlite:///{path}")))
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres) -> str:
    """Return the same, the name of a database of PostgreSQL's."""

    async def create() -> str:
        name = await postgres.create()
        await migrate(parse_database_url(postgres.url(name)))
        await postgres.disconnect_all(name)
        return name

    return asyncio.run(create())


@pytest.fixture(scope="session")
def postgres_database(postgres: Postgres, postgres_template: str) -> str:
    """Return the name of the database behind `postgres_url`."""
    return asyncio.run(postgres.create(postgres_template))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_sqlite(sqlite_template: Path) -> AsyncIterator[Shared]:
    async for shared in share(f"sqlite:///{shutil.copy(sqlite_template, sqlite_template.with_name('shared.db'))}"):
        yield shared


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_postgres(postgres: Postgres, postgres_template: str) -> AsyncIterator[Shared]:
    async for shared in share(postgres.url(await postgres.create(postgres_template))):
        yield shared


@pytest.fixture(params=["sqlite", "postgres"])
def shared(request: pytest.FixtureRequest) -> Shared:
    shared: Shared = request.getfixturevalue(f"shared_{request.param}")
    return shared


@pytest.fixture
def clock(shared: Shared) -> Clock:
    shared.clock.time = Clock.time
    return shared.clock


@pytest_asyncio.fixture(loop_scope="session")
async def database(shared: Shared, clock: Clock) -> Database:
    """Return the way behind the store, after everything in it is deleted."""
    async with shared.database.transaction() as connection:
        # Follows, cards and announcements go with their meetings.
        for table in (meetings, request_windows, singleton_jobs):
            await connection.execute(sa.delete(table))
    return shared.database


@pytest.fixture
def replicas(shared: Shared, database: Database) -> list[Store]:
    return shared.replicas


@pytest.fixture
def store(replicas: list[Store]) -> Store:
    return replicas[0]


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'livestream.db')}"


@pytest.fixture
async def postgres_url(postgres: Postgres, postgres_database: str) -> str:
    await postgres.empty(postgres_database, *(table for table in metadata.tables))
    return postgres.url(postgres_database)


@pytest.fixture
async def copied_postgres_url(postgres: Postgres, postgres_template: str) -> AsyncIterator[str]:
    """Yield a database of one test's own, which may change its tables."""
    name = await postgres.create(postgres_template)
    yield postgres.url(name)
    await postgres.drop(name)


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
    """Return the URL of a database of one test's own with all tables, once of each kind."""
    name = "sqlite_url" if request.param == "sqlite" else "copied_postgres_url"
    return str(request.getfixturevalue(name))
