"""Transactions that happen or do not, a clock, and a database that goes away and comes back."""

import asyncio
import contextlib
import sqlite3

import asyncpg  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from bot.errors import BotError, DatabaseUnavailable
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.schema import request_windows
from bot.store.store import Store
from tests.postgres import GUARDED, PASSWORD, Postgres
from tests.store.helpers import CHANNEL, TEAM, Change, Clock, Episode, claim, follow, look


async def test_failed_transaction_writes_nothing(database: Database) -> None:
    async def fail_late() -> None:
        async with database.transaction() as connection:
            await connection.execute(sa.insert(request_windows).values(window_start=1, requests=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_late()

    async with database.read_only() as connection:
        assert (await connection.execute(sa.select(request_windows))).all() == []


async def test_check_whose_record_fails_halfway_leaves_nothing_and_can_be_recorded_again(store: Store) -> None:
    await follow(store)
    meeting = await look(store)
    with pytest.raises(sa.exc.IntegrityError):
        await store.meeting_queue.record(meeting, Episode(phase="live"), [Change(), Change(seq=None)], next_check_in=15)  # type: ignore[arg-type]

    card = await claim(store)
    assert card.stored_episode["phase"] == "waiting"
    assert card.announcements == ()
    await store.meeting_queue.record(meeting, Episode(phase="live"), [Change()], next_check_in=15)


async def test_canceled_transaction_is_undone_and_costs_no_connection(store: Store, database: Database) -> None:
    for _ in range(20):
        task = asyncio.create_task(follow(store))
        await asyncio.sleep(0)
        await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await store.follows.unfollow(TEAM, CHANNEL, (await follow(store)).follow.meeting_id, user_id="U2")
    assert await store.check() is None


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_canceled_query_keeps_no_lock_while_its_error_is_kept(sqlite_url: str, cancellations: int) -> None:
    url = parse_database_url(sqlite_url)
    database = Database(connect(url))
    first_row_takes_long = sa.text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) "
        "SELECT count(*) FROM n UNION ALL SELECT 1 UNION ALL SELECT 2"
    )

    async def query() -> list[BaseException]:
        try:
            async with database.transaction() as connection:
                await connection.execute(first_row_takes_long)
        except asyncio.CancelledError as error:
            return [error]
        return []

    task = asyncio.create_task(query())
    await asyncio.sleep(0.05)
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0)
    errors = await task

    with contextlib.closing(sqlite3.connect(url.database or "", timeout=2, check_same_thread=False)) as other:
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    await database.close()
    assert errors


async def test_wrong_statement_is_no_reason_to_try_again(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        async with database.transaction() as connection:
            await connection.execute(sa.insert(request_windows).values(window_start=1))


async def test_restart_of_postgresql_goes_unnoticed(
    postgres: Postgres, postgres_url: str, postgres_database: str
) -> None:
    store = Store(Database(connect(parse_database_url(postgres_url))))
    await follow(store)

    await postgres.disconnect_all(postgres_database)

    assert await store.check() is None
    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1
    await store.close()


async def test_changed_type_of_a_column_goes_unnoticed(postgres: Postgres, copied_postgres_url: str) -> None:
    store = Store(Database(connect(parse_database_url(copied_postgres_url))))
    await follow(store)
    await store.follows.in_channel(TEAM, CHANNEL)

    name = str(parse_database_url(copied_postgres_url).database)
    await postgres.execute("ALTER TABLE follows ALTER COLUMN pause_reason TYPE varchar(99)", database=name)

    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1
    await store.close()


async def test_lost_connection_is_an_unavailable_database(
    postgres: Postgres, postgres_url: str, postgres_database: str
) -> None:
    database = Database(connect(parse_database_url(postgres_url)))

    async def be_interrupted() -> None:
        async with database.transaction() as connection:
            await connection.execute(sa.select(1))
            await postgres.disconnect_all(postgres_database)
            await connection.execute(sa.select(1))

    with pytest.raises(DatabaseUnavailable) as caught:
        await be_interrupted()

    assert isinstance(caught.value, BotError)
    assert "Try again" in caught.value.sentence
    assert caught.value.detail
    await database.close()


async def test_health_check_reports_a_database_that_is_down() -> None:
    store = Store(Database(connect(parse_database_url("postgresql://u:hunter2@127.0.0.1:1/livestream"))))

    assert await store.check() == "Can't reach the database."
    with pytest.raises(DatabaseUnavailable) as caught:
        await follow(store)

    assert "hunter2" not in caught.value.detail
    await store.close()


async def test_locked_file_stops_writers_and_not_readers(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.05)
    store = Store(Database(connect(parse_database_url(sqlite_url))))
    other = sqlite3.connect(parse_database_url(sqlite_url).database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseUnavailable):
        await follow(store)
    assert await store.follows.in_channel(TEAM, CHANNEL) == []
    assert await store.check() == "Can't write to the database: it's locked, full or read-only."

    other.close()
    assert (await follow(store)).is_new
    async with asyncio.timeout(30):
        problem: str | None = ""
        while problem is not None:
            await asyncio.sleep(0.01)
            problem = await store.check()
    await store.close()


async def test_missing_rights_are_an_unavailable_database(postgres: Postgres, postgres_database: str) -> None:
    await postgres.execute(f"DROP ROLE IF EXISTS {GUARDED}", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
    url = postgres.url(postgres_database, user=f"{GUARDED}:{PASSWORD}")
    store = Store(Database(connect(parse_database_url(url))))

    assert await store.check() == "Can't reach the database."
    with pytest.raises(DatabaseUnavailable):
        await follow(store)

    await store.close()


async def test_file_has_a_write_ahead_log_and_synchronizes_fully(sqlite_url: str) -> None:
    database = Database(connect(parse_database_url(sqlite_url)))
    async with database.read_only() as connection:
        assert await connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert await connection.scalar(sa.text("PRAGMA synchronous")) == 2
    await database.close()


async def test_reader_does_not_wait_for_a_writer(store: Store, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(sa.insert(request_windows).values(window_start=1, requests=1))

        assert await store.follows.in_channel(TEAM, CHANNEL) == []
        assert await store.meeting_queue.due_in() is None


async def test_time_is_that_of_postgresql_and_constant_within_a_statement(postgres_url: str) -> None:
    database = Database(connect(parse_database_url(postgres_url)))
    async with database.read_only() as connection:
        here = await connection.scalar(sa.select(sa.extract("epoch", sa.func.now())))
        row = (await connection.execute(sa.select(database.now(), sa.func.pg_sleep(0.01), database.now()))).one()
    await database.close()

    assert row[0] == row[2]
    assert 0 <= row[0] - float(here or 0) < 60


async def test_given_clock_replaces_the_one_of_the_database(database: Database, clock: Clock) -> None:
    async with database.read_only() as connection:
        assert await connection.scalar(sa.select(database.now())) == clock.time


async def test_starting_server_is_an_unavailable_database() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # https://www.postgresql.org/docs/current/protocol-message-formats.html: a request for TLS, or a start-up.
        if await reader.readexactly(8) == b"\x00\x00\x00\x08\x04\xd2\x16\x2f":
            writer.write(b"N")
            await reader.readexactly(8)
        fields = b"SFATAL\x00VFATAL\x00C57P03\x00Mthe database system is starting up\x00\x00"
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    database = Database(connect(parse_database_url(f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/db")))
    with pytest.raises(DatabaseUnavailable) as unreachable:
        async with database.read_only():
            pass

    assert PASSWORD not in unreachable.value.detail
    await database.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "error", [asyncpg.InterfaceError("connection is closed"), asyncpg.CannotConnectNowError("starting up")]
)
async def test_connection_lost_during_its_setup_is_an_unavailable_database(postgres_url: str, error: Exception) -> None:
    """SQLAlchemy passes on the driver's own errors here."""
    database = Database(connect(parse_database_url(postgres_url)))

    def lose(*_: object) -> None:
        raise error

    event.listen(database.engine.sync_engine, "connect", lose)
    with pytest.raises(DatabaseUnavailable):
        async with database.read_only():
            pass
    await database.close()
