"""The HTTP server: serves an ASGI app over a socket for the duration of a `with` block."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_STARTUP_POLL = 0.005
_READ_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits for one connection, outside what the app reads."""

    head_bytes: int = 64 * 1024
    head_seconds: float = 10.0
    """How long a request's head may take; the first one's time starts with the connection."""
    idle_seconds: int = 75
    """How long a connection stays open between requests: longer than the proxy in front keeps it (nginx and AWS's load
    balancers: 60 s), since a request that meets the closing connection is lost, and the person gets no answer.
    """
    discarded_bytes: int = 1024 * 1024
    discarded_seconds: float = 5.0
    """How much of a body, and for how long, is read and discarded after the response. If the connection closes while
    the client is still sending, the client loses the response."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the program: uvicorn re-raises them at its end, and exits non-zero."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on heads and on bodies that the app does not read.

    uvicorn reads up to 320 KB of a body before the app sees its head, keeps them until the next request on the
    connection, and limits neither the size of a head nor the time it takes.
    """

    def __init__(self, limits: ConnectionLimits, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._limits = limits
        self._in_head, self._in_message = True, False
        self._head_bytes = self._discarded_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._close_after(self._limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_after(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none yet on a WebSocket
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                self._refuse_head()
        elif cycle is None or not self._in_message:
            return
        elif cycle.response_complete:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > self._limits.discarded_bytes:
                self.transport.close()
        else:
            # Read once each time the app requests more.
            self.flow.pause_reading()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._in_message = True
        self._close_after(self._limits.head_seconds)

    def on_headers_complete(self) -> None:
        self._in_head, self._head_bytes = False, 0
        self._close_after(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_message = False
        self._close_after(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:
            self.cycle.body = bytearray()
            if self._in_message and not self._in_head:
                self._discarded_bytes = 0
                self._close_after(self._limits.discarded_seconds)

    def _close_after(self, seconds: float | None) -> None:
        """Close the connection after `seconds`, replacing the previous deadline; None means no deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None and self.transport is not None:
            self._deadline = self.loop.call_later(seconds, self.transport.close)

    def _refuse_head(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()


class _SmallReads(asyncio.BufferedProtocol):
    """Passes data to uvicorn's protocol in small pieces: by default event loops read 256 KB at a time."""

    # Shared by all connections, since it is filled and emptied in one step; not on Windows, which fills it in the
    # background.
    _shared = bytearray(_READ_BYTES)

    def __init__(self, limits: ConnectionLimits, **arguments: Any) -> None:
        self._http = _HttpProtocol(limits, **arguments)
        self._buffer = memoryview(bytearray(_READ_BYTES) if sys.platform == "win32" else self._shared)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._http.connection_made(transport)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self._http.connection_lost(exc)

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._http.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool | None:
        self._http.eof_received()
        return None

    def pause_writing(self) -> None:
        self._http.pause_writing()

    def resume_writing(self) -> None:
        self._http.resume_writing()


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Bind a listening TCP socket; with port 0 the system chooses a free port.

    Raises OSError if the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # IPPROTO_TCP is explicit since asyncio disables Nagle's algorithm only then; otherwise it delays answers by 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(1024)
    except TypeError:  # a host name that cannot be encoded
        sock.close()
        raise OSError(f"not the name of a host: {host!r}") from None
    except BaseException:
        sock.close()
        raise
    return sock


def url_of(sock: socket.socket) -> str:
    """Return the `http://host:port` of a socket from `listen`."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def serving(
    app: Any, sock: socket.socket, *, drain_seconds: float = 5, limits: ConnectionLimits | None = None
) -> AsyncIterator[str]:
    """Serve `app` on `sock` until the block ends, yielding its base URL.

    At the end no new connections are accepted, and running requests have `drain_seconds` to finish.
    """
    limits = limits or ConnectionLimits()
    protocol: Any = partial(_SmallReads, limits)
    server = _Server(
        uvicorn.Config(
            app,
            http=protocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=max(1, round(drain_seconds)),
        )
    )
    running = asyncio.create_task(server.serve(sockets=[sock]), name="serving")
    try:
        while not server.started:
            if running.done():
                await running
                raise RuntimeError("the HTTP server stopped while starting")
            await asyncio.sleep(_STARTUP_POLL)
        yield url_of(sock)
    finally:
        server.should_exit = True
        await running
