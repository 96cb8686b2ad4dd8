"""Reading of request bodies within limits, so that unsigned ones take little memory and do not delay signed ones."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

MAX_BODY_BYTES = 256 * 1024
"""Requests from Slack and RealtimeKit have a few kilobytes."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits for one body, and for all bodies together."""

    max_bytes: int = MAX_BODY_BYTES
    seconds: float = 5.0
    """How long one body may take to arrive."""
    free_bytes: int = 16 * 1024
    """The part at the start of a body that needs no reader. Nearly every genuine request fits in it, so it is served
    even when all readers are busy."""
    readers: int = 32
    """Concurrency limit for reading longer bodies."""
    waiting: int = 64
    """How many more may wait for a reader."""
    reader_seconds: float = 1.0
    """How long a body keeps its reader while others wait. A proxy sends a body at once; a slow client does not."""


class BodyRefused(Exception):
    """A request whose body was not read completely, with the HTTP status for the response and a code for the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        return {"Retry-After": "1"} if self.status == 503 else {}


REFUSALS = ("too_long", "too_slow", "gone", "busy")
"""Every `reason` of BodyRefused."""


class BodyReader:
    """The reader of all request bodies of one server."""

    def __init__(self, limits: BodyLimits | None = None) -> None:
        self._limits = limits or BodyLimits()
        self._readers = asyncio.Semaphore(self._limits.readers)
        self._reading: dict[asyncio.Timeout, float] = {}
        self._waiting = 0

    def check_length(self, headers: Mapping[str, str]) -> None:
        """Raise BodyRefused if the declared length exceeds the limit. Call it before reading."""
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > self._limits.max_bytes:
            raise BodyRefused(413, "too_long")

    async def read(self, request: Request) -> bytes:
        """Return the whole body. Raises BodyRefused."""
        self.check_length(request.headers)
        try:
            async with contextlib.AsyncExitStack() as stack, asyncio.timeout(self._limits.seconds) as deadline:
                return await self._read(request, stack, deadline)
        except TimeoutError:
            raise BodyRefused(408, "too_slow") from None
        except ClientDisconnect:
            raise BodyRefused(400, "gone") from None

    async def _read(self, request: Request, stack: contextlib.AsyncExitStack, deadline: asyncio.Timeout) -> bytes:
        body, has_reader = bytearray(), False
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._limits.max_bytes:
                raise BodyRefused(413, "too_long")
            if len(body) > self._limits.free_bytes and not has_reader:
                await stack.enter_async_context(self._reader(deadline))
                has_reader = True
        return bytes(body)

    @contextlib.asynccontextmanager
    async def _reader(self, deadline: asyncio.Timeout) -> AsyncIterator[None]:
        """Hold one of the readers. `deadline` becomes earlier if other bodies wait too long for a reader."""
        if self._waiting >= self._limits.waiting:
            raise BodyRefused(503, "busy")
        self._waiting += 1
        try:
            self._hurry()
            async with asyncio.timeout(1.5 * self._limits.reader_seconds):
                await self._readers.acquire()
        except TimeoutError:
            raise BodyRefused(503, "busy") from None
        finally:
            self._waiting -= 1
        self._reading[deadline] = time.monotonic()
        try:
            self._hurry()
            yield
        finally:
            del self._reading[deadline]
            self._readers.release()

    def _hurry(self) -> None:
        """Limit the oldest bodies being read to `reader_seconds`, as many as bodies are waiting."""
        if len(self._reading) < self._limits.readers:
            return
        loop = asyncio.get_running_loop()
        for deadline, since in list(self._reading.items())[: self._waiting]:
            left = self._limits.reader_seconds - (time.monotonic() - since)
            when = loop.time() + max(0, left)
            if not deadline.expired() and when < (deadline.when() or when + 1):
                deadline.reschedule(when)
