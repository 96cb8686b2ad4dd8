"""Server-sent events that notify the open pages of changes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sandbox.connections import ABORT
from sandbox.page.refused import Refused

HEARTBEAT_SECONDS = 15.0
MOST_READERS = 50
MOST_WAITING = 256
LAST_WORDS_SECONDS = 0.5

_OPENED = ": open\nretry: 1000\n\n"
_HEARTBEAT = ": still here\n\n"


class Reader:
    """An open page. Changes wait in a bounded queue; a page that is too slow is cut off, and reconnects."""

    def __init__(self, person: str, cut_off: Callable[[], None], heartbeat_seconds: float) -> None:
        self.person = person
        self.gone = asyncio.Event()
        self.cut_off = cut_off
        self._heartbeat = heartbeat_seconds
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue(MOST_WAITING)

    def tell(self, text: str | None) -> None:
        """Queue an event; None ends the stream."""
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.cut_off()

    async def events(self) -> AsyncIterator[str]:
        """Yield the text to write until the stream ends, with a comment as heartbeat after a silence."""
        yield _OPENED
        while True:
            try:
                async with asyncio.timeout(self._heartbeat):
                    text = await self._waiting.get()
            except TimeoutError:
                text = _HEARTBEAT
            if text is None:
                return
            yield text


class Streams:
    """All open pages."""

    def __init__(self, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._heartbeat = heartbeat_seconds
        self._readers: set[Reader] = set()
        self._closed = False

    @property
    def open(self) -> int:
        """The number of open pages."""
        return len(self._readers)

    def publish(self, kind: str, subject: dict[str, Any], is_for: Callable[[str], bool] = lambda _: True) -> None:
        """Send a change to the open pages of the people that it concerns."""
        text = f"event: change\ndata: {json.dumps({'kind': kind, 'subject': subject})}\n\n"
        for reader in tuple(self._readers):
            if is_for(reader.person):
                reader.tell(text)

    @contextlib.contextmanager
    def reading(self, person: str, cut_off: Callable[[], None]) -> Iterator[Reader]:
        """Register a reader until the block ends."""
        reader = Reader(person, cut_off, self._heartbeat)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            reader.gone.set()

    def response(self, person: str) -> "EventStream":
        """Return a streaming response. Raises Refused 503 if too many are open or the sandbox is stopping."""
        if self._closed or len(self._readers) >= MOST_READERS:
            raise Refused(503, "Too many pages are open." if not self._closed else "The sandbox is stopping.")
        return EventStream(self, person)

    async def close(self) -> None:
        """End all streams so that the server can stop; readers that do not finish in time are cut off."""
        self._closed = True
        readers = tuple(self._readers)
        for reader in readers:
            reader.tell(None)
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await asyncio.gather(*(reader.gone.wait() for reader in readers))
        except TimeoutError:
            for reader in tuple(self._readers):
                reader.cut_off()


class EventStream(StreamingResponse):
    """A response that registers a reader while it is being sent; the reader gets all changes after the first byte."""

    def __init__(self, streams: Streams, person: str) -> None:
        super().__init__(iter(()), media_type="text/event-stream", headers={"cache-control": "no-store"})
        self._streams = streams
        self._person = person

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.reading(self._person, scope[ABORT]) as reader:
            self.body_iterator = reader.events()
            await super().__call__(scope, receive, send)
