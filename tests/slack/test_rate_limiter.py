"""How fast the bot writes to Slack, and how fast one person may use the bot."""

from collections.abc import Callable

import pytest

from bot.errors import TooFast
from bot.slack import rate_limiter
from bot.slack.rate_limiter import USER_BURST, USER_SECONDS_PER_REQUEST, Rate, SlackRateLimiter, UserRateLimiter

FAST = Rate(per_second=1_000, burst=1_000)


class Clock:
    """Stands still, and can be set back."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> SlackRateLimiter:
    return SlackRateLimiter(clock)


def count(take: Callable[[], float]) -> int:
    """Return how many tokens there are now."""
    tokens = 0
    while take() == 0:
        tokens += 1
    return tokens


def post_everywhere(limiter: SlackRateLimiter, **spare: bool) -> int:
    """Return how many channels can get a post now."""
    channels = iter(range(1_000))
    return count(lambda: limiter.acquire_post(f"C{next(channels)}", **spare))


def test_channel_allows_three_posts_and_then_one_a_second(clock: Clock, limiter: SlackRateLimiter) -> None:
    """Each channel has its own token bucket."""
    assert count(lambda: limiter.acquire_post("C1")) == 3
    assert limiter.acquire_post("C1") == pytest.approx(1)
    assert count(lambda: limiter.acquire_post("C2")) == 3
    clock.time += 1
    assert count(lambda: limiter.acquire_post("C1")) == 1
    clock.time += 3600
    assert count(lambda: limiter.acquire_post("C1")) == 3


def test_workspace_allows_fifty_posts_and_then_five_a_second(clock: Clock, limiter: SlackRateLimiter) -> None:
    assert post_everywhere(limiter) == 50
    clock.time += 1
    assert post_everywhere(limiter) == 5


def test_workspace_allows_forty_edits_and_then_fifty_a_minute(clock: Clock, limiter: SlackRateLimiter) -> None:
    """Posts have another token bucket."""
    assert count(limiter.acquire_edit) == 40
    assert limiter.acquire_post("C1") == 0
    clock.time += 60
    assert count(limiter.acquire_edit) == 40
    clock.time += 6
    assert count(limiter.acquire_edit) == 5


def test_what_people_cause_leaves_half_of_each_bucket(clock: Clock, limiter: SlackRateLimiter) -> None:
    assert count(lambda: limiter.acquire_edit(spare=True)) == 20
    assert count(limiter.acquire_edit) == 20
    assert post_everywhere(limiter, spare=True) == 25
    assert post_everywhere(limiter) == 25
    clock.time += limiter.acquire_edit(spare=True)
    assert count(lambda: limiter.acquire_edit(spare=True)) == 1


def test_waiting_uses_up_no_token(clock: Clock) -> None:
    limiter = SlackRateLimiter(clock, posts=Rate(per_second=1, burst=1))
    assert limiter.acquire_post("C1") == 0
    for _ in range(10):
        assert limiter.acquire_post("C2") > 0

    clock.time += 1

    assert limiter.acquire_post("C2") == 0
    assert limiter.acquire_post("C3") > 0


def test_channel_that_has_just_posted_waits_alone(clock: Clock, limiter: SlackRateLimiter) -> None:
    limiter.acquire_post("C1")
    limiter.acquire_post("C1")

    limiter.on_post_limited("C1", 600)

    assert limiter.acquire_post("C1") == pytest.approx(600)
    assert limiter.acquire_post("C2") == 0
    assert limiter.acquire_edit() == 0
    clock.time += 600
    assert limiter.acquire_post("C1") == 0


def limit(limiter: SlackRateLimiter, kind: str, channel: str = "C1", seconds: float = 30) -> None:
    getattr(limiter, f"on_{kind}_limited")(channel=channel, seconds=seconds)


def acquire(limiter: SlackRateLimiter, kind: str, channel: str = "C2") -> float:
    wait: float = getattr(limiter, f"acquire_{kind}")(channel)
    return wait


BOTH_KINDS = pytest.mark.parametrize("kind", ["edit", "post"])


@pytest.mark.parametrize(("kind", "posts_before"), [("post", 0), ("post", 1), ("edit", 0)])
def test_silent_channel_holds_the_others_for_half_a_minute_at_most(
    clock: Clock, limiter: SlackRateLimiter, kind: str, posts_before: int
) -> None:
    """Then the workspace is too fast, not the channel. The channel itself waits as long as Slack asks."""
    for _ in range(posts_before):
        limiter.acquire_post("C1")
    clock.time += 11
    acquire(limiter, kind, "C1")

    limit(limiter, kind, seconds=600)

    assert acquire(limiter, kind) == pytest.approx(30)
    clock.time += 30
    assert acquire(limiter, kind) == 0
    assert acquire(limiter, kind, "C1") == pytest.approx(570)


@BOTH_KINDS
def test_channel_that_is_limited_again_and_again_holds_the_others_once(
    clock: Clock, limiter: SlackRateLimiter, kind: str
) -> None:
    """Otherwise every retry there would hold all other channels for another half minute."""
    limit(limiter, kind)
    assert acquire(limiter, kind) == pytest.approx(30)

    for _ in range(9):
        clock.time += 30
        assert acquire(limiter, kind) == 0
        limit(limiter, kind)
        assert acquire(limiter, kind) == 0

    clock.time += 30
    limit(limiter, kind)
    assert acquire(limiter, kind) == pytest.approx(30)


@BOTH_KINDS
@pytest.mark.parametrize("channel", ["C1", "C3"])
def test_channel_holds_the_others_again_after_a_success_and_another_channel_does_at_once(
    clock: Clock, limiter: SlackRateLimiter, kind: str, channel: str
) -> None:
    """After a success the rate limit is a new one. If many channels are limited, the workspace is too fast."""
    limit(limiter, kind)
    clock.time += 30

    if channel == "C1":
        getattr(limiter, f"{kind}_accepted")("C1")
    limit(limiter, kind, channel)

    assert acquire(limiter, kind) == pytest.approx(30)


def test_limited_edits_hold_no_posts(limiter: SlackRateLimiter) -> None:
    limiter.on_edit_limited(30)

    assert limiter.acquire_edit() == pytest.approx(30)
    assert limiter.acquire_post("C1") == 0


def test_clock_that_is_set_back_delays_nothing(clock: Clock) -> None:
    limiter = SlackRateLimiter(clock, per_channel=Rate(per_second=1, burst=2))
    count(lambda: limiter.acquire_post("C1"))
    limiter.on_edit_limited(30)

    clock.time -= 3600

    assert limiter.acquire_post("C1") <= 1
    assert limiter.acquire_edit() == pytest.approx(30)
    clock.time += 1
    assert limiter.acquire_post("C1") == 0
    assert limiter.acquire_post("C1") == pytest.approx(1)


def test_channels_silent_for_longest_are_dropped(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limiter, "MAX_CHANNELS", 2)
    paced = SlackRateLimiter(clock, per_channel=Rate(per_second=1, burst=1), posts=FAST)
    for channel in ("C1", "C2", "C1", "C3"):
        paced.acquire_post(channel)

    assert paced.acquire_post("C1") > 0
    assert paced.acquire_post("C2") == 0


def accepted(limit: UserRateLimiter, user: str, times: int) -> int:
    """Return how many of these attempts are accepted."""
    refused = 0
    for _ in range(times):
        try:
            limit.acquire(user)
        except TooFast:
            refused += 1
    return times - refused


def test_person_may_send_many_requests_at_once_and_then_one_at_a_time() -> None:
    """A refused request is not counted: after the wait in the message, the next one is accepted."""
    now = 1000.0
    limit = UserRateLimiter(lambda: now)
    assert accepted(limit, "U1", 10 * USER_BURST) == USER_BURST
    assert accepted(limit, "U2", 100) == USER_BURST
    with pytest.raises(TooFast) as refused:
        limit.acquire("U1")
    now += refused.value.retry_after
    assert accepted(limit, "U1", 10) == 1
    now += 60

    assert accepted(limit, "U1", 100) == min(USER_BURST, 60 / USER_SECONDS_PER_REQUEST)


def test_cache_of_people_is_limited() -> None:
    limit = UserRateLimiter(lambda: 1000.0)
    for number in range(20_000):
        limit.acquire(f"U{number}")

    assert len(limit._full_at) == 10_000
