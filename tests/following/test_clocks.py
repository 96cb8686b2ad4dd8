"""Replicas whose clocks differ announce the same as one replica."""

from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.episode import Episode, Phase
from tests.following.poller_harness import OtherClock, PollerHarness, at, running_poller
from tests.store.helpers import MEETING


async def sees(
    harness: PollerHarness, seconds: float, status: str | None, ahead: float, began: float | None = None
) -> None:
    """Have the machine whose clock is `ahead` check the meeting at this time."""
    harness.clock.advance(seconds - (harness.clock.now() - at(0).timestamp()))
    harness.set_status(status, began=began)
    await harness.check_once(harness.new_poller(f"{ahead} ahead", OtherClock(harness.clock, ahead)))


@pytest.mark.parametrize("ahead", [70.0, -70.0, 3_600.0])
async def test_clock_that_is_ahead_or_behind_ends_nothing_early(tmp_path: Path, ahead: float) -> None:
    async with running_poller(tmp_path, run=False) as harness:
        await harness.follow()
        await sees(harness, 5, "LIVE", 0, began=5)
        await sees(harness, 100, None, 0)
        await sees(harness, 105, None, ahead)
        await sees(harness, 159, None, ahead)
        assert await harness.announced() == [(1, "live")]
        await sees(harness, 160, None, ahead)

        assert await harness.announced() == [(1, "live"), (1, "ended")]
        ended = (await harness.changes())[-1]
        assert (ended.at, ended.seen_at, ended.duration) == (at(100), at(160), timedelta(seconds=95))


@pytest.mark.parametrize("ahead", [70.0, -70.0])
async def test_replicas_whose_clocks_differ_see_one_livestream(tmp_path: Path, ahead: float) -> None:
    async with running_poller(tmp_path, run=False) as harness:
        await harness.follow()
        await sees(harness, 10, "LIVE", ahead)
        for number, second in enumerate(range(25, 610, 15)):
            await sees(harness, second, "LIVE", 0 if number % 2 else ahead)
        known = await harness.store.meeting_sweeps.known([MEETING])
        seen = Episode.from_dict(known[MEETING].episode)
        assert (seen.phase, seen.live_since, seen.last_seen_live) == (Phase.LIVE, at(10), at(595))
        await sees(harness, 615, None, 0)
        await sees(harness, 676, None, ahead)

        assert await harness.announced() == [(1, "live"), (1, "ended")]
        assert (await harness.changes())[-1].duration == timedelta(seconds=605)
