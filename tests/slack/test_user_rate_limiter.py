"""How fast one person may use the bot."""

import pytest

from bot.errors import TooFast
from bot.slack.rate_limiter import USER_BURST, USER_SECONDS_PER_REQUEST, UserRateLimiter


def taken(limit: UserRateLimiter, user: str, times: int) -> int:
    """How many of so many attempts are accepted."""
    accepted = 0
    for _ in range(times):
        try:
            limit.acquire(user)
        except TooFast:
            continue
        accepted += 1
    return accepted


def test_many_at_once_and_then_one_at_a_time() -> None:
    """A refused request is not counted: after the wait in the message, the next one is accepted."""
    now = 1000.0
    limit = UserRateLimiter(lambda: now)
    assert taken(limit, "U1", 10 * USER_BURST) == USER_BURST
    with pytest.raises(TooFast) as refused:
        limit.acquire("U1")
    now += refused.value.retry_after
    assert taken(limit, "U1", 10) == 1
    now += 60

    assert taken(limit, "U1", 100) == min(USER_BURST, 60 / USER_SECONDS_PER_REQUEST)


def test_one_person_does_not_slow_another() -> None:
    limit = UserRateLimiter(lambda: 1000.0)
    assert taken(limit, "U1", 100) == USER_BURST

    assert taken(limit, "U2", 100) == USER_BURST


def test_cache_of_people_is_limited() -> None:
    limit = UserRateLimiter(lambda: 1000.0)
    for number in range(20_000):
        limit.acquire(f"U{number}")

    assert len(limit._full_at) == 10_000
