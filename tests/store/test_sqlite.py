"""SQLite's file: who can read it, and what becomes of it while the bot was running."""

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.errors import DatabaseUnavailable
from bot.store.database import Database, connect
from bot.store.database_url import parse_database_url
from bot.store.diagnostics import inspect
from bot.store.store import open_store
from tests.store.helpers import CHANNEL, TEAM, follow

DELETED = "The database file was deleted or moved while the bot was running."
REPLACED = "The database file was replaced while the bot was running."


def delete(path: Path) -> None:
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


def move_its_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_suffix(".old"))


def replace(path: Path) -> None:
    """As a backup that is put back."""
    shutil.copy(path, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


TROUBLE = [(delete, DELETED), (move, DELETED), (move_its_folder, DELETED), (replace, REPLACED)]


@pytest.mark.parametrize(("trouble", "sentence"), TROUBLE)
async def test_the_file_goes_away_under_the_bot(
    tmp_path: Path, log: io.StringIO, trouble: Callable[[Path], None], sentence: str
) -> None:
    """The check says so, the log once, and no connection makes or opens another file in its place."""
    path = tmp_path / "data" / "bot.db"
    path.parent.mkdir()
    store = await open_store(f"sqlite:///{path}")
    await follow(store)
    assert await store.check() is None

    trouble(path)
    there = path.exists()

    assert (await store.check() or "").startswith(sentence)
    assert (await store.check() or "").startswith(sentence)
    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1
    assert log.getvalue().count("database_file_lost") == 1
    await store.close()
    with pytest.raises(DatabaseUnavailable):
        await store.follows.in_channel(TEAM, CHANNEL)
    assert path.exists() == there


async def test_a_file_that_comes_back(tmp_path: Path, log: io.StringIO) -> None:
    """It was moved away and is moved back: it is the same file."""
    path = tmp_path / "bot.db"
    store = await open_store(f"sqlite:///{path}")
    await follow(store)
    move(path)
    await follow(store, "C2")
    assert "database_file_lost" in log.getvalue()

    path.with_suffix(".old").rename(path)

    assert await store.check() is None
    assert "database_file_restored" in log.getvalue()
    await store.close()


def modes_in(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
async def test_it_is_private(tmp_path: Path) -> None:
    """The file and those beside it, whatever the umask."""
    before = os.umask(0)
    try:
        store = await open_store(f"sqlite:///{tmp_path}/bot.db")
        await follow(store)
        modes = modes_in(tmp_path)
        await store.close()
    finally:
        os.umask(before)

    assert modes == {"bot.db": 0o600, "bot.db-wal": 0o600, "bot.db-shm": 0o600}


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
async def test_a_file_that_others_can_read(tmp_path: Path) -> None:
    """It is left as it is, and doctor says how to change it."""
    path = tmp_path / "bot.db"
    await (await open_store(f"sqlite:///{path}")).close()
    assert (await inspect(f"sqlite:///{path}")).endswith("tables are up to date.")
    path.chmod(0o644)

    await (await open_store(f"sqlite:///{path}")).close()

    assert path.stat().st_mode & 0o777 == 0o644
    assert f"`chmod 600 {path}` keeps it to its owner." in await inspect(f"sqlite:///{path}")


async def test_a_uri_of_sqlite_s_own(sqlite_url: str) -> None:
    """It is opened as it is, and not watched."""
    path = parse_database_url(sqlite_url).database
    database = Database(connect(parse_database_url(f"sqlite:///file:{path}?mode=rw&uri=true")))
    async with database.read_only() as connection:
        assert (await connection.exec_driver_sql("SELECT 1")).scalar_one() == 1
    assert database.file_problem() is None
    await database.close()
