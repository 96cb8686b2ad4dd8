"""A database that cannot be used: told in a sentence at the start, and outlived while the bot runs."""

import asyncio
import contextlib
import ctypes
import io
import os
import resource
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.errors import DatabaseUnavailable
from bot.store.database_url import parse_database_url
from bot.store.migrator import migrate
from sandbox.bot_process import below_the_usual, settings_for
from sandbox.realtimekit import seeds
from tests.conftest import World
from tests.postgres import GUARDED, PASSWORD, Postgres, postgres
from tests.scenarios.scenario import Story

__all__ = ["postgres"]

MEETING = seeds.NEVER_LIVE
# linux/capability.h, linux/prctl.h
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _PR_CAPBSET_DROP = 1, 2, 24
REPOSITORY = Path(__file__).parents[2]
ON_A_SMALL_DISK = """
import sqlite3
real = sqlite3.connect
def connect(*arguments, **options):
    connection = real(*arguments, **options)
    if ".coverage" not in str(arguments):
        connection.execute("PRAGMA max_page_count = 5")
    return connection
sqlite3.connect = sqlite3.dbapi2.connect = connect
from bot.cli import main
main()
"""


class Start:
    """`livestream-bot run`, in a process of its own, with this database."""

    def __init__(self, world: World) -> None:
        self._environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "http")

    async def refusal(self, url: str, *, program: str = "", **how: Any) -> str:
        """What is wrong, which is all that it says before it ends with exit status 2."""
        with below_the_usual() as sock:
            port = sock.getsockname()[1]
        environment = {**os.environ, **self._environment, "DATABASE_URL": url, "PORT": str(port)}
        environment |= {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(["-c", program, "run"] if program else ["-m", "bot", "run"]),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            **how,
        )
        output, errors = await asyncio.wait_for(process.communicate(), 60)
        (sentence,) = errors.decode().splitlines()
        assert process.returncode == 2
        assert output == b""
        assert sentence.startswith("The database ")
        assert sentence.endswith(".")
        assert sentence.count(". ") == 0
        return sentence


@pytest.fixture
def start(world: World) -> Start:
    return Start(world)


@pytest.fixture
async def file(tmp_path: Path) -> Path:
    """A database file with all tables."""
    path = tmp_path / "livestream.db"
    await migrate(parse_database_url(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def database_url(postgres: Postgres) -> AsyncIterator[str]:
    name = await postgres.create()
    yield postgres.url(name)
    await postgres.drop(name)


def without_privileges() -> None:
    """Let the program that is about to start heed the modes of files, even if root runs it (prctl(2))."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def _allow(path: Path, mode: int) -> None:
    path.chmod(mode)


def _damage(file: Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as damaged:
        damaged.seek(100)
        damaged.write(b"\xff" * (size - 100))


async def test_locked(start: Start, file: Path) -> None:
    """Another program keeps the file to itself for longer than the bot waits."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "is locked by another program; stop that one" in await start.refusal(f"sqlite:///{file}")


async def test_read_only_file(start: Start, file: Path) -> None:
    """The file may be read, and not written to."""
    _allow(file, 0o444)

    sentence = await start.refusal(f"sqlite:///{file}", preexec_fn=without_privileges)

    assert "cannot be written to; make the file and its folder writable" in sentence


async def test_read_only_folder(start: Start, file: Path) -> None:
    """The file may be written to, and its folder, where SQLite keeps its journal, not."""
    _allow(file.parent, 0o555)

    sentence = await start.refusal(f"sqlite:///{file}", preexec_fn=without_privileges)

    assert "writable for the user who runs the bot" in sentence


async def test_new_file_in_a_read_only_folder(start: Start, tmp_path: Path) -> None:
    """There is no file, and none can be made."""
    _allow(tmp_path, 0o555)

    sentence = await start.refusal(f"sqlite:///{tmp_path}/livestream.db", preexec_fn=without_privileges)

    assert "its folder must exist and be writable" in sentence


async def test_full_disk(start: Start, tmp_path: Path) -> None:
    """There is no room for the tables."""
    sentence = await start.refusal(f"sqlite:///{tmp_path}/new.db", program=ON_A_SMALL_DISK)
    assert "because the disk is full; make room" in sentence


async def test_damaged(start: Start, file: Path) -> None:
    """The file's pages are not what they should be."""
    _damage(file)

    assert "is damaged; restore a copy of it" in await start.refusal(f"sqlite:///{file}")


async def test_no_database(start: Start, tmp_path: Path) -> None:
    """The file is something else."""
    (tmp_path / "notes.txt").write_text("Buy milk. " * 1000)

    assert "is not a SQLite database" in await start.refusal(f"sqlite:///{tmp_path}/notes.txt")


async def test_newer(start: Start, file: Path) -> None:
    """Its tables are of a newer version, with which this one cannot work."""
    with contextlib.closing(sqlite3.connect(file)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.execute("UPDATE schema_compatibility SET min_revision = '9999'")
        newer.commit()

    assert "was written by a newer version of this bot" in await start.refusal(f"sqlite:///{file}")


async def test_newer_on_postgresql(start: Start, postgres: Postgres, database_url: str) -> None:
    """The same there."""
    await migrate(parse_database_url(database_url))
    await postgres.execute(
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE schema_compatibility SET min_revision = '9999'",
        database=str(parse_database_url(database_url).database),
    )

    assert "was written by a newer version of this bot" in await start.refusal(database_url)


async def test_wrong_password(start: Start, postgres: Postgres, database_url: str) -> None:
    """It is not repeated."""
    await postgres.execute(f"DROP ROLE IF EXISTS {GUARDED}", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
    url = postgres.url(str(parse_database_url(database_url).database), user=f"{GUARDED}:hunter2")

    sentence = await start.refusal(url)

    assert "refuses the user or the password" in sentence
    assert "hunter2" not in sentence


async def test_no_rights(start: Start, postgres: Postgres, database_url: str) -> None:
    """The user may connect, and make no tables."""
    await postgres.execute(f"DROP ROLE IF EXISTS {GUARDED}", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
    url = postgres.url(str(parse_database_url(database_url).database), user=f"{GUARDED}:{PASSWORD}")

    assert "does not let this user create or change tables" in await start.refusal(url)


async def test_unknown_host(start: Start) -> None:
    """There is no such name."""
    sentence = await start.refusal("postgresql://bot:hunter2@no-such-host.invalid/livestream")
    assert "The database livestream at no-such-host.invalid:5432 can't be reached" in sentence
    assert "hunter2" not in sentence


async def test_unknown_database(start: Start, postgres: Postgres) -> None:
    """The server has no database of this name."""
    assert "does not exist; create it" in await start.refusal(postgres.url("nowhere"))


async def test_server_that_starts(start: Start) -> None:
    """PostgreSQL is there, and takes nobody yet."""
    fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"

    async def not_yet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"N")  # no TLS
        await reader.read(1024)
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        writer.close()

    async with await asyncio.start_server(not_yet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert "is starting or stopping; start again" in await start.refusal(f"postgresql://u@127.0.0.1:{port}/d")


async def readyz(url: str) -> tuple[int, str]:
    """Whether the bot says that it is ready, and what is not."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as response:
        return response.status, await response.text()


async def until_ready(url: str) -> None:
    async with asyncio.timeout(60):
        status = 0
        while status != 200:
            await asyncio.sleep(0.05)
            status, _ = await readyz(url)


async def outlived(
    story: Story, url: str, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]
) -> None:
    """The trouble begins while a meeting is followed, and ends: people are told, nobody who asks for work is sent to
    this bot, and afterwards it catches up by itself."""
    await story.follow(MEETING)
    await begin()

    answer = await story.world.ask(f"follow {seeds.LIVE}")
    assert answer.text == DatabaseUnavailable().sentence
    status, problems = await readyz(url)
    assert status == 503
    assert '"database":' in problems
    story.world.kit.go_live(MEETING)
    await story.pass_time(120)
    assert (await readyz(url))[0] == 503

    await end()
    await until_ready(url)
    await story.until_told(MEETING, "live")
    assert (await story.follow(seeds.LIVE)).text


@pytest.fixture
def log_of_errors(log: io.StringIO) -> Iterator[io.StringIO]:
    """The bot's log, in which there is no traceback at the end."""
    yield log
    assert "Traceback" not in log.getvalue()


@pytest.mark.usefixtures("log_of_errors")
async def test_locked_for_a_while(fast: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program locks the file for longer than a change waits."""
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.1)
    other = sqlite3.connect(tmp_path / "livestream-bot.db", timeout=30, isolation_level=None, check_same_thread=False)

    async def lock() -> None:
        # The bot, which may be writing, is in this thread.
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")

    async def let_go() -> None:
        other.execute("ROLLBACK")

    with contextlib.closing(other):
        async with fast.world.bot():
            await outlived(fast, fast.world.bot_url, lock, let_go)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
async def test_full_while_it_runs(fast: Story, tmp_path: Path) -> None:
    """No file of the bot can grow any more (prlimit(2)), and then it can."""
    file = tmp_path / "livestream-bot.db"
    async with fast.process(f"sqlite:///{file}") as bot:
        fast.slack.request_url = f"{bot.url}/slack/events"

        async def fill() -> None:
            size = file.with_name(f"{file.name}-wal").stat().st_size
            resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        async def make_room() -> None:
            resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        await outlived(fast, bot.url, fill, make_room)
        assert "Traceback" not in bot.log.read_text()


async def test_the_file_is_deleted(world: World, tmp_path: Path) -> None:
    """The bot says so while it runs, and not only when it starts again and follows nothing."""
    file = tmp_path / "bot.db"
    async with world.bot(database_url=f"sqlite:///{file}"):
        await world.ready()
        await asyncio.to_thread(file.unlink)
        status, problems = await readyz(world.bot_url)

    assert status == 503
    assert "The database file was deleted or moved while the bot was running." in problems
    assert "database_file_lost" in world.log.getvalue()


@pytest.mark.usefixtures("log_of_errors")
async def test_postgresql_goes_away(fast: Story, postgres: Postgres, database_url: str) -> None:
    """It ends every connection and takes no new ones."""
    name = str(parse_database_url(database_url).database)

    async def leave() -> None:
        await postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await postgres.disconnect_all(name)

    async def come_back() -> None:
        await postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    async with fast.world.bot(database_url=database_url):
        await outlived(fast, fast.world.bot_url, leave, come_back)


@pytest.mark.usefixtures("log_of_errors")
@pytest.mark.parametrize("bad", ["\0", "\x1b"])
async def test_text_that_postgresql_does_not_take(fast: Story, database_url: str, bad: str) -> None:
    """Cloudflare has it in a title, a name and the reason of an error: the story is told, and the bot is ready."""
    kit = fast.world.kit
    kit.change(MEETING, title=f"Launch{bad} keynote")
    async with fast.world.bot(database_url=database_url):
        await fast.follow(MEETING)
        kit.go_live(MEETING)
        await fast.until_told(MEETING, "live")
        kit.change_livestream(MEETING, name=f"Take{bad} two")
        kit.fail(MEETING, f"Encoder{bad} lost")
        await fast.until_told(MEETING, "live", "errored")
        assert (await readyz(fast.world.bot_url))[0] == 200


@pytest.mark.usefixtures("log_of_errors")
async def test_postgresql_becomes_read_only(fast: Story, postgres: Postgres, database_url: str) -> None:
    """As a primary that becomes a replica: it answers, and takes no changes. Nobody closes the connections to it when
    another one is the primary: the bot itself gives them up."""
    name = str(parse_database_url(database_url).database)

    async def demote() -> None:
        await postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await postgres.disconnect_all(name)

    async def promote() -> None:
        await postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off')

    async with fast.world.bot(database_url=database_url):
        await outlived(fast, fast.world.bot_url, demote, promote)
