"""The store opens by itself in whatever place it is given, or says in one sentence what is in the way."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.errors import ConfigurationError
from bot.store.database import connect
from bot.store.database_url import parse_database_url
from bot.store.diagnostics import describe_error
from bot.store.sqlite import set_up_sqlite
from bot.store.store import open_store
from tests.postgres import GUARDED, PASSWORD, Postgres
from tests.store.helpers import Channel, follow


async def refusal(url: str) -> str:
    """Return the one sentence about this database."""
    with pytest.raises(ConfigurationError) as caught:
        await open_store(url)
    (sentence,) = caught.value.mistakes
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


async def test_open_and_close(new_url: str) -> None:
    """What was there when it was closed is there when it is opened again."""
    store = await open_store(new_url)
    assert await store.check() is None
    await follow(store)
    await store.close()

    store = await open_store(new_url)
    assert len(await store.follows.in_channel("T1", "C1")) == 1
    await store.close()


async def test_the_real_clock(new_url: str) -> None:
    """Without a clock of the test's, what is requested for in an hour is not due, and what is requested for now is."""
    store = await open_store(new_url)
    await follow(store)
    assert await store.meeting_queue.refresh_due_in() == 0

    (meeting,) = await store.meeting_queue.claim("tracker", 10, 30)
    await store.meeting_queue.release(meeting, next_check_in=600)

    wait = await store.meeting_queue.due_in()
    assert wait is not None
    assert 500 < wait <= 600
    assert len(await Channel().work(store)) == 1
    assert (await store.request_windows.add(1)).all == 1
    assert (await store.request_windows.add(1)).all == 2
    await store.close()


async def test_several_at_once(new_url: str) -> None:
    """Replicas that start at the same moment all find the tables, made once."""
    stores = await asyncio.gather(*(open_store(new_url) for _ in range(6)))

    for store in stores:
        assert await store.check() is None
        await store.close()


async def test_somebody_writes_to_a_new_file(new_sqlite_url: str) -> None:
    """Such as another bot that is starting: that is waited for."""
    other = sqlite3.connect(str(parse_database_url(new_sqlite_url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    opening = asyncio.create_task(open_store(new_sqlite_url))
    await asyncio.sleep(0.2)
    assert not opening.done()

    other.close()

    store = await opening
    assert await store.check() is None
    await store.close()


def test_processes_at_once(new_url: str) -> None:
    """And so do processes."""
    program = (
        "import asyncio, sys; from bot.store.store import open_store\n"
        "async def main():\n"
        "    store = await open_store(sys.argv[1])\n"
        "    assert await store.check() is None\n"
        "    await store.close()\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-W", "error", "-c", program, new_url]
    root = Path(__file__).parents[2]
    children = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) for _ in range(3)]

    outputs = [child.communicate(timeout=60)[1] for child in children]

    assert outputs == ["", "", ""]
    assert [child.returncode for child in children] == [0, 0, 0]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "is not the URL"),
        ("livestream.db", "is not the URL"),
        ("postgresql://u:hunter2@host:port/db", "is not the URL"),
        ("mysql://u:hunter2@host/db", "for a kind of database"),
        ("postgresql+psycopg://u:hunter2@host/db", "for a kind of database"),
        ("sqlite://", "no permanent file"),
        ("sqlite:///:memory:", "no permanent file"),
        ("sqlite://host/file", "no permanent file"),
        ("postgresql://u:hunter2@host", "names no database"),
        ("postgresql://u:hunter2@/db?host=a&port=x", "is not the URL"),
    ],
)
async def test_what_is_no_url(url: str, word: str) -> None:
    """It says how one looks, and repeats no password."""
    sentence = await refusal(url)

    assert word in sentence
    assert "hunter2" not in sentence


@pytest.mark.parametrize("url", ["postgres://u@h/d", "postgresql://u@h/d", " postgresql+asyncpg://u@h/d\n"])
def test_urls_as_others_write_them(url: str) -> None:
    """The driver goes without saying."""
    assert parse_database_url(url).render_as_string() == "postgresql+asyncpg://u@h/d"


def test_sslmode() -> None:
    """The option's usual name, in the URLs of hosting companies, is understood."""
    assert parse_database_url("postgres://u@h/d?sslmode=require").query == {"sslmode": "require"}


async def test_an_unknown_option(postgres_url: str) -> None:
    """It says that an option is not known."""
    assert "an unknown option, colour" in await refusal(f"{postgres_url}&colour=blue")


async def test_no_folder(tmp_path: Path) -> None:
    """It says that the folder must exist."""
    assert "its folder must exist" in await refusal(f"sqlite:///{tmp_path}/nowhere/livestream.db")


async def test_not_a_database(tmp_path: Path) -> None:
    """A file of another kind is not touched."""
    path = tmp_path / "notes.txt"
    path.write_text("Buy milk, and do not overwrite this. " * 100)

    assert "is not a SQLite database" in await refusal(f"sqlite:///{path}")

    assert path.read_text().startswith("Buy milk")


async def test_read_only(sqlite_url: str) -> None:
    """It says what has to be writable."""
    path = parse_database_url(sqlite_url).database

    assert "cannot be written to" in await refusal(f"sqlite:///file:{path}?mode=ro&uri=true")


async def test_locked(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a while, and then says who is in the way."""
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.05)
    other = sqlite3.connect(parse_database_url(sqlite_url).database or "", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    assert "is locked by another program" in await refusal(sqlite_url)

    other.close()


async def test_full(new_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says to make room."""

    def on_a_small_disk(connection: sqlite3.Connection, *pragmas: str) -> None:
        set_up_sqlite(connection, *pragmas, "max_page_count = 5")

    monkeypatch.setattr("bot.store.migrator.set_up_sqlite", on_a_small_disk)

    assert "the disk is full" in await refusal(new_sqlite_url)


async def test_tables_of_somebody_else(new_url: str) -> None:
    """A database with other tables of these names is not touched."""
    engine = connect(parse_database_url(new_url))
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE follows (whatever INTEGER)"))
    await engine.dispose()

    assert "cannot be used" in await refusal(new_url)

    engine = connect(parse_database_url(new_url))
    async with engine.begin() as connection:
        tables = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    await engine.dispose()
    assert tables == ["follows"]


async def test_a_newer_schema(new_url: str) -> None:
    """It says so, and changes nothing."""
    await (await open_store(new_url)).close()
    engine = connect(parse_database_url(new_url))
    async with engine.begin() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        await connection.execute(sa.text("UPDATE schema_compatibility SET min_revision = '9999'"))
    await engine.dispose()

    assert "written by a newer version of this bot" in await refusal(new_url)


async def test_a_wrong_password(postgres: Postgres, postgres_database: str) -> None:
    """It says to check it, and does not say it."""
    await postgres.execute(f"DROP ROLE IF EXISTS {GUARDED}", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
    url = postgres.url(postgres_database, user=f"{GUARDED}:hunter2")

    sentence = await refusal(url)

    assert "refuses the user or the password" in sentence
    assert "hunter2" not in sentence


async def test_no_rights(postgres: Postgres, postgres_database: str) -> None:
    """The right password, but no right to write."""
    await postgres.execute(f"DROP ROLE IF EXISTS {GUARDED}", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")

    sentence = await refusal(postgres.url(postgres_database, user=f"{GUARDED}:{PASSWORD}"))

    assert "does not let this user" in sentence
    assert PASSWORD not in sentence


async def test_no_such_database(postgres: Postgres) -> None:
    """It says its name."""
    sentence = await refusal(postgres.url("nowhere"))

    assert sentence.startswith("The database nowhere at ")
    assert "does not exist" in sentence


async def test_nobody_listens() -> None:
    """It says where it looked."""
    sentence = await refusal("postgresql://u:hunter2@127.0.0.1:1/livestream")

    assert sentence.startswith("The database livestream at 127.0.0.1:1 can't be reached")
    assert "hunter2" not in sentence


def test_it_does_not_answer() -> None:
    """It says where to look."""
    assert "does not answer" in describe_error(TimeoutError(), parse_database_url("postgresql://u:p@h/d"))


class _SQLiteError(Exception):
    sqlite_errorname = "SQLITE_TOOBIG"


class _PostgresError(Exception):
    sqlstate = "XX000"


class _NoRoomForTheIndex(Exception):
    sqlite_errorname = "SQLITE_IOERR_SHMSIZE"


def test_a_full_disk_with_all_tables() -> None:
    """It says to make room there too, where SQLite finds no room for what it keeps beside the file."""
    assert "the disk is full" in describe_error(_NoRoomForTheIndex(), parse_database_url("sqlite:///a.db"))


def test_what_nobody_thought_of() -> None:
    """It says at least what it is called, and nothing that might be secret."""
    url = parse_database_url("postgresql://u:p@h/d")

    assert describe_error(_SQLiteError("hunter2"), parse_database_url("sqlite:///a.db")) == (
        "The database file a.db cannot be used (SQLITE_TOOBIG)."
    )
    assert (
        describe_error(_PostgresError("hunter2"), url)
        == "The database d at h:5432 cannot be used (PostgreSQL's error XX000)."
    )
    assert (
        describe_error(RuntimeError("hunter2"), url)
        == "The database d at h:5432 cannot be used (RuntimeError); check DATABASE_URL."
    )
