"""Clocks: the real one, and the protocol that tests replace."""

import asyncio
import sys
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

T = TypeVar("T")
_A_MOMENT = 0.5
"""Real seconds to read an answer that has already arrived."""


class Clock(Protocol):
    """A source of time that can also wait."""

    def now(self) -> float:
        """Return the time in epoch seconds."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary moment, without jumps, also while the process or machine is stopped."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...


class WallClock:
    """This machine's clock."""

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary moment, including those while the process or machine was stopped."""
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        await asyncio.sleep(seconds)


def monotonic() -> float:
    """Return this machine's monotonic time. Linux's usual monotonic clock stops while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


async def within(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    """Return the work's result if it arrives within `seconds` by the clock; otherwise cancel it and raise TimeoutError.

    After a pause of the process the timer may end just before a result that has already arrived is read, so the work
    gets another moment.
    """
    task, timer = asyncio.ensure_future(work), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=_A_MOMENT)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        timer.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def utc(clock: Clock) -> datetime:
    """Return the clock's time in UTC."""
    return datetime.fromtimestamp(clock.now(), UTC)


async def wait(event: asyncio.Event, seconds: float, clock: Clock) -> None:
    """Wait until the event is set, for at most `seconds` by the clock; then clear the event."""
    waking, sleeping = asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({waking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waking.cancel()
        sleeping.cancel()
    event.clear()
