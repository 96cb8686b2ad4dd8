"""A TCP proxy in front of the database, which can simulate a host that dies silently."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

_CHUNK = 65_536


class Proxy:
    """Carries bytes between the bots and a Unix socket.

    While `swallowing`, it drops what arrives, also on new connections, without closing them. Those stay dead
    afterwards, as when a host has died and another one has its address.
    """

    def __init__(self, socket_path: str) -> None:
        self.port = 0
        self._socket_path = socket_path
        self._swallowing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """Serve on a free port until the block ends."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def swallowing(self) -> AsyncIterator[None]:
        """Play dead until the block ends; the server rolls back its open transactions."""
        self._swallowing = True
        for writer in tuple(self._servers):
            writer.transport.abort()
        try:
            yield
        finally:
            self._swallowing = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self._swallowing:
                await _swallow(reader)
            else:
                await self._carry(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_unix_connection(self._socket_path)
        except OSError:
            return
        self._servers.add(to_server)
        up = asyncio.ensure_future(_pump(reader, to_server))
        down = asyncio.ensure_future(_pump(from_server, writer))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if to_server.transport.is_closing() and self._swallowing:
                up.cancel()
                await asyncio.gather(up, return_exceptions=True)
                await _swallow(reader)  # until the bot gives up: it gets no reset
        finally:
            self._servers.discard(to_server)
            for each in (up, down):
                each.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            to_server.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(_CHUNK):
        pass
