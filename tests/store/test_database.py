"""Transactions that happen or do not, a clock, and a database that goes away and comes back."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from bot.errors import BotError, DatabaseUnavailable
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.migrator import migrate
from bot.store.schema import request_windows
from bot.store.store import Store
from tests.postgres import GUARDED, PASSWORD, Postgres
from tests.store.helpers import CHANNEL, LEASE, TEAM, Change, Clock, Episode, follow, look


async def test_all_or_nothing(database: Database) -> None:
    """An error within a transaction undoes what was written before it."""

    async def fail_late() -> None:
        async with database.transaction() as connection:
            await connection.execute(sa.insert(request_windows).values(window_start=1, requests=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_late()

    async with database.read_only() as connection:
        assert (await connection.execute(sa.select(request_windows))).all() == []


async def test_recording_fails_halfway(store: Store) -> None:
    """Neither the meeting's state nor a card nor an announcement is left of it, and it can be recorded again."""
    await follow(store)
    meeting = await look(store)
    with pytest.raises(sa.exc.IntegrityError):
        await store.meeting_queue.record(meeting, Episode(phase="live"), [Change(), Change(seq=None)], next_check_in=15)  # type: ignore[arg-type]

    (card,) = await store.card_queue.claim("announcer", 10, LEASE)
    assert card.stored_episode["phase"] == "waiting"
    assert card.announcements == ()
    await store.meeting_queue.record(meeting, Episode(phase="live"), [Change()], next_check_in=15)


async def test_a_cancelled_transaction(store: Store, database: Database) -> None:
    """Is undone, blocks no other, and costs no connection."""
    for _ in range(20):
        task = asyncio.create_task(follow(store))
        await asyncio.sleep(0)
        await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await store.follows.unfollow(TEAM, CHANNEL, (await follow(store)).follow.meeting_id, user_id="U2")
    assert await store.check() is None


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_cancelled_query_in_a_transaction(tmp_path: Path, cancellations: int) -> None:
    """A transaction that is cancelled while SQLite works on a query keeps no lock, however long its error is kept."""
    url = parse_database_url(f"sqlite:///{tmp_path / 'livestream.db'}")
    await migrate(url)
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

    with contextlib.closing(sqlite3.connect(tmp_path / "livestream.db", timeout=2, check_same_thread=False)) as other:
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
    await database.close()
    assert errors


async def test_our_mistakes_are_not_the_database_s(database: Database) -> None:
    """A statement that is wrong is no reason to try again."""
    with pytest.raises(sa.exc.IntegrityError):
        async with database.transaction() as connection:
            await connection.execute(sa.insert(request_windows).values(window_start=1))


async def test_postgresql_restarts(postgres: Postgres, postgres_url: str, postgres_database: str) -> None:
    """Every connection is gone, and the next transaction does not notice."""
    store = Store(Database(connect(parse_database_url(postgres_url))))
    await follow(store)

    await postgres.disconnect_all(postgres_database)

    assert await store.check() is None
    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1
    await store.close()


async def test_a_newer_version_changes_a_table(postgres: Postgres, new_postgres_url: str) -> None:
    """Nothing of the table of before is kept in PostgreSQL: the bot works on."""
    await migrate(parse_database_url(new_postgres_url))
    store = Store(Database(connect(parse_database_url(new_postgres_url))))
    await follow(store)
    await store.follows.in_channel(TEAM, CHANNEL)

    name = str(parse_database_url(new_postgres_url).database)
    await postgres.execute("ALTER TABLE follows ALTER COLUMN pause_reason TYPE varchar(99)", database=name)

    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1
    await store.close()


async def test_postgresql_goes_away_meanwhile(postgres: Postgres, postgres_url: str, postgres_database: str) -> None:
    """The transaction fails as one of the bot's own errors."""
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


async def test_nobody_listens() -> None:
    """The health check says so in a sentence."""
    store = Store(Database(connect(parse_database_url("postgresql://u:hunter2@127.0.0.1:1/livestream"))))

    assert await store.check() == "Can't reach the database."
    with pytest.raises(DatabaseUnavailable) as caught:
        await follow(store)

    assert "hunter2" not in caught.value.detail
    await store.close()


async def test_a_locked_file(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes gives up after a while; who reads is not disturbed."""
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


async def test_rights_are_taken_away(postgres: Postgres, postgres_database: str) -> None:
    """Which is trouble with the database, and no mistake of the program's."""
    await postgres.execute(f"DROP ROLE IF EXISTS {GUARDED}", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
    url = postgres.url(postgres_database, user=f"{GUARDED}:{PASSWORD}")
    store = Store(Database(connect(parse_database_url(url))))

    assert await store.check() == "Can't reach the database."
    with pytest.raises(DatabaseUnavailable):
        await follow(store)

    await store.close()


async def test_the_file_s_journal(sqlite_url: str) -> None:
    """Is the one with which readers and the writer do not wait for each other."""
    database = Database(connect(parse_database_url(sqlite_url)))
    async with database.read_only() as connection:
        assert await connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert await connection.scalar(sa.text("PRAGMA synchronous")) == 2
    await database.close()


async def test_readers_do_not_wait(store: Store, database: Database) -> None:
    """During a write, lists are answered."""
    async with database.transaction() as connection:
        await connection.execute(sa.insert(request_windows).values(window_start=1, requests=1))

        assert await store.follows.in_channel(TEAM, CHANNEL) == []
        assert await store.meeting_queue.due_in() is None


async def test_postgresql_s_own_clock(postgres_url: str) -> None:
    """Is the one that counts there, so that replicas agree; and it is the same for a whole statement."""
    database = Database(connect(parse_database_url(postgres_url)))
    async with database.read_only() as connection:
        here = await connection.scalar(sa.select(sa.extract("epoch", sa.func.now())))
        row = (await connection.execute(sa.select(database.now(), sa.func.pg_sleep(0.01), database.now()))).one()
    await database.close()

    assert row[0] == row[2]
    assert 0 <= row[0] - float(here or 0) < 60


async def test_a_given_clock(database: Database, clock: Clock) -> None:
    """Takes its place in tests, on both."""
    async with database.read_only() as connection:
        assert await connection.scalar(sa.select(database.now())) == clock.time


async def test_a_server_that_is_starting() -> None:
    """It refuses every connection, and is as unreachable as one that is down."""

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
async def test_connection_lost_during_its_set_up_is_an_unavailable_database(
    postgres_url: str, error: Exception
) -> None:
    """SQLAlchemy passes on the driver's own errors here."""
    database = Database(connect(parse_database_url(postgres_url)))

    def lose(*_: object) -> None:
        raise error

    event.listen(database.engine.sync_engine, "connect", lose)
    with pytest.raises(DatabaseUnavailable):
        async with database.read_only():
            pass
    await database.close()
