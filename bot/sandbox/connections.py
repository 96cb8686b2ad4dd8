"""The keep-alive connections to a sandbox server, and how they break: cut without an answer, or reset at next use."""

import asyncio
import socket
import struct
from typing import Any
from weakref import WeakSet

from starlette.types import ASGIApp, Receive, Scope, Send

ABORT = "sandbox.abort"


class Connections:
    """ASGI middleware, the outermost one: gives requests a way to cut their connection, as `scope[ABORT]`.

    ASGI has no such thing, so it reaches for uvicorn's transport, which is behind the outermost `send`; without
    uvicorn there is nothing to cut.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.resets = 0
        """How many connections were reset at their next use."""
        self._open: WeakSet[Any] = WeakSet()
        self._doomed: WeakSet[Any] = WeakSet()

    def reset_idle(self) -> int:
        """Reset every connection that has been used so far when its next request arrives; how many those are.

        The request is not processed. A connection that is opened from now on is not concerned.
        """
        for transport in tuple(self._open):
            if not transport.is_closing():
                self._doomed.add(transport)
        return len(self._doomed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if scope["type"] != "http" or transport is None:
            await self.app(scope, receive, send)
            return
        if transport in self._doomed:
            self.resets += 1
            _reset(transport)
            await asyncio.sleep(0)  # so that uvicorn knows of it before it misses an answer
            return
        self._open.add(transport)
        scope[ABORT] = transport.abort
        await self.app(scope, receive, send)


def _reset(transport: Any) -> None:
    """Close a connection with a TCP reset, not in order."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
