"""The answers that are no plain JSON: refusals to serve, silence, and a connection that breaks."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

ABORT = "sandbox.abort"


def rate_limited(error: str, retry_after: int) -> Response:
    """HTTP 429 with `Retry-After` in seconds."""
    return JSONResponse({"ok": False, "error": error}, 429, headers={"Retry-After": str(retry_after)})


def server_error() -> Response:
    """HTTP 503 as a proxy in front of Slack gives it: a page, not JSON."""
    return Response("<html><body>Service Unavailable</body></html>", 503, media_type="text/html")


class Hanging(Response):
    """Never answers; ends when the client gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class Dropped(Response):
    """Cuts the TCP connection without a byte of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ABORT]()
        await asyncio.sleep(0)


def _abort(send: Any) -> None:
    send.__self__.transport.abort()


def abortable(app: ASGIApp) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Give requests of `app` a way to cut their connection, for `Dropped`.

    ASGI has no such thing, so it reaches for uvicorn's transport, which is behind the outermost `send`.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[ABORT] = partial(_abort, send)
        await app(scope, receive, send)

    return wrapped
