"""The store opens by itself in whatever place it is given, or says in one sentence what is in the way."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.errors import ConfigurationError
from bot.store.database import connect
from bot.store.database_url import parse_database_url
from bot.store.diagnostics import inspect
from bot.store.sqlite import set_up_sqlite
from bot.store.store import open_store
from tests.postgres import GUARDED, PASSWORD, Postgres
from tests.store.helpers import Channel, follow

Use = Callable[[str], Awaitable[object]]


@pytest.fixture(params=[open_store, inspect], ids=["run", "doctor"])
def use(request: pytest.FixtureRequest) -> Use:
    """Return each of the two ways in which a database is used for the first time."""
    use: Use = request.param
    return use


async def refusal(url: str, use: Use = open_store) -> str:
    """Return the one sentence about this database."""
    with pytest.raises(ConfigurationError) as caught:
        await use(url)
    (sentence,) = caught.value.mistakes
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "hunter2" not in sentence
    return sentence


async def write(url: str, *statements: str) -> None:
    engine = connect(parse_database_url(url))
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(sa.text(statement))
    await engine.dispose()


async def test_what_was_stored_is_there_when_the_store_is_opened_again(new_url: str) -> None:
    store = await open_store(new_url)
    assert await store.check() is None
    await follow(store)
    await store.close()

    store = await open_store(new_url)
    assert len(await store.follows.in_channel("T1", "C1")) == 1
    await store.close()


async def test_due_times_follow_the_real_clock(url: str) -> None:
    store = await open_store(url)
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


async def test_replicas_that_start_at_once_find_the_tables_made_once(new_url: str) -> None:
    stores = await asyncio.gather(*(open_store(new_url) for _ in range(3)))

    for store in stores:
        assert await store.check() is None
        await store.close()


def test_processes_that_start_at_once_find_the_tables_made_once(new_url: str) -> None:
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
    children = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) for _ in range(2)]

    outputs = [child.communicate(timeout=60)[1] for child in children]

    assert outputs == ["", ""]
    assert [child.returncode for child in children] == [0, 0]


async def test_start_waits_for_another_program_that_writes_to_a_new_file(new_sqlite_url: str) -> None:
    other = sqlite3.connect(str(parse_database_url(new_sqlite_url).database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    opening = asyncio.create_task(open_store(new_sqlite_url))
    await asyncio.sleep(0.2)
    assert not opening.done()

    other.close()

    store = await opening
    assert await store.check() is None
    await store.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("bot.db", "is not the URL of a database"),
        ("postgresql://u:hunter2@127.0.0.1:1/livestream", "The database livestream at 127.0.0.1:1 can't be reached"),
        ("sqlite:///no/such/folder/bot.db", "its folder must exist"),
    ],
    ids=["text that is no URL", "a server that is down", "a folder that does not exist"],
)
async def test_place_without_a_database_is_refused(use: Use, url: str, words: str) -> None:
    assert words in await refusal(url, use)


async def test_file_of_another_kind_is_refused_and_not_touched(use: Use, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Buy milk, and do not overwrite this. " * 100)

    assert "is not a SQLite database" in await refusal(f"sqlite:///{path}", use)

    assert path.read_text().startswith("Buy milk")


async def test_locked_file_is_refused_after_a_wait(use: Use, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.05)
    other = sqlite3.connect(parse_database_url(sqlite_url).database or "", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    assert "is locked by another program" in await refusal(sqlite_url, use)

    other.close()


async def test_tables_of_a_newer_version_are_refused(use: Use, url: str) -> None:
    await write(
        url,
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE schema_compatibility SET min_revision = '9999'",
    )

    assert "written by a newer version of this bot" in await refusal(url, use)


async def test_unknown_option_is_refused_by_its_name(use: Use, postgres_url: str) -> None:
    assert "an unknown option, colour" in await refusal(f"{postgres_url}&colour=blue", use)


async def test_missing_database_is_refused_by_its_name(use: Use, postgres: Postgres) -> None:
    sentence = await refusal(postgres.url("nowhere"), use)

    assert sentence.startswith("The database nowhere at ")
    assert "does not exist" in sentence


async def test_read_only_file_is_refused(sqlite_url: str) -> None:
    path = parse_database_url(sqlite_url).database

    assert "cannot be written to" in await refusal(f"sqlite:///file:{path}?mode=ro&uri=true")


async def test_full_disk_is_refused(new_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def on_a_small_disk(connection: sqlite3.Connection, *pragmas: str) -> None:
        set_up_sqlite(connection, *pragmas, "max_page_count = 5")

    monkeypatch.setattr("bot.store.migrator.set_up_sqlite", on_a_small_disk)

    assert "the disk is full" in await refusal(new_sqlite_url)


async def test_tables_of_another_program_are_refused_and_not_touched(new_url: str) -> None:
    await write(new_url, "CREATE TABLE follows (whatever INTEGER)")

    assert "cannot be used" in await refusal(new_url)

    engine = connect(parse_database_url(new_url))
    async with engine.begin() as connection:
        tables = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    await engine.dispose()
    assert tables == ["follows"]


@pytest.mark.parametrize(
    ("password", "words"),
    [("hunter2", "refuses the user or the password"), (PASSWORD, "does not let this user")],
    ids=["a wrong password", "a user without the right to write"],
)
async def test_refused_user_is_reported_without_the_password(
    postgres: Postgres, postgres_database: str, password: str, words: str
) -> None:
    await postgres.execute(f"DROP ROLE IF EXISTS {GUARDED}", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")

    sentence = await refusal(postgres.url(postgres_database, user=f"{GUARDED}:{password}"))

    assert words in sentence
    assert PASSWORD not in sentence
