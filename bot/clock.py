"""Time, as whoever waits or dates something gets it: the real one, or another one in tests."""

import asyncio
import sys
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

T = TypeVar("T")
_A_MOMENT = 0.5
"""Real seconds, in which an answer that has arrived already is read."""


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> float:
        """Epoch seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment. It never jumps, and goes on while the process or the machine is stopped."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so long."""
        ...


class WallClock:
    """The time of this machine."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment, those included in which the process or the machine was stopped."""
        return monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for so long."""
        await asyncio.sleep(seconds)


def monotonic() -> float:
    """Return this machine's monotonic time. Linux's usual one does not count the seconds of a suspended machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


async def within(clock: Clock, seconds: float, work: Awaitable[T]) -> T:
    """Return the result of the work if it comes within so many seconds by the clock. Raises TimeoutError, and cancels
    the work, where it does not.

    A process that was stopped finds that its time is over and, a moment later, that what it waited for is there.
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
    """What the clock says, in UTC."""
    return datetime.fromtimestamp(clock.now(), UTC)


async def wait(event: asyncio.Event, seconds: float, clock: Clock) -> None:
    """Until the event is set, at most for so long by the clock; the event is then clear again."""
    waking, sleeping = asyncio.ensure_future(event.wait()), asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({waking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waking.cancel()
        sleeping.cancel()
    event.clear()
