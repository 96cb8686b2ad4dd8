"""Deduplication of concurrent identical requests."""

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class SingleFlight:
    """Runs one task per key and shares it between callers. A caller that is cancelled does not cancel it for others.

    Callers join a request younger than `join_within` seconds; later callers start a new one, to get a full deadline.
    """

    def __init__(self, join_within: float = 2.0, timer: Callable[[], float] = time.monotonic) -> None:
        self._join_within = join_within
        self._timer = timer
        self._latest: dict[Hashable, tuple[asyncio.Task[Any], float]] = {}
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, key: Hashable, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the request in flight for `key`, or of a new one. All callers share its error, too."""
        task, started_at = self._latest.get(key, (None, 0.0))
        if task is None or self._timer() - started_at > self._join_within:
            task = self._start(key, request)
        return await cast(Awaitable[T], asyncio.shield(task))

    async def cancel(self) -> None:
        """Cancel every request in flight; its callers get CancelledError."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: Hashable, request: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        # In an empty context, so that its log lines do not carry the first caller's.
        task = asyncio.create_task(request(), context=contextvars.Context())
        self._latest[key] = (task, self._timer())
        self._running.add(task)
        task.add_done_callback(lambda done: self._forget(key, done))
        return task

    def _forget(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        self._running.discard(done)
        if self._latest.get(key, (None, 0.0))[0] is done:
            del self._latest[key]
        if not done.cancelled():
            done.exception()  # marks it as retrieved, in case no caller is waiting
