"""How fast one person may use the bot."""

import pytest

from bot.errors import TooFast
from bot.slack.user_rate_limit import AT_ONCE, SECONDS_EACH, PersonalLimit


def taken(limit: PersonalLimit, user: str, times: int) -> int:
    """How many of so many attempts are accepted."""
    accepted = 0
    for _ in range(times):
        try:
            limit.take(user)
        except TooFast:
            continue
        accepted += 1
    return accepted


def test_many_at_once_and_then_one_at_a_time() -> None:
    """What was refused is not counted: whoever waits as long as the sentence says is served."""
    now = 1000.0
    limit = PersonalLimit(lambda: now)
    assert taken(limit, "U1", 10 * AT_ONCE) == AT_ONCE
    with pytest.raises(TooFast) as refused:
        limit.take("U1")
    now += refused.value.retry_after
    assert taken(limit, "U1", 10) == 1
    now += 60

    assert taken(limit, "U1", 100) == min(AT_ONCE, 60 / SECONDS_EACH)


def test_one_person_does_not_slow_another() -> None:
    limit = PersonalLimit(lambda: 1000.0)
    assert taken(limit, "U1", 100) == AT_ONCE

    assert taken(limit, "U2", 100) == AT_ONCE


def test_only_so_many_people_are_kept() -> None:
    limit = PersonalLimit(lambda: 1000.0)
    for number in range(20_000):
        limit.take(f"U{number}")

    assert len(limit._full_at) == 10_000
