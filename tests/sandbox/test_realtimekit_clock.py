"""The sandbox's clock: real, fast, frozen and pushed, but never backwards."""

import asyncio

import pytest

from sandbox.clock import Clock


class Monotonic:
    """Real time, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def real() -> Monotonic:
    return Monotonic()


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_time_passes_at_the_clocks_speed(real: Monotonic) -> None:
    """At speed 10 a real second is ten of the sandbox."""
    clock = Clock(start=1000, speed=10, monotonic=real)

    real.seconds += 3

    assert clock.now() == 1030


def test_a_change_of_speed_moves_no_time(real: Monotonic) -> None:
    """A new speed counts from now on; what has passed stays."""
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
    """Advancing adds to what passes by itself."""
    clock = Clock(start=1000, monotonic=real)

    clock.advance(60)
    real.seconds += 1

    assert clock.now() == 1061


@pytest.mark.parametrize("bad", [-1, float("inf"), float("nan")])
def test_time_never_goes_backwards_or_away(real: Monotonic, bad: float) -> None:
    """Negative, endless and meaningless numbers are refused, and change nothing."""
    clock = Clock(start=1000, monotonic=real)

    with pytest.raises(ValueError, match="seconds"):
        clock.advance(bad)
    with pytest.raises(ValueError, match="speed"):
        clock.speed = bad

    assert (clock.now(), clock.speed) == (1000, 1)


async def test_a_sleeper_wakes_when_time_is_advanced_far_enough() -> None:
    """A frozen clock's sleeper sleeps through a short advance and wakes at the whole one."""
    clock = Clock(speed=0)
    sleeper = asyncio.create_task(clock.sleep(60))
    await settle()

    clock.advance(59)
    await settle()
    too_early = sleeper.done()
    clock.advance(1)

    await asyncio.wait_for(sleeper, 5)
    assert not too_early


async def test_a_sleeper_notices_that_the_clock_was_sped_up() -> None:
    """An hour that has begun is over soon at a speed of a million."""
    clock = Clock()
    sleeper = asyncio.create_task(clock.sleep(3600))
    await settle()

    clock.speed = 1_000_000

    await asyncio.wait_for(sleeper, 5)


async def test_a_sleeper_that_is_cancelled_leaves_nothing_behind() -> None:
    """A cancelled sleep is forgotten by the clock."""
    clock = Clock(speed=0)
    sleeper = asyncio.create_task(clock.sleep(60))
    await settle()

    sleeper.cancel()
    await asyncio.gather(sleeper, return_exceptions=True)

    clock.advance(60)
    assert sleeper.cancelled()


async def test_no_time_is_slept_at_once() -> None:
    """Sleeping for nothing, or less, returns even when time stands still."""
    clock = Clock(speed=0)

    await asyncio.wait_for(clock.sleep(0), 5)
    await asyncio.wait_for(clock.sleep(-1), 5)
