"""The sandbox's time: real by default, faster for a demo, standing still for a test."""

import asyncio
import time
from collections.abc import Callable

# Epoch seconds as floats are exact to about 0.2 microseconds; what is closer than this is now.
_RESOLUTION = 1e-6


class Clock:
    """Time that can be sped up, frozen and pushed forward, and that never jumps back.

    `start` is in epoch seconds (default: the real time); `speed` is sandbox seconds per real second, 0 stands still.
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
        """Epoch seconds in sandbox time."""
        return self._anchor + (self._monotonic() - self._since) * self._speed

    def monotonic(self) -> float:
        """The same, since it never jumps back."""
        return self.now()

    @property
    def speed(self) -> float:
        """Sandbox seconds per real second. Setting it changes the pace from now on, never the time."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        speed = _checked(speed, "speed")
        self._restart_from(self.now())
        self._speed = speed
        self._wake()

    def advance(self, seconds: float) -> None:
        """Let `seconds` of sandbox time pass at once, and wake who has slept long enough."""
        self._restart_from(self.now() + _checked(seconds, "seconds"))
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds` of sandbox time; changes of speed and advances on the way count."""
        await self.sleep_until(self.now() + seconds)

    async def sleep_until(self, deadline: float) -> None:
        """Sleep until a moment of sandbox time, in epoch seconds."""
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
