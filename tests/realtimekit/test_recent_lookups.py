"""Lookups for people, of which each answer is kept for a moment."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest

from bot.errors import MeetingNotFound, RealtimeKitError, Unreachable
from bot.realtimekit.lookup import Lookup, RecentLookups

ONE, TWO = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)


class Cloudflare:
    """Answers each lookup, or fails."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: Counter[UUID] = Counter()
        self.error: RealtimeKitError | None = None
        self.recent = RecentLookups(self._look_up, lambda: self.now)

    async def _look_up(self, meeting_id: UUID) -> Lookup:
        self.asked[meeting_id] += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Lookup(meeting_id, f"lookup {self.asked[meeting_id]}", None, None, NOON)


async def test_an_answer_is_kept_for_a_moment() -> None:
    """It is the meeting's own, and a new one comes after two and a half seconds."""
    cloudflare = Cloudflare()
    names = []
    for seconds in (0, 1, 1.4, 0.2):
        cloudflare.now += seconds
        names.append((await cloudflare.recent.look_up(ONE)).name)
    await cloudflare.recent.look_up(TWO)

    assert names == ["lookup 1", "lookup 1", "lookup 1", "lookup 2"]
    assert cloudflare.asked == {ONE: 2, TWO: 1}


async def test_a_crowd_costs_one_lookup() -> None:
    cloudflare = Cloudflare()

    answers = await asyncio.gather(*(cloudflare.recent.look_up(ONE) for _ in range(600)))

    assert {answer.name for answer in answers} == {"lookup 1"}
    assert cloudflare.asked[ONE] == 1


async def test_no_such_meeting_is_an_answer() -> None:
    cloudflare = Cloudflare()
    cloudflare.error = MeetingNotFound()
    for seconds in (0, 2.4):
        cloudflare.now += seconds
        with pytest.raises(MeetingNotFound):
            await cloudflare.recent.look_up(ONE)
    assert cloudflare.asked[ONE] == 1

    cloudflare.now += 0.2
    cloudflare.error = None

    assert (await cloudflare.recent.look_up(ONE)).name == "lookup 2"


async def test_a_failure_that_may_be_over_is_kept_for_a_second() -> None:
    cloudflare = Cloudflare()
    cloudflare.error = Unreachable()
    for _ in range(100):
        with pytest.raises(Unreachable):
            await cloudflare.recent.look_up(ONE)
    cloudflare.error = None
    assert cloudflare.asked[ONE] == 1

    cloudflare.now += 1.1

    assert (await cloudflare.recent.look_up(ONE)).name == "lookup 2"


async def test_one_who_gives_up_does_not_stop_it_for_the_others() -> None:
    cloudflare = Cloudflare()
    impatient, patient = (asyncio.ensure_future(cloudflare.recent.look_up(ONE)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()

    assert (await patient).name == "lookup 1"
    assert cloudflare.asked[ONE] == 1
