"""Waits for something to happen in the sandbox, driven by its events: nothing is polled."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from bot.sandbox.slack.events import Event, Events

T = TypeVar("T")


async def first(events: Events, find: Callable[[], T | None], seconds: float) -> T:
    """What `find` finds, now or after one of the next events. `seconds` are real ones; raises TimeoutError."""
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
