"""Ask the same question once, however many wait for its answer."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class SingleFlight:
    """Runs one task for each question under way. One who stops waiting does not stop it for the others."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    async def ask(self, key: Hashable, question: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer of the question under way for `key`, or else of a new one. All who wait share its error, too."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(question())
            self._running[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await cast(Awaitable[T], asyncio.shield(task))

    async def cancel(self) -> None:
        """Stop every question under way; those who wait get CancelledError."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # taken note of here, for when nobody waits any more
