"""RateLimitState: what Cloudflare's responses say about its rate limit."""

import pytest

from bot.realtimekit.rate_limit import RateLimitState
from tests.realtimekit.conftest import Timer


@pytest.fixture
def rate_limit(timer: Timer) -> RateLimitState:
    return RateLimitState(timer)


def test_requests_are_accepted_without_headers(rate_limit: RateLimitState) -> None:
    rate_limit.update(200, {})

    assert (rate_limit.retry_after(), rate_limit.blocked_for()) == (0, 0)


def test_429_blocks_requests_until_retry_after(rate_limit: RateLimitState, timer: Timer) -> None:
    rate_limit.update(429, {"retry-after": "30"})
    timer.now += 10
    before = [rate_limit.retry_after(), rate_limit.blocked_for()]
    timer.now += 20
    after = [rate_limit.retry_after(), rate_limit.blocked_for()]

    assert (before, after) == ([20, 20], [0, 0])


def test_the_longest_cooldown_counts(rate_limit: RateLimitState) -> None:
    rate_limit.update(429, {"retry-after": "300"})
    rate_limit.update(429, {"retry-after": "5"})

    assert rate_limit.retry_after() == 300


def test_a_later_success_does_not_end_a_cooldown(rate_limit: RateLimitState) -> None:
    """It may answer a request that was sent before the 429."""
    rate_limit.update(429, {"retry-after": "300"})
    rate_limit.update(200, {"ratelimit": '"default";r=50;t=30'})

    assert rate_limit.retry_after() == 300


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ('"default";r=50;t=30', 0),
        ('"default";r=0;t=30', 30),
        ('"default"; r=0; t=30', 30),
        ('"burst";r=0;t=5, "default";r=0;t=200', 200),
        ('"burst";r=0;t=5, "default";r=7;t=200', 5),
        ('"default";r=0;t=99999999', 300),
        ('"default";r=0', 0),
        ('"default";t=30', 0),
        ('"default";r=-1;t=30', 0),
        ('"default";r=0;t=soon', 0),
        ('"default";r=0;t=\N{SUPERSCRIPT TWO}', 0),
        ("limit=100, remaining=0, reset=30", 0),
        (";;,=;r", 0),
        ("", 0),
    ],
)
def test_exhausted_limit_delays_until_its_refill(rate_limit: RateLimitState, header: str, seconds: float) -> None:
    rate_limit.update(200, {"ratelimit": header})

    assert rate_limit.retry_after() == seconds
    assert rate_limit.blocked_for() == 0


def test_refilled_limit_ends_the_delay(rate_limit: RateLimitState) -> None:
    rate_limit.update(200, {"ratelimit": '"default";r=0;t=200'})
    rate_limit.update(200, {"ratelimit": '"default";r=1200;t=300'})

    assert rate_limit.retry_after() == 0


def test_clock_set_back_ends_the_cooldown(rate_limit: RateLimitState, timer: Timer) -> None:
    rate_limit.update(429, {"retry-after": "30"})
    timer.now -= 3600

    assert rate_limit.retry_after() == 0
