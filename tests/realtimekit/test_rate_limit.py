"""What Cloudflare says about how much it still takes."""

import pytest

from bot.realtimekit.rate_limit import RateLimitState


class Timer:
    """Seconds, as a test sets them."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def quota(timer: Timer) -> RateLimitState:
    return RateLimitState(timer)


def test_nothing_was_said(quota: RateLimitState) -> None:
    """Who was told nothing need not wait."""
    quota.update(200, {})

    assert (quota.retry_after(), quota.blocked_for()) == (0, 0)


def test_refused(quota: RateLimitState, timer: Timer) -> None:
    """A 429 counts for as long as it says, and not longer."""
    quota.update(429, {"retry-after": "30"})
    timer.now += 10
    before = [quota.retry_after(), quota.blocked_for()]
    timer.now += 20
    after = [quota.retry_after(), quota.blocked_for()]

    assert (before, after) == ([20, 20], [0, 0])


def test_refused_without_a_word(quota: RateLimitState) -> None:
    """A 429 that does not say for how long counts for a minute."""
    quota.update(429, {})

    assert quota.retry_after() == 60


def test_the_longest_refusal_counts(quota: RateLimitState) -> None:
    """A shorter wait, asked for by an answer that was slow to come, does not shorten a longer one."""
    quota.update(429, {"retry-after": "300"})
    quota.update(429, {"retry-after": "5"})

    assert quota.retry_after() == 300


def test_an_answer_ends_no_refusal(quota: RateLimitState) -> None:
    """The answer to a question from before the refusal does not end it."""
    quota.update(429, {"retry-after": "300"})
    quota.update(200, {"ratelimit": '"default";r=50;t=30'})

    assert quota.retry_after() == 300


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
def test_what_is_left(quota: RateLimitState, header: str, seconds: float) -> None:
    """Who has used up a limit waits until it is filled again; a header in another form says nothing."""
    quota.update(200, {"ratelimit": header})

    assert quota.retry_after() == seconds
    assert quota.blocked_for() == 0


def test_filled_again(quota: RateLimitState) -> None:
    """The next answer may say that there is something left after all."""
    quota.update(200, {"ratelimit": '"default";r=0;t=200'})
    quota.update(200, {"ratelimit": '"default";r=1200;t=300'})

    assert quota.retry_after() == 0


def test_the_clock_is_set_back(quota: RateLimitState, timer: Timer) -> None:
    """A clock that is set back does not make anybody wait longer than was asked."""
    quota.update(429, {"retry-after": "30"})
    timer.now -= 3600

    assert quota.retry_after() == 0
