"""ConcurrencyLimit: how many lookups run at a time, and how long one waits for a slot."""

import asyncio

import pytest

from bot.errors import Unreachable
from bot.realtimekit.lookup import ConcurrencyLimit


async def test_lookups_above_the_limit_wait_and_are_all_served() -> None:
    limit, peak, running, served = ConcurrencyLimit(limit=2), 0, 0, 0

    async def look_up() -> None:
        nonlocal peak, running, served
        async with limit:
            running += 1
            peak = max(peak, running)
            await asyncio.sleep(0)
            running -= 1
            served += 1

    await asyncio.gather(*(look_up() for _ in range(7)))

    assert (peak, served) == (2, 7)


async def test_waiting_for_a_slot_times_out() -> None:
    limit = ConcurrencyLimit(limit=1, max_wait=0.01)

    async with limit:
        with pytest.raises(Unreachable, match="no free slot"):
            async with limit:
                pass


async def test_slot_is_released_after_an_error_and_after_a_timeout() -> None:
    limit = ConcurrencyLimit(limit=1, max_wait=0.01)
    with pytest.raises(ZeroDivisionError):
        async with limit:
            raise ZeroDivisionError

    async with limit:
        with pytest.raises(Unreachable):
            await limit.__aenter__()
    async with limit:
        pass
