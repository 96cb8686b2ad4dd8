"""A real PgBouncer, Debian's, in front of the tests' PostgreSQL. Skips, or in CI fails, where it is not installed."""

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.postgres import Postgres

_SETTINGS = """
[databases]
* = host={host} port=5432 user=postgres

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
server_lifetime = 3600
logfile = {folder}/pgbouncer.log
"""


def program() -> str:
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        sentence = "PgBouncer is not installed: install Debian's package pgbouncer."
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


def write(folder: Path, text: str) -> Path:
    settings = folder / "pgbouncer.ini"
    settings.write_text(text)
    folder.chmod(0o777)
    settings.chmod(0o644)
    return settings


def user_options(postgres: Postgres) -> tuple[str, ...]:
    """PgBouncer refuses to run as root, and only its own user can reach PostgreSQL's socket."""
    return ("-u", Path(postgres.socket_dir).owner()) if os.geteuid() == 0 else ()


@contextlib.asynccontextmanager
async def pgbouncer(postgres: Postgres, mode: str = "transaction") -> AsyncIterator[str]:
    """Yield host:port of a PgBouncer with fewer sessions than a bot has connections, where that can work."""
    size = 3 if mode == "transaction" else 50
    executable = program()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="livestream-bot-pgbouncer-"))
    written = _SETTINGS.format(host=postgres.socket_dir, port=port, mode=mode, folder=folder, size=size)
    settings = write(folder, written)
    process = await asyncio.create_subprocess_exec(executable, "-q", *user_options(postgres), str(settings))
    try:
        await _listening(port, process)
        yield f"127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, "PgBouncer does not start"
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)
