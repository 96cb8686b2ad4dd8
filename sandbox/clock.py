"""The sandbox's clock: real time by default, faster for a demo, frozen for a test."""

import asyncio
import time
from collections.abc import Callable

# Epoch seconds as floats are exact to about 0.2 microseconds; shorter waits count as over.
_RESOLUTION = 1e-6


class Clock:
    """A clock that can be sped up, frozen and advanced, and that never goes back.

    `start` is in epoch seconds (default: now); `speed` is sandbox seconds per real second, where 0 freezes the clock.
    """

    def __init__(
        self, start: float | None = None, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._since = monotonic()
        self._anchor = time.time() if start is None else start
        self._speed = _checked(speed, "speed")
        self._sleepers: set[asyncio.Event] = set()

    def now(self) -> float:
        """Return the sandbox time in epoch seconds."""
        return self._anchor + (self._monotonic() - self._since) * self._speed

    def monotonic(self) -> float:
        """Return the same as `now`, which never goes back."""
        return self.now()

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second. Setting it changes the future pace, not the current time."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        speed = _checked(speed, "speed")
        self._restart_from(self.now())
        self._speed = speed
        self._wake()

    def advance(self, seconds: float) -> None:
        """Advance the sandbox time by `seconds` at once, and wake the sleepers that are due."""
        self._restart_from(self.now() + _checked(seconds, "seconds"))
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` of sandbox time, following changes of speed and advances."""
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, deadline: float) -> None:
        """Sleep until a sandbox time in epoch seconds."""
        changed = asyncio.Event()
        self._sleepers.add(changed)
        try:
            await asyncio.sleep(0)
            while (left := deadline - self.now()) > _RESOLUTION:
                await self._wait(changed, left)
        finally:
            self._sleepers.discard(changed)

    async def _wait(self, changed: asyncio.Event, seconds: float) -> None:
        changed.clear()
        try:
            async with asyncio.timeout(seconds / self._speed if self._speed else None):
                await changed.wait()
        except TimeoutError:
            return

    def _restart_from(self, moment: float) -> None:
        self._anchor, self._since = moment, self._monotonic()

    def _wake(self) -> None:
        for sleeper in self._sleepers:
            sleeper.set()


def _checked(value: float, name: str) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a finite number of at least 0")
    return value
