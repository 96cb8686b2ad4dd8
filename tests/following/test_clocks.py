"""Two machines' clocks differ, and nothing that people read does."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.episode import Phase
from tests.following.poller_harness import OtherClock, Tracked, at, tracking


async def sees(tracked: Tracked, seconds: float, status: str | None, ahead: float, began: float | None = None) -> None:
    """Have the machine whose clock is `ahead` check the meeting at this time."""
    tracked.clock.advance(seconds - (tracked.clock.now() - at(0).timestamp()))
    tracked.say(status, began=began)
    await tracked.look_once(tracked.new_tracker(f"{ahead} ahead", OtherClock(tracked.clock, ahead)))


@pytest.mark.parametrize("ahead", [70.0, -70.0, 3_600.0])
async def test_a_clock_that_is_ahead_or_behind_ends_nothing_early(tmp_path: Path, ahead: float) -> None:
    """Seconds after it was first seen off air it is not over, whichever machine looks; after the grace period it is."""
    async with tracking(tmp_path, run=False) as tracked:
        await tracked.follow()
        await sees(tracked, 5, "LIVE", 0, began=5)
        await sees(tracked, 100, None, 0)
        await sees(tracked, 105, None, ahead)
        await sees(tracked, 159, None, ahead)
        assert await tracked.told() == [(1, "live")]
        await sees(tracked, 160, None, ahead)

        assert await tracked.told() == [(1, "live"), (1, "ended")]
        ended = (await tracked.changes())[-1]
        assert (ended.at, ended.seen_at, ended.duration) == (at(100), at(160), timedelta(seconds=95))


@pytest.mark.parametrize("ahead", [70.0, -70.0])
async def test_two_clocks_that_disagree_tell_one_story(tmp_path: Path, ahead: float) -> None:
    """Machines that take turns see one livestream: it is live since it began, and was live for as long as it was."""
    async with tracking(tmp_path, run=False) as tracked:
        await tracked.follow()
        await sees(tracked, 10, "LIVE", ahead)
        for number, second in enumerate(range(25, 610, 15)):
            await sees(tracked, second, "LIVE", 0 if number % 2 else ahead)
        (card,) = await tracked.cards()
        assert (card.phase, card.live_since, card.last_seen_live) == (Phase.LIVE, at(10), at(595))
        await sees(tracked, 615, None, 0)
        await sees(tracked, 676, None, ahead)

        assert await tracked.told() == [(1, "live"), (1, "ended")]
        assert (await tracked.changes())[-1].duration == timedelta(seconds=605)
