"""Each channel gets at most one message a second, a workspace no more than Slack allows, and Retry-After is obeyed."""

from collections.abc import Callable

import pytest

from bot.slack import rate_limiter
from bot.slack.rate_limiter import Rate, SlackRateLimiter

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


def count(take: Callable[[], float]) -> int:
    """How many turns there are now."""
    turns = 0
    while take() == 0:
        turns += 1
    return turns


def test_channel_allows_three_posts_and_then_one_a_second(clock: Clock) -> None:
    """Each channel has its own token bucket."""
    limiter = SlackRateLimiter(clock)

    assert count(lambda: limiter.acquire_post("C1")) == 3
    assert limiter.acquire_post("C1") == pytest.approx(1)
    assert count(lambda: limiter.acquire_post("C2")) == 3
    clock.time += 1
    assert count(lambda: limiter.acquire_post("C1")) == 1
    clock.time += 3600
    assert count(lambda: limiter.acquire_post("C1")) == 3


def test_workspace_allows_fifty_posts_and_then_five_a_second(clock: Clock) -> None:
    limiter = SlackRateLimiter(clock)
    channels = iter(range(1_000))

    assert count(lambda: limiter.acquire_post(f"C{next(channels)}")) == 50
    clock.time += 1
    assert count(lambda: limiter.acquire_post(f"C{next(channels)}")) == 5


def test_workspace_allows_forty_edits_and_then_fifty_a_minute(clock: Clock) -> None:
    """Posts have another token bucket."""
    limiter = SlackRateLimiter(clock)

    assert count(limiter.acquire_edit) == 40
    assert limiter.acquire_post("C1") == 0
    clock.time += 60
    assert count(limiter.acquire_edit) == 40
    clock.time += 6
    assert count(limiter.acquire_edit) == 5


def test_what_people_cause_leaves_half_of_each_bucket(clock: Clock) -> None:
    limiter = SlackRateLimiter(clock)
    channels = iter(range(1_000))

    assert count(lambda: limiter.acquire_edit(spare=True)) == 20
    assert count(limiter.acquire_edit) == 20
    assert count(lambda: limiter.acquire_post(f"C{next(channels)}", spare=True)) == 25
    assert count(lambda: limiter.acquire_post(f"C{next(channels)}")) == 25
    clock.time += limiter.acquire_edit(spare=True)
    assert count(lambda: limiter.acquire_edit(spare=True)) == 1


def test_a_turn_that_is_not_taken(clock: Clock) -> None:
    """Who has to wait has used up nothing."""
    limiter = SlackRateLimiter(clock, posts=Rate(per_second=1, burst=1))
    assert limiter.acquire_post("C1") == 0
    for _ in range(10):
        assert limiter.acquire_post("C2") > 0

    clock.time += 1

    assert limiter.acquire_post("C2") == 0
    assert count(lambda: limiter.acquire_post("C3")) == 0


def test_a_channel_that_is_told_to_wait(clock: Clock) -> None:
    """One that was talking waits alone."""
    limiter = SlackRateLimiter(clock)
    limiter.acquire_post("C1")
    limiter.acquire_post("C1")

    limiter.on_post_limited("C1", 600)

    assert limiter.acquire_post("C1") == pytest.approx(600)
    assert limiter.acquire_post("C2") == 0
    assert limiter.acquire_edit() == 0
    clock.time += 600
    assert limiter.acquire_post("C1") == 0


@pytest.mark.parametrize("spoke", [0, 1])
def test_a_silent_channel_that_is_told_to_wait(clock: Clock, spoke: int) -> None:
    """Then it is the workspace that has said too much."""
    limiter = SlackRateLimiter(clock)
    for _ in range(spoke):
        limiter.acquire_post("C1")
    clock.time += 11
    limiter.acquire_post("C1")

    limiter.on_post_limited("C1", 600)

    assert limiter.acquire_post("C2") == pytest.approx(30)
    clock.time += 30
    assert limiter.acquire_post("C2") == 0
    assert limiter.acquire_post("C1") == pytest.approx(570)


def test_edits_of_other_channels_wait_half_a_minute_at_most(clock: Clock) -> None:
    """However long Slack asks one of them to wait, which waits as long as that."""
    limiter = SlackRateLimiter(clock)

    limiter.on_edit_limited(600, "C1")

    assert limiter.acquire_edit("C2") == pytest.approx(30)
    clock.time += 30
    assert limiter.acquire_edit("C2") == 0
    assert limiter.acquire_edit("C1") == pytest.approx(570)


def refuse_edit(limiter: SlackRateLimiter, seconds: float = 30) -> None:
    limiter.on_edit_limited(seconds, "C1")


def refuse_post(limiter: SlackRateLimiter, seconds: float = 30) -> None:
    limiter.on_post_limited("C1", seconds)


def edit_elsewhere(limiter: SlackRateLimiter) -> float:
    return limiter.acquire_edit("C2")


def post_elsewhere(limiter: SlackRateLimiter) -> float:
    return limiter.acquire_post("C2")


KINDS = pytest.mark.parametrize(
    ("refuse", "elsewhere"), [(refuse_edit, edit_elsewhere), (refuse_post, post_elsewhere)], ids=["edits", "posts"]
)


@KINDS
def test_a_channel_that_is_told_to_wait_again_and_again_holds_the_others_once(
    clock: Clock, refuse: Callable[[SlackRateLimiter], None], elsewhere: Callable[[SlackRateLimiter], float]
) -> None:
    """Else every retry there would hold all other channels for another half minute."""
    limiter = SlackRateLimiter(clock)
    refuse(limiter)
    assert elsewhere(limiter) == pytest.approx(30)

    for _ in range(9):
        clock.time += 30
        assert elsewhere(limiter) == 0
        refuse(limiter)
        assert elsewhere(limiter) == 0

    clock.time += 30
    refuse(limiter)
    assert elsewhere(limiter) == pytest.approx(30)


@KINDS
def test_a_channel_holds_the_others_again_after_a_success(
    clock: Clock, refuse: Callable[[SlackRateLimiter], None], elsewhere: Callable[[SlackRateLimiter], float]
) -> None:
    """Then the rate limit that it meets is a new one."""
    limiter = SlackRateLimiter(clock)
    refuse(limiter)
    clock.time += 30

    (limiter.edit_accepted if refuse is refuse_edit else limiter.post_accepted)("C1")
    refuse(limiter)

    assert elsewhere(limiter) == pytest.approx(30)


@KINDS
def test_another_channel_that_is_told_to_wait_holds_all_of_them_as_well(
    clock: Clock, refuse: Callable[[SlackRateLimiter], None], elsewhere: Callable[[SlackRateLimiter], float]
) -> None:
    """If many channels are refused it is the workspace that is too fast."""
    limiter = SlackRateLimiter(clock)
    refuse(limiter)
    clock.time += 30

    if refuse is refuse_edit:
        limiter.on_edit_limited(30, "C3")
    else:
        limiter.on_post_limited("C3", 30)

    assert elsewhere(limiter) == pytest.approx(30)


def test_edits_that_are_told_to_wait(clock: Clock) -> None:
    """They wait all together, and nothing else does."""
    limiter = SlackRateLimiter(clock)

    limiter.on_edit_limited(30)

    assert limiter.acquire_edit() == pytest.approx(30)
    assert limiter.acquire_post("C1") == 0


def test_a_clock_that_is_set_back(clock: Clock) -> None:
    """It delays nothing by the hour that it was set back."""
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
