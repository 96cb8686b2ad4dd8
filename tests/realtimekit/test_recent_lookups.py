"""RecentLookups: lookups for people, whose results are cached briefly."""

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
    """A RealtimeKit that counts lookups, and fails while `error` is set."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lookups: Counter[UUID] = Counter()
        self.error: RealtimeKitError | None = None
        self.answers: list[str | None] = []
        self.recent = RecentLookups(self._look_up, lambda: self.now, self._note)

    def _note(self, _meeting_id: UUID, lookup: Lookup | None) -> None:
        self.answers.append(None if lookup is None else lookup.name)

    async def _look_up(self, meeting_id: UUID) -> Lookup:
        self.lookups[meeting_id] += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Lookup(meeting_id, f"lookup {self.lookups[meeting_id]}", None, None, NOON)


async def test_lookup_is_cached_for_two_and_a_half_seconds() -> None:
    cloudflare = Cloudflare()
    names = []
    for seconds in (0, 1, 1.4, 0.2):
        cloudflare.now += seconds
        names.append((await cloudflare.recent.look_up(ONE)).name)
    await cloudflare.recent.look_up(TWO)

    assert names == ["lookup 1", "lookup 1", "lookup 1", "lookup 2"]
    assert cloudflare.lookups == {ONE: 2, TWO: 1}


async def test_concurrent_callers_share_one_lookup() -> None:
    cloudflare = Cloudflare()

    answers = await asyncio.gather(*(cloudflare.recent.look_up(ONE) for _ in range(600)))

    assert {answer.name for answer in answers} == {"lookup 1"}
    assert cloudflare.lookups[ONE] == 1


async def test_missing_meeting_is_cached_like_a_result() -> None:
    cloudflare = Cloudflare()
    cloudflare.error = MeetingNotFound()
    for seconds in (0, 2.4):
        cloudflare.now += seconds
        with pytest.raises(MeetingNotFound):
            await cloudflare.recent.look_up(ONE)
    assert cloudflare.lookups[ONE] == 1

    cloudflare.now += 0.2
    cloudflare.error = None

    assert (await cloudflare.recent.look_up(ONE)).name == "lookup 2"
    assert cloudflare.answers == [None, "lookup 2"]


async def test_transient_failure_is_cached_for_a_second() -> None:
    cloudflare = Cloudflare()
    cloudflare.error = Unreachable()
    for _ in range(100):
        with pytest.raises(Unreachable):
            await cloudflare.recent.look_up(ONE)
    cloudflare.error = None
    assert cloudflare.lookups[ONE] == 1

    cloudflare.now += 1.1

    assert (await cloudflare.recent.look_up(ONE)).name == "lookup 2"
