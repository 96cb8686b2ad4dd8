"""Time, as whoever waits or dates something gets it: the real one, or another one in tests."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets it pass."""

    def now(self) -> float:
        """Epoch seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so long."""
        ...


class WallClock:
    """The time of this machine."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for so long."""
        await asyncio.sleep(seconds)


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
