"""Connections that no longer work, after a switch-over or the death of a host, are replaced."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa

from bot.errors import DatabaseUnavailable
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.migrator import migrate
from bot.store.postgresql import Timeouts
from bot.store.schema import metadata
from bot.store.store import Store
from tests.postgres import Front, Postgres, start_server
from tests.store.helpers import CHANNEL, TEAM, follow

IMPATIENT = Timeouts(ping=0.3)
# Long enough for a statement that is answered, on any machine.
SHORT = Timeouts(statement=3)


async def open_several(database: Database, count: int = 5) -> None:
    """Have so many connections in the pool."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            _ = await stack.enter_async_context(database.read_only())


async def server_process(database: Database) -> int:
    async with database.read_only() as connection:
        return int(await connection.scalar(sa.select(sa.func.pg_backend_pid())) or 0)


@pytest.fixture
async def pooled(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(connect(parse_database_url(postgres_url)))
    yield database
    await database.close()


async def test_connections_that_became_read_only_are_replaced(
    postgres: Postgres, postgres_url: str, postgres_database: str, pooled: Database
) -> None:
    await postgres.execute(f'ALTER DATABASE "{postgres_database}" SET default_transaction_read_only = on')
    store = Store(pooled)
    try:
        await open_several(pooled)
        with pytest.raises(DatabaseUnavailable):
            await follow(store)
    finally:
        await postgres.execute(f'ALTER DATABASE "{postgres_database}" RESET default_transaction_read_only')

    with contextlib.suppress(DatabaseUnavailable):
        await follow(store)
    await asyncio.gather(*(follow(store, f"C{number}") for number in range(8)))
    async with asyncio.timeout(30):
        # A trial that is under way finds out.
        while await store.check() is not None:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


BROKEN = ["25006", "25P03", "57P01", "57P02", "57P05", "53200", "58030", "XX000", "08P01", "26000", "55000", "40003"]
USABLE = ["22P05", "23514", "40001", "40P01", "42501", "42P01", "55P03", "57014", "53100", "0A000"]


async def test_error_that_is_not_about_the_statement_ends_the_connection(pooled: Database) -> None:
    """Another connection may do better, and costs little."""
    replaced = {}
    for state in (*BROKEN, *USABLE):
        before = await server_process(pooled)
        with pytest.raises((DatabaseUnavailable, sa.exc.DBAPIError)):
            async with pooled.transaction() as connection:
                await connection.execute(sa.text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"))
        replaced[state] = await server_process(pooled) != before

    assert replaced == {**dict.fromkeys(BROKEN, True), **dict.fromkeys(USABLE, False)}


async def test_connection_whose_last_statement_runs_on_is_replaced(
    pooled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asyncpg has an error of its own for that, which is none of PostgreSQL's."""
    before = await server_process(pooled)

    async def busy(*_: object, **__: object) -> None:
        patch.undo()
        raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "execute", busy)

        assert await server_process(pooled) != before


async def test_value_that_postgresql_rejects_is_no_unavailable_database(pooled: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught:
        async with pooled.transaction() as connection:
            await connection.execute(sa.text("SELECT (SELECT 1 UNION SELECT 2)"))

    assert getattr(caught.value.orig, "sqlstate", None) == "21000"
    assert pooled.is_writable()


async def test_one_ping_of_a_silent_host_replaces_all_connections(
    front: Front, postgres_url: str, postgres_database: str
) -> None:
    database = Database(connect(parse_database_url(front.url(postgres_database)), IMPATIENT))
    store = Store(database)
    await open_several(database)

    front.fall_silent()

    await asyncio.gather(*(follow(store, f"C{number}") for number in range(5)))
    assert b"BEGIN" not in front.swallowed
    assert front.swallowed.count(b"SELECT 1") <= 5
    await database.close()


async def test_a_host_that_dies_within_a_transaction(front: Front, postgres_url: str, postgres_database: str) -> None:
    """The transaction fails after one statement's time: the dead connection is not asked to roll back as well."""
    database = Database(connect(parse_database_url(front.url(postgres_database)), SHORT))

    async def be_interrupted() -> None:
        async with database.transaction() as connection:
            await connection.execute(sa.text("SELECT 1"))
            front.fall_silent()
            await connection.execute(sa.text("SELECT 2"))

    with pytest.raises(DatabaseUnavailable):
        await be_interrupted()

    assert b"SELECT 2" in front.swallowed
    assert b"ROLLBACK" not in front.swallowed
    async with database.read_only() as connection:
        assert await connection.scalar(sa.text("SELECT 3")) == 3
    await database.close()


async def test_a_host_that_dies_at_the_commit(front: Front, postgres_url: str, postgres_database: str) -> None:
    """Likewise, and whether it was committed is not known."""
    database = Database(connect(parse_database_url(front.url(postgres_database)), SHORT))

    async def be_interrupted() -> None:
        async with database.transaction() as connection:
            await connection.execute(sa.text("SELECT 1"))
            front.fall_silent()

    with pytest.raises(DatabaseUnavailable):
        await be_interrupted()

    assert b"COMMIT" in front.swallowed
    assert b"ROLLBACK" not in front.swallowed
    await database.close()


async def test_connections_are_replaced_within_ten_minutes(postgres_url: str) -> None:
    assert Timeouts().recycle <= 600
    database = Database(connect(parse_database_url(postgres_url), Timeouts(recycle=0)))

    assert await server_process(database) != await server_process(database)
    await database.close()


async def test_all_timeouts_together_end_before_the_shortest_lease() -> None:
    timeouts = Timeouts()
    assert timeouts.ping + timeouts.connect + (timeouts.statement or 99) < 30


async def test_changed_type_of_a_returned_column_fails_once_at_most(
    postgres: Postgres, copied_postgres_url: str
) -> None:
    store = Store(Database(connect(parse_database_url(copied_postgres_url))))
    await follow(store)
    await store.card_queue.claim("a", 1, 0.0)
    name = str(parse_database_url(copied_postgres_url).database)
    await postgres.execute("ALTER TABLE cards ALTER COLUMN attempts TYPE bigint", database=name)

    with contextlib.suppress(DatabaseUnavailable):
        await store.card_queue.claim("a", 1, 0.0)
    assert len(await store.card_queue.claim("a", 1, 0.0)) == 1
    await store.close()


@pytest.fixture(scope="module")
def two_servers() -> Iterator[tuple[Postgres, Postgres]]:
    """Two servers of their own."""
    with contextlib.ExitStack() as stack:
        started = []
        for name in ("one", "two"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"livestream-bot-postgres-{name}-"))
            Path(folder).chmod(0o755)
            server = start_server(Path(folder) / "data")
            stack.callback(server.cleanup)
            started.append(Postgres(socket_dir=server.get_uri().rpartition("host=")[2]))
            asyncio.run(started[-1].execute("CREATE DATABASE bot"))
        yield started[0], started[1]


async def set_read_only(server: Postgres, value: str) -> None:
    await server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()")


@pytest.mark.parametrize("options", ["", "?target_session_attrs=read-write"])
async def test_writable_one_of_two_servers_is_used(two_servers: tuple[Postgres, Postgres], options: str) -> None:
    one, two = two_servers
    for server in two_servers:
        await set_read_only(server, "off")
        await migrate(parse_database_url(server.url("bot")))
        await server.empty("bot", *metadata.tables)
    await set_read_only(one, "on")
    async with Front(one).running() as first, Front(two).running() as second:
        hosts = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
        store = Store(Database(connect(parse_database_url(f"postgresql://postgres@{hosts}/bot{options}"))))
        await follow(store)

        await set_read_only(two, "on")
        await set_read_only(one, "off")
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(DatabaseUnavailable):
                    await follow(store, "C2")
                    break

        assert [each.follow.channel_id for each in await store.follows.in_channel(TEAM, "C2")] == ["C2"]
        assert await store.follows.in_channel(TEAM, CHANNEL) == []
        # Nothing listens where the first one was.
        nowhere = f"127.0.0.1:1,127.0.0.1:{first.port}"
        other = Store(Database(connect(parse_database_url(f"postgresql://postgres@{nowhere}/bot{options}"))))
        assert len(await other.follows.in_channel(TEAM, "C2")) == 1
        await store.close()
        await other.close()


async def test_second_host_is_tried_after_a_silent_one(
    front: Front, postgres: Postgres, postgres_url: str, postgres_database: str
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    url = parse_database_url(f"postgresql://postgres@127.0.0.1:{port},127.0.0.1:{front.port}/{postgres_database}")
    store = Store(Database(connect(url, Timeouts(connect=2))))

    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(DatabaseUnavailable):
                await follow(store)
                break
    silent.close()
    await store.close()
