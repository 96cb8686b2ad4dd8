"""A database that cannot be used: reported at the start, and survived while the bot runs."""

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
from tests.scenarios.scenario import Scenario

__all__ = ["postgres"]

MEETING = seeds.NEVER_LIVE
# linux/capability.h, linux/prctl.h
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _PR_CAPBSET_DROP = 1, 2, 24
REPOSITORY = Path(__file__).parents[2]


class Start:
    """`livestream-bot run` in a process of its own, with a given database."""

    def __init__(self, world: World) -> None:
        self._environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "http")

    async def failure(self, url: str, **options: Any) -> str:
        """Return the one sentence that it prints before it exits with status 2."""
        with below_the_usual() as sock:
            port = sock.getsockname()[1]
        environment = {**os.environ, **self._environment, "DATABASE_URL": url, "PORT": str(port)}
        environment |= {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run"),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            **options,
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
    """Return a database file with all tables."""
    path = tmp_path / "livestream.db"
    await migrate(parse_database_url(f"sqlite:///{path}"))
    return path


@pytest.fixture
async def database_url(postgres: Postgres) -> AsyncIterator[str]:
    name = await postgres.create()
    yield postgres.url(name)
    await postgres.drop(name)


def without_privileges() -> None:
    """Make the program that is about to start obey file modes, even if root runs it (prctl(2))."""
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


# Other sentences are tested without a process, in tests/store/test_open_store.py.


async def test_locked_file_is_reported(start: Start, file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "is locked by another program; stop that one" in await start.failure(f"sqlite:///{file}")


async def test_read_only_file_is_reported(start: Start, file: Path) -> None:
    _allow(file, 0o444)

    sentence = await start.failure(f"sqlite:///{file}", preexec_fn=without_privileges)

    assert "cannot be written to; make the file and its folder writable" in sentence


async def test_read_only_folder_is_reported(start: Start, file: Path) -> None:
    """SQLite keeps its journal there."""
    _allow(file.parent, 0o555)

    sentence = await start.failure(f"sqlite:///{file}", preexec_fn=without_privileges)

    assert "writable for the user who runs the bot" in sentence


async def test_new_file_in_a_read_only_folder_is_reported(start: Start, tmp_path: Path) -> None:
    _allow(tmp_path, 0o555)

    sentence = await start.failure(f"sqlite:///{tmp_path}/livestream.db", preexec_fn=without_privileges)

    assert "its folder must exist and be writable" in sentence


async def test_damaged_file_is_reported(start: Start, file: Path) -> None:
    _damage(file)

    assert "is damaged; restore a copy of it" in await start.failure(f"sqlite:///{file}")


async def test_wrong_password_is_reported_without_quoting_it(
    start: Start, postgres: Postgres, database_url: str
) -> None:
    await postgres.execute(f"DROP ROLE IF EXISTS {GUARDED}", f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{PASSWORD}'")
    url = postgres.url(str(parse_database_url(database_url).database), user=f"{GUARDED}:hunter2")

    sentence = await start.failure(url)

    assert "refuses the user or the password" in sentence
    assert "hunter2" not in sentence


async def test_unknown_host_is_reported(start: Start) -> None:
    sentence = await start.failure("postgresql://bot:hunter2@no-such-host.invalid/livestream")
    assert "The database livestream at no-such-host.invalid:5432 can't be reached" in sentence
    assert "hunter2" not in sentence


async def test_starting_server_is_reported(start: Start) -> None:
    fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"

    async def starting_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"N")  # no TLS
        await reader.read(1024)
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        writer.close()

    async with await asyncio.start_server(starting_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert "is starting or stopping; start again" in await start.failure(f"postgresql://u@127.0.0.1:{port}/d")


async def readyz(url: str) -> tuple[int, str]:
    """Return status and body of /readyz."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as response:
        return response.status, await response.text()


async def until_ready(url: str) -> None:
    async with asyncio.timeout(60):
        status = 0
        while status != 200:
            await asyncio.sleep(0.05)
            status, _ = await readyz(url)


async def check_recovery(
    scenario: Scenario, url: str, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]
) -> None:
    """Let the trouble begin and end while a meeting is followed.

    People get an error, the bot is not ready, and it catches up afterwards.
    """
    await scenario.follow(MEETING)
    await begin()

    answer = await scenario.world.ask(f"follow {seeds.LIVE}")
    assert answer.text == DatabaseUnavailable().sentence
    status, problems = await readyz(url)
    assert status == 503
    assert '"database":' in problems
    scenario.world.kit.go_live(MEETING)
    await scenario.pass_time(120)
    assert (await readyz(url))[0] == 503

    await end()
    await until_ready(url)
    await scenario.until_announced(MEETING, "live")
    assert (await scenario.follow(seeds.LIVE)).text


@pytest.fixture
def log_without_tracebacks(log: io.StringIO) -> Iterator[io.StringIO]:
    """Yield the bot's log, which must contain no traceback at the end."""
    yield log
    assert "Traceback" not in log.getvalue()


@pytest.mark.usefixtures("log_without_tracebacks")
async def test_bot_recovers_from_a_locked_file(fast: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.sqlite.BUSY_SECONDS", 0.1)
    other = sqlite3.connect(tmp_path / "livestream-bot.db", timeout=30, isolation_level=None, check_same_thread=False)

    async def lock() -> None:
        # The bot, which may be writing, is in this thread.
        await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")

    async def unlock() -> None:
        other.execute("ROLLBACK")

    with contextlib.closing(other):
        async with fast.world.bot():
            await check_recovery(fast, fast.world.bot_url, lock, unlock)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process")
async def test_bot_recovers_from_a_full_disk(fast: Scenario, tmp_path: Path) -> None:
    """No file of the bot can grow (prlimit(2)), and then it can."""
    file = tmp_path / "livestream-bot.db"
    async with fast.process(f"sqlite:///{file}") as bot:
        fast.slack.request_url = f"{bot.url}/slack/events"

        async def fill() -> None:
            size = file.with_name(f"{file.name}-wal").stat().st_size
            resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        async def make_room() -> None:
            resource.prlimit(bot.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        await check_recovery(fast, bot.url, fill, make_room)
        assert "Traceback" not in bot.log.read_text()


async def test_deleted_file_is_reported_by_the_running_bot(world: World, tmp_path: Path) -> None:
    file = tmp_path / "bot.db"
    async with world.bot(database_url=f"sqlite:///{file}"):
        await world.ready()
        await asyncio.to_thread(file.unlink)
        status, problems = await readyz(world.bot_url)

    assert status == 503
    assert "The database file was deleted or moved while the bot was running." in problems
    assert "database_file_lost" in world.log.getvalue()


@pytest.mark.usefixtures("log_without_tracebacks")
async def test_bot_recovers_from_lost_postgresql_connections(
    fast: Scenario, postgres: Postgres, database_url: str
) -> None:
    name = str(parse_database_url(database_url).database)

    async def leave() -> None:
        await postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        await postgres.disconnect_all(name)

    async def come_back() -> None:
        await postgres.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')

    async with fast.world.bot(database_url=database_url):
        await check_recovery(fast, fast.world.bot_url, leave, come_back)


@pytest.mark.usefixtures("log_without_tracebacks")
@pytest.mark.parametrize("bad", ["\0", "\x1b"])
async def test_text_unsupported_by_postgresql_breaks_nothing(fast: Scenario, database_url: str, bad: str) -> None:
    kit = fast.world.kit
    kit.change(MEETING, title=f"Launch{bad} keynote")
    async with fast.world.bot(database_url=database_url):
        await fast.follow(MEETING)
        kit.go_live(MEETING)
        await fast.until_announced(MEETING, "live")
        kit.change_livestream(MEETING, name=f"Take{bad} two")
        kit.fail(MEETING, f"Encoder{bad} lost")
        await fast.until_announced(MEETING, "live", "errored")
        assert (await readyz(fast.world.bot_url))[0] == 200


@pytest.mark.usefixtures("log_without_tracebacks")
async def test_bot_recovers_from_a_read_only_postgresql(fast: Scenario, postgres: Postgres, database_url: str) -> None:
    """As a primary that becomes a replica: the bot itself must drop its connections."""
    name = str(parse_database_url(database_url).database)

    async def demote() -> None:
        await postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await postgres.disconnect_all(name)

    async def promote() -> None:
        await postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = off')

    async with fast.world.bot(database_url=database_url):
        await check_recovery(fast, fast.world.bot_url, demote, promote)
