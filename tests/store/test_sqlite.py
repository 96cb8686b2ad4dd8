"""SQLite's file: who can read it, and what the bot does when it is moved, deleted or replaced."""

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
    """Replace the file, as restoring a backup does."""
    shutil.copy(path, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


TROUBLE = [(delete, DELETED), (move, DELETED), (move_its_folder, DELETED), (replace, REPLACED)]


@pytest.mark.parametrize(("trouble", "sentence"), TROUBLE)
async def test_lost_file_is_reported_and_not_recreated(
    tmp_path: Path, log: io.StringIO, trouble: Callable[[Path], None], sentence: str
) -> None:
    """Each check reports it, the log does once, and no connection creates or opens another file in its place."""
    path = tmp_path / "data" / "bot.db"
    path.parent.mkdir()
    store = await open_store(f"sqlite:///{path}")
    await follow(store)
    assert await store.check() is None

    trouble(path)
    existed = path.exists()

    assert (await store.check() or "").startswith(sentence)
    assert (await store.check() or "").startswith(sentence)
    assert len(await store.follows.in_channel(TEAM, CHANNEL)) == 1
    assert log.getvalue().count("database_file_lost") == 1
    await store.close()
    with pytest.raises(DatabaseUnavailable):
        await store.follows.in_channel(TEAM, CHANNEL)
    assert path.exists() == existed


async def test_file_that_is_moved_back_works_again(tmp_path: Path, log: io.StringIO) -> None:
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


@pytest.mark.skipif(os.name != "posix", reason="other systems have other permissions")
async def test_new_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = await open_store(f"sqlite:///{tmp_path}/bot.db")
        await follow(store)
        modes = modes_in(tmp_path)
        await store.close()
    finally:
        os.umask(before)

    assert modes == {"bot.db": 0o600, "bot.db-wal": 0o600, "bot.db-shm": 0o600}


@pytest.mark.skipif(os.name != "posix", reason="other systems have other permissions")
async def test_file_that_others_can_read_stays_so_and_doctor_says_how_to_change_it(tmp_path: Path) -> None:
    path = tmp_path / "bot.db"
    await (await open_store(f"sqlite:///{path}")).close()
    assert (await inspect(f"sqlite:///{path}")).endswith("tables are up to date.")
    path.chmod(0o644)

    await (await open_store(f"sqlite:///{path}")).close()

    assert path.stat().st_mode & 0o777 == 0o644
    assert f"`chmod 600 {path}` keeps it to its owner." in await inspect(f"sqlite:///{path}")


async def test_sqlite_uri_is_opened_unchanged_and_not_watched(sqlite_url: str) -> None:
    path = parse_database_url(sqlite_url).database
    database = Database(connect(parse_database_url(f"sqlite:///file:{path}?mode=rw&uri=true")))
    async with database.read_only() as connection:
        assert (await connection.exec_driver_sql("SELECT 1")).scalar_one() == 1
    assert database.file_problem() is None
    await database.close()
