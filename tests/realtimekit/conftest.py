"""A seeded Cloudflare, a clock that tests set, and retries without delays."""

from collections.abc import Iterator

import pytest
import stamina

from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit as Cloudflare


class Timer:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture(autouse=True)
def _no_delay_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def cloudflare(clock: Clock) -> Cloudflare:
    cloudflare = Cloudflare(clock)
    cloudflare.seed()
    return cloudflare
