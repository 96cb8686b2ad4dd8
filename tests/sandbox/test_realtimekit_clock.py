"""The sandbox's clock: real time, fast, stopped or advanced, but never backwards."""

import asyncio

import pytest

from sandbox.clock import Clock


class Monotonic:
    """Real time that a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def real() -> Monotonic:
    return Monotonic()


async def settle() -> None:
    """Let every task run that can run now."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_time_passes_at_the_clocks_speed(real: Monotonic) -> None:
    clock = Clock(start=1000, speed=10, monotonic=real)

    real.seconds += 3

    assert clock.now() == 1030


def test_change_of_speed_keeps_the_current_time(real: Monotonic) -> None:
    clock = Clock(start=1000, monotonic=real)
    real.seconds += 5

    clock.speed = 100
    at_the_change = clock.now()
    real.seconds += 1
    clock.speed = 0
    real.seconds += 50

    assert at_the_change == 1005
    assert clock.now() == 1105
    assert clock.speed == 0


def test_time_can_be_advanced(real: Monotonic) -> None:
    clock = Clock(start=1000, monotonic=real)

    clock.advance(60)
    real.seconds += 1

    assert clock.now() == 1061


@pytest.mark.parametrize("bad", [-1, float("inf"), float("nan")])
def test_invalid_seconds_and_speeds_are_rejected(real: Monotonic, bad: float) -> None:
    clock = Clock(start=1000, monotonic=real)

    with pytest.raises(ValueError, match="seconds"):
        clock.advance(bad)
    with pytest.raises(ValueError, match="speed"):
        clock.speed = bad

    assert (clock.now(), clock.speed) == (1000, 1)


async def test_sleep_ends_when_time_is_advanced_far_enough() -> None:
    clock = Clock(speed=0)
    sleeper = asyncio.create_task(clock.sleep(60))
    await settle()

    clock.advance(59)
    await settle()
    too_early = sleeper.done()
    clock.advance(1)

    await asyncio.wait_for(sleeper, 5)
    assert not too_early


async def test_sleep_ends_earlier_when_the_clock_is_sped_up() -> None:
    clock = Clock()
    sleeper = asyncio.create_task(clock.sleep(3600))
    await settle()

    clock.speed = 1_000_000

    await asyncio.wait_for(sleeper, 5)


async def test_sleep_can_be_cancelled() -> None:
    clock = Clock(speed=0)
    sleeper = asyncio.create_task(clock.sleep(60))
    await settle()

    sleeper.cancel()
    await asyncio.gather(sleeper, return_exceptions=True)

    clock.advance(60)
    assert sleeper.cancelled()


async def test_sleep_of_zero_or_less_returns_at_once() -> None:
    clock = Clock(speed=0)

    await asyncio.wait_for(clock.sleep(0), 5)
    await asyncio.wait_for(clock.sleep(-1), 5)
