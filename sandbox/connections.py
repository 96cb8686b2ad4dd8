"""Keep-alive connections to a sandbox server, which can be cut without an answer or reset at their next use."""

import asyncio
import socket
import struct
from typing import Any
from weakref import WeakSet

from starlette.types import ASGIApp, Receive, Scope, Send

ABORT = "sandbox.abort"


class Connections:
    """The outermost ASGI middleware, which lets a request cut its own connection through `scope[ABORT]`.

    ASGI has no such feature, so the middleware takes uvicorn's transport from behind the outermost `send`. Without
    uvicorn there is no transport to cut.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.resets = 0
        """The number of connections reset so far."""
        self._open: WeakSet[Any] = WeakSet()
        self._doomed: WeakSet[Any] = WeakSet()

    def reset_idle(self) -> int:
        """Reset every connection used so far when its next request arrives; return how many there are.

        That request is not processed. Connections opened later are not affected.
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
            await asyncio.sleep(0)  # lets uvicorn notice before it misses the response
            return
        self._open.add(transport)
        scope[ABORT] = transport.abort
        await self.app(scope, receive, send)


def _reset(transport: Any) -> None:
    """Close a connection with a TCP reset instead of an orderly close."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
