"""Read request bodies within bounds, so that unsigned ones take little memory and keep no signed one waiting."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

MAX_BODY_BYTES = 256 * 1024
"""Slack's and RealtimeKit's own requests have a few kilobytes."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What one body may take, and what all of them may take together."""

    max_bytes: int = MAX_BODY_BYTES
    seconds: float = 5.0
    """How long one body may take to arrive."""
    free_bytes: int = 16 * 1024
    """The beginning of a body that needs no reader. Nearly every genuine request ends within it, so it is served even
    when all readers are busy with others."""
    readers: int = 32
    """How many longer bodies are read at a time."""
    waiting: int = 64
    """How many more wait for a reader."""
    reader_seconds: float = 1.0
    """How long a body keeps its reader while others wait. A proxy sends a body at once, a slow client does not."""


class BodyRefused(Exception):
    """A request whose body was not read to its end: the HTTP status to answer with, and the reason as a code."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return {"Retry-After": "1"} if self.status == 503 else {}


REFUSALS = ("too_long", "too_slow", "gone", "busy")
"""Every `reason` of BodyRefused."""


class BodyReader:
    """Reads the bodies of all requests of one server."""

    def __init__(self, limits: BodyLimits | None = None) -> None:
        self._limits = limits or BodyLimits()
        self._readers = asyncio.Semaphore(self._limits.readers)
        self._reading: dict[asyncio.Timeout, float] = {}
        self._waiting = 0

    def check_length(self, headers: Mapping[str, str]) -> None:
        """Raise BodyRefused where the declared length is over the limit. Do so before anything is read."""
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
        """Hold one of the readers; `deadline` is moved forward when others wait too long for it."""
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
        """Give those that have read for longest no more than `reader_seconds`, one for each that waits."""
        if len(self._reading) < self._limits.readers:
            return
        loop = asyncio.get_running_loop()
        for deadline, since in list(self._reading.items())[: self._waiting]:
            left = self._limits.reader_seconds - (time.monotonic() - since)
            when = loop.time() + max(0, left)
            if not deadline.expired() and when < (deadline.when() or when + 1):
                deadline.reschedule(when)
