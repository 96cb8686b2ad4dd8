"""Serve an ASGI app over a real socket for as long as a `with` block lasts."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

_STARTUP_POLL = 0.005


class _Server(uvicorn.Server):
    """Leaves signals to the program: uvicorn would re-raise them on its way out, and exit non-zero."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Bind a listening TCP socket; port 0 asks the system for a free one.

    Raises OSError when the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, since asyncio turns Nagle's algorithm off for IPPROTO_TCP only; left on, it holds an answer back for 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(1024)
    except TypeError:  # a host that no encoding takes
        sock.close()
        raise OSError(f"not the name of a host: {host!r}") from None
    except BaseException:
        sock.close()
        raise
    return sock


def url_of(sock: socket.socket) -> str:
    """The `http://host:port` under which a socket of `listen` is reached."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.asynccontextmanager
async def serving(app: Any, sock: socket.socket, *, drain_seconds: float = 5) -> AsyncIterator[str]:
    """Serve `app` on `sock` until the block ends, yielding its base URL.

    At the end no new connection is taken and requests under way get `drain_seconds` to finish.
    """
    server = _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
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
