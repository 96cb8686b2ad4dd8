"""Waiting for something to happen in the sandbox, driven by its events instead of polling."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sandbox.slack.events import Event, Events

T = TypeVar("T")


async def first(events: Events, find: Callable[[], T | None], seconds: float) -> T:
    """Return the first result of `find` other than None, now or after an event.

    Raises TimeoutError after `seconds` of real time.
    """
    found = find()
    if found is not None:
        return found
    waiting: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def look(_: Event) -> None:
        result = None if waiting.done() else find()
        if result is not None:
            waiting.set_result(result)

    unsubscribe = events.subscribe(look)
    try:
        async with asyncio.timeout(seconds):
            return await waiting
    finally:
        unsubscribe()
