"""Turns: how many lookups there are at once, and how long one waits for a turn."""

import asyncio

import pytest

from bot.errors import Unreachable
from bot.realtimekit.lookup import ConcurrencyLimit


async def test_no_more_at_once() -> None:
    """Who comes when all turns are taken waits until one is given back, and all are served."""
    turns, most, now, served = ConcurrencyLimit(limit=2), 0, 0, 0

    async def look_up() -> None:
        nonlocal most, now, served
        async with turns:
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            now -= 1
            served += 1

    await asyncio.gather(*(look_up() for _ in range(7)))

    assert (most, served) == (2, 7)


async def test_no_turn_in_time() -> None:
    """Nobody waits for ever behind lookups that hang."""
    turns = ConcurrencyLimit(limit=1, max_wait=0.01)

    async with turns:
        with pytest.raises(Unreachable, match="no free slot"):
            async with turns:
                pass


async def test_given_back_after_an_error() -> None:
    """A lookup that fails gives its turn back, and so does one that was given up while it waited."""
    turns = ConcurrencyLimit(limit=1, max_wait=0.01)
    with pytest.raises(ZeroDivisionError):
        async with turns:
            raise ZeroDivisionError

    async with turns:
        with pytest.raises(Unreachable):
            await turns.__aenter__()
    async with turns:
        pass
