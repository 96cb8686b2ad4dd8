"""So many lookups at once, and no more: each holds connections, and the memory that goes with them."""

import asyncio

from bot.errors import Unreachable
from bot.realtimekit.client import ANSWER_SECONDS

AT_ONCE = 150
"""Measured: in a burst as fast as any larger number, with 25 MB less; 100 are slower."""


class Turns:
    """`async with` it waits for a turn and has it until the block ends.

    Who comes when all are taken waits as long as for an answer: a Cloudflare that hangs gives none back any sooner.
    """

    def __init__(self, at_once: int = AT_ONCE, patience: float = ANSWER_SECONDS) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._patience = patience

    async def __aenter__(self) -> None:
        """Raises Unreachable when no turn is free in time."""
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
            raise Unreachable(detail=f"no turn within {self._patience:g} s") from None
