"""Ask the same question once, however many wait for its answer."""

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class SingleFlight:
    """Runs one task for each question under way. One who stops waiting does not stop it for the others.

    A question that has been under way for `join_within` seconds is asked anew by who comes then: what little is left
    of its time would not be theirs.
    """

    def __init__(self, join_within: float = 2.0, timer: Callable[[], float] = time.monotonic) -> None:
        self._join_within = join_within
        self._timer = timer
        self._latest: dict[Hashable, tuple[asyncio.Task[Any], float]] = {}
        self._running: set[asyncio.Task[Any]] = set()

    async def ask(self, key: Hashable, question: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer of the question under way for `key`, or else of a new one. All who wait share its error, too."""
        task, begun = self._latest.get(key, (None, 0.0))
        if task is None or self._timer() - begun > self._join_within:
            task = self._begin(key, question)
        return await cast(Awaitable[T], asyncio.shield(task))

    async def cancel(self) -> None:
        """Stop every question under way; those who wait get CancelledError."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, key: Hashable, question: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        # In a context of its own: what it logs is not the doing of whoever happened to ask first.
        task = asyncio.create_task(question(), context=contextvars.Context())
        self._latest[key] = (task, self._timer())
        self._running.add(task)
        task.add_done_callback(lambda done: self._forget(key, done))
        return task

    def _forget(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        self._running.discard(done)
        if self._latest.get(key, (None, 0.0))[0] is done:
            del self._latest[key]
        if not done.cancelled():
            done.exception()  # taken note of here, for when nobody waits any more
