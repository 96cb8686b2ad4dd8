"""The concurrency limit for lookups, each of which holds connections and memory."""

import asyncio

from bot.errors import Unreachable
from bot.realtimekit.client import RESPONSE_SECONDS

MAX_CONCURRENT_LOOKUPS = 150
"""Measured: in a burst, as fast as any larger limit with 25 MB less memory; 100 is slower."""


class ConcurrencyLimit:
    """A concurrency limit: `async with` acquires a slot and holds it until the block ends.

    By default the wait for a slot is as long as for an answer: if Cloudflare hangs, no slot is free sooner.
    """

    def __init__(self, limit: int = MAX_CONCURRENT_LOOKUPS, max_wait: float = RESPONSE_SECONDS) -> None:
        self._free = asyncio.Semaphore(limit)
        self._patience = max_wait

    async def __aenter__(self) -> None:
        """Acquire a slot. Raises Unreachable if none is free in time."""
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()

    async def __aexit__(self, *error: object) -> None:
        self._free.release()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise Unreachable(detail=f"no free slot within {self._patience:g} s") from None
