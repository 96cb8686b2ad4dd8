"""Answers other than plain JSON: errors, silence, delays and broken connections."""

import asyncio

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.clock import Clock
from sandbox.connections import ABORT


def rate_limited(error: str, retry_after: int) -> Response:
    """Return an HTTP 429 with `Retry-After` in seconds."""
    return JSONResponse({"ok": False, "error": error}, 429, headers={"Retry-After": str(retry_after)})


def server_error() -> Response:
    """Return an HTTP 503 as from a proxy in front of Slack: an HTML page, not JSON."""
    return Response("<html><body>Service Unavailable</body></html>", 503, media_type="text/html")


class Hanging(Response):
    """A response that never comes; it ends when the client gives up."""

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class Dropped(Response):
    """A response that cuts the TCP connection without sending a byte."""

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        scope[ABORT]()
        await asyncio.sleep(0)


class Delayed(Response):
    """A response sent `seconds` of sandbox time after its creation, unless the client gives up first."""

    def __init__(self, answer: Response, seconds: float, clock: Clock) -> None:
        super().__init__(status_code=answer.status_code)
        self._answer = answer
        self._due = clock.now() + seconds
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(Hanging()(scope, receive, send))
        time = asyncio.ensure_future(self._clock.sleep_until(self._due))
        try:
            await asyncio.wait({gone, time}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                await self._answer(scope, receive, send)
        finally:
            gone.cancel()
            time.cancel()
