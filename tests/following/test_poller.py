"""Looking at followed meetings, over a real store: when, how often, and what is recorded of it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from pytest_mock import MockerFixture

from bot.clock import utc
from bot.domain.episode import Episode, Phase
from bot.errors import AuthenticationFailed, DatabaseUnavailable, MeetingNotFound, Unreachable
from bot.following.poller import LEASE_SECONDS, MAX_CONCURRENT_CHECKS
from bot.store.meeting_sweeps import CHANGED
from bot.store.schema import meetings
from tests.following.poller_harness import EPOCH, Tracked, at, tracking
from tests.store.helpers import CHANNEL, MEETING, OTHER_MEETING, TEAM


@pytest.fixture
async def tracked(tmp_path: Path) -> AsyncIterator[Tracked]:
    async with tracking(tmp_path) as tracked:
        yield tracked


def logged(log: io.StringIO, event: str) -> list[dict[str, object]]:
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == event]


async def test_a_livestream_from_its_beginning_to_its_end(tracked: Tracked) -> None:
    """Live, a short drop that is told to nobody, live again, and the end, once, with its duration."""
    await tracked.follow()
    await tracked.passes(60)
    tracked.say("INVOKED")
    await tracked.passes(60)
    tracked.say("LIVE", began=125)
    await tracked.passes(60)
    tracked.say("OFFLINE")
    await tracked.passes(30)
    tracked.say("LIVE", began=125)
    await tracked.passes(60)
    tracked.say(None)
    await tracked.passes(120)

    changes = await tracked.changes()
    assert [(change.kind, change.seq) for change in changes] == [("starting", 1), ("live", 2), ("ended", 3)]
    assert changes[1].at == at(125)
    duration = changes[2].duration
    assert duration is not None
    assert timedelta(seconds=145) <= duration <= timedelta(seconds=160)
    (card,) = await tracked.cards()
    assert card.phase is Phase.ENDED


async def test_each_change_is_counted(tracked: Tracked) -> None:
    """What was seen, what became of it, and how late a beginning was seen."""
    await tracked.follow()
    await tracked.passes(55)
    tracked.say("LIVE", began=52)
    await tracked.passes(20)

    assert tracked.count("meeting_checks_total", outcome="not_broadcasting") == 1
    assert tracked.count("meeting_checks_total", outcome="live") == 2
    assert tracked.count("episode_changes_total", kind="live") == 1
    assert tracked.count("detection_delay_seconds_sum") == 8


async def test_changed_is_called_when_there_is_something_to_do(tracked: Tracked) -> None:
    """And not for each look."""
    await tracked.follow()
    await tracked.passes(60)
    assert tracked.changed == 0
    tracked.say("LIVE")
    await tracked.passes(120)

    assert tracked.changed == 1


async def test_the_next_run_in_one_look(tracked: Tracked) -> None:
    """Where a look finds another run than the one before, the old card says how that ended, and a new one begins."""
    await tracked.follow()
    tracked.say("LIVE", began=0)
    await tracked.passes(60)
    tracked.cloudflare.says[MEETING] = Unreachable()
    await tracked.passes(3600, step=300)
    tracked.say("LIVE", began=3000)
    await tracked.hint()

    old, new = sorted(await tracked.cards(), key=lambda card: card.number)
    assert (old.number, old.phase, old.ended_at, old.live_since) == (1, Phase.ENDED, at(60), at(0))
    assert old.playback_url is None
    assert (new.number, new.phase, new.live_since) == (2, Phase.LIVE, at(3000))
    assert await tracked.told() == [(1, "live"), (1, "ended"), (2, "live")]


async def test_an_outage_ends_nothing(tracked: Tracked) -> None:
    """However long; the card says as of when it speaks, and the looks get rarer."""
    await tracked.follow()
    await tracked.passes(5)
    tracked.say("LIVE", began=0)
    await tracked.passes(60)
    tracked.cloudflare.says[MEETING] = Unreachable()
    tracked.cloudflare.asked_at.clear()
    await tracked.passes(1500, step=15)

    assert await tracked.told() == [(1, "live")]
    (card,) = await tracked.cards()
    assert card.is_stale
    assert card.phase is Phase.LIVE
    gaps = [later - earlier for earlier, later in pairwise(tracked.cloudflare.asked_at)]
    assert gaps[:6] == [15, 30, 60, 120, 240, 300]
    assert set(gaps[6:]) == {300}
    assert tracked.count("meeting_checks_total", outcome="unreachable") == len(tracked.cloudflare.asked_at)


async def test_the_end_of_an_outage(tracked: Tracked) -> None:
    """The card speaks of now again, and nothing is told."""
    await tracked.follow()
    tracked.cloudflare.says[MEETING] = AuthenticationFailed()
    await tracked.passes(300)
    tracked.say(None)
    await tracked.passes(300)

    (card,) = await tracked.cards()
    assert not card.is_stale
    assert await tracked.told() == []
    (listed,) = await tracked.store.follows.in_channel(TEAM, CHANNEL)
    assert listed.failures == 0


async def test_flapping_for_six_minutes(tracked: Tracked) -> None:
    """A livestream that goes between live and error is told a few times, and the truth at the end."""
    await tracked.follow()
    for n in range(72):
        tracked.say("ERRORED" if n % 2 else "LIVE", began=0)
        await tracked.hint()
        tracked.clock.advance(5)
    tracked.say("LIVE", began=0)
    await tracked.passes(300, step=15)

    told = [kind for _, kind in await tracked.told()]
    assert told == ["live", "errored", "back"]


async def test_a_deleted_meeting(tracked: Tracked) -> None:
    """It is not on air any more, and after the grace time it has ended."""
    await tracked.follow()
    await tracked.passes(5)
    tracked.say("LIVE", began=0)
    await tracked.passes(60)
    tracked.cloudflare.says[MEETING] = MeetingNotFound()
    await tracked.passes(45)
    assert await tracked.told() == [(1, "live")]
    await tracked.passes(60)

    assert await tracked.told() == [(1, "live"), (1, "ended")]
    assert tracked.count("meeting_checks_total", outcome="meeting_not_found") > 1


async def test_a_meeting_that_is_deleted_before_it_is_live_is_shown_as_missing(tracked: Tracked) -> None:
    await tracked.follow()
    await tracked.passes(5)
    tracked.cloudflare.says[MEETING] = MeetingNotFound()
    await tracked.hint()
    assert await missing(tracked)

    tracked.say(None)
    await tracked.hint()

    assert not await missing(tracked)
    assert await tracked.told() == []


async def missing(tracked: Tracked) -> bool:
    known = await tracked.store.meeting_sweeps.known([MEETING])
    return Episode.from_dict(known[MEETING].episode).is_missing


async def test_a_hint(tracked: Tracked) -> None:
    """The meeting is looked at at once."""
    await tracked.follow()
    await tracked.passes(10)
    tracked.say("LIVE", began=9)

    await tracked.hint()

    assert await tracked.told() == [(1, "live")]


async def test_a_hint_to_another_replica(tracked: Tracked) -> None:
    """It is noticed within five seconds."""
    await tracked.follow()
    await tracked.passes(10)
    tracked.say("LIVE", began=9)

    await tracked.store.meeting_queue.request_check(MEETING)
    tracked.clock.advance(5)
    await tracked.looked()

    assert await tracked.told() == [(1, "live")]


async def test_webhooks_slow_the_looks_down(tracked: Tracked) -> None:
    """While changes come with a hint a live meeting is looked at every half minute; one that does not ends that."""
    await tracked.follow()
    await tracked.passes(10)
    tracked.say("LIVE", began=9)
    await tracked.hint()
    tracked.cloudflare.asked_at.clear()
    await tracked.passes(180)
    assert len(tracked.cloudflare.asked_at) == 6

    tracked.say("OFFLINE")
    await tracked.passes(60)
    tracked.say("LIVE", began=9)
    await tracked.passes(60)
    tracked.cloudflare.asked_at.clear()
    await tracked.passes(60)

    assert len(tracked.cloudflare.asked_at) == 4


async def test_fifty_channels(tracked: Tracked) -> None:
    """A meeting that is followed in fifty channels is looked at as if it was one."""
    for number in range(50):
        await tracked.follow(channel=f"C{number}")
    await tracked.looked()
    tracked.cloudflare.asked.clear()
    tracked.say("LIVE")
    await tracked.passes(60)

    assert tracked.cloudflare.asked[MEETING] <= 3
    assert await tracked.told() == [(1, "live")] * 50


async def test_so_many_looks_at_once(tracked: Tracked) -> None:
    """And no more; the others have their turn when one of them ends."""
    tracked.cloudflare.open.clear()
    for number in range(40):
        await tracked.follow(UUID(int=number))
    await tracked.until(lambda: tracked.cloudflare.asking == MAX_CONCURRENT_CHECKS)
    await tracked.asleep()
    assert tracked.cloudflare.asking == MAX_CONCURRENT_CHECKS

    tracked.cloudflare.open.set()
    await tracked.looked()

    assert tracked.cloudflare.asked == {UUID(int=number): 1 for number in range(40)}
    assert tracked.cloudflare.most_at_once == MAX_CONCURRENT_CHECKS


async def test_no_room(tracked: Tracked) -> None:
    """Nobody looks while the tracker's share of the request_windows is spent, and everybody does afterwards."""
    await tracked.store.request_windows.add(1000)
    tracked.allowance.record_request()
    await tracked.idles(10)
    assert not tracked.allowance.can_check()
    await tracked.follow()
    await tracked.idles(5)
    assert tracked.cloudflare.asked == {}

    await tracked.idles(350)
    await tracked.looked()

    assert tracked.cloudflare.asked[MEETING] >= 1


async def due_in_a_minute(tracked: Tracked, number: int, *, spent: int) -> None:
    """Let so many meetings have been checked for the first time, and so much of the rate limit be spent then."""
    for each in range(number):
        await tracked.follow(UUID(int=each))
    await tracked.looked()
    tracked.cloudflare.asked.clear()
    tracked.cloudflare.asked_at.clear()
    await tracked.store.request_windows.add(spent)


async def test_little_is_left(tracked: Tracked) -> None:
    """Then there is half a second between two looks."""
    await due_in_a_minute(tracked, 10, spent=400)
    await tracked.idles(60)
    assert tracked.allowance.delay()

    def asked_of_all(number: int) -> bool:
        return sum(tracked.cloudflare.asked.values()) == number

    for number in range(10):
        await tracked.until(partial(asked_of_all, number + 1))
        await tracked.asleep()
        tracked.clock.advance(0.5)

    assert tracked.cloudflare.asked_at == [60 + 0.5 * number for number in range(10)]


async def test_news_does_not_wait_for_the_pause_between_other_checks(tracked: Tracked) -> None:
    """Meetings of which a list or somebody says that they have changed are checked at once."""
    await due_in_a_minute(tracked, 20, spent=500)
    await tracked.idles(60)
    assert sum(tracked.cloudflare.asked.values()) == 1
    changed = [UUID(int=number) for number in range(20) if UUID(int=number) not in tracked.cloudflare.asked][:5]
    assert await tracked.store.meeting_sweeps.prioritize(changed[:2]) == 2
    assert await tracked.store.meeting_sweeps.prioritize(changed[2:4], CHANGED) == 2
    assert await tracked.store.meeting_queue.request_check(changed[4])
    tracked.tracker.wake()
    await tracked.until(lambda: tracked.cloudflare.asked.keys() >= set(changed))
    await tracked.asleep()

    assert sum(tracked.cloudflare.asked.values()) == 6


async def test_the_last_quarter_is_for_news(tracked: Tracked) -> None:
    """Other checks wait until there is more again."""
    await due_in_a_minute(tracked, 2, spent=601)
    await tracked.idles(90)
    assert tracked.cloudflare.asked == {}

    one, other = UUID(int=0), UUID(int=1)
    assert await tracked.store.meeting_sweeps.prioritize([other]) == 1
    tracked.tracker.wake()
    await tracked.until(lambda: tracked.cloudflare.asked)
    await tracked.asleep()
    assert tracked.cloudflare.asked == {other: 1}

    await tracked.idles(300)
    await tracked.looked()
    assert tracked.cloudflare.asked[one] >= 1


async def test_cloudflare_wants_no_question(tracked: Tracked) -> None:
    """Then none is asked until it does."""
    tracked.quota_wait = 120
    await tracked.follow()
    await tracked.idles(120, step=30)
    assert tracked.cloudflare.asked == {}

    tracked.quota_wait = 0
    tracked.clock.advance(5)
    await tracked.looked()

    assert tracked.cloudflare.asked[MEETING] == 1


async def test_a_refusal_puts_the_meeting_off(tracked: Tracked) -> None:
    """For as long as Cloudflare wants no question at least."""
    tracked.cloudflare.open.clear()
    await tracked.follow()
    await tracked.until(lambda: tracked.cloudflare.asking)
    tracked.quota_wait = 200
    tracked.cloudflare.open.set()
    await tracked.looked()

    assert await tracked.store.meeting_queue.due_in() == 200


async def test_two_replicas(tracked: Tracked) -> None:
    """Each meeting is looked at by one of them."""
    other = tracked.new_tracker("other")
    running = asyncio.create_task(other.run())
    for number in range(30):
        await tracked.follow(UUID(int=number))
    await tracked.until(lambda: sum(tracked.cloudflare.asked.values()) == 30 and not other._looking)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert tracked.cloudflare.asked == {UUID(int=number): 1 for number in range(30)}


async def test_killed_during_a_look(tmp_path: Path) -> None:
    """Whoever comes after looks once more when the lease has ended."""
    async with tracking(tmp_path, run=False) as tracked:
        await tracked.follow()
        tracked.cloudflare.open.clear()
        running = asyncio.create_task(tracked.tracker.run())
        await tracked.until(lambda: tracked.cloudflare.asking)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await tracked.store.meeting_queue.due_in() == LEASE_SECONDS

        tracked.cloudflare.open.set()
        tracked.say("LIVE")
        tracked.clock.advance(LEASE_SECONDS)
        again = asyncio.create_task(tracked.new_tracker("next").run())
        await tracked.until(lambda: tracked.changed)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)

        assert await tracked.told() == [(1, "live")]


async def test_a_look_that_took_too_long(tracked: Tracked) -> None:
    """Whoever has lost the lease meanwhile records nothing, and counts nothing."""
    tracked.cloudflare.open.clear()
    await tracked.follow()
    await tracked.until(lambda: tracked.cloudflare.asking)
    # Else it would take it itself when the lease has ended.
    tracked.quota_wait = 2 * LEASE_SECONDS
    await tracked.asleep()
    tracked.clock.advance(LEASE_SECONDS)
    (taken,) = await tracked.store.meeting_queue.claim("other", 1, LEASE_SECONDS)
    tracked.say("LIVE")
    tracked.cloudflare.open.set()
    await tracked.looked()

    assert tracked.changed == 0
    assert tracked.count("episode_changes_total", kind="live") == 0
    assert await tracked.store.meeting_queue.release(taken, next_check_in=60)


async def test_a_look_that_breaks(tracked: Tracked, log: io.StringIO) -> None:
    """It is logged, the others go on, and it is tried again when the lease has ended."""
    tracked.cloudflare.says[MEETING] = ZeroDivisionError()
    await tracked.follow()
    await tracked.follow(OTHER_MEETING)
    await tracked.looked()
    assert len(logged(log, "check_failed")) == 1
    tracked.say("LIVE")
    await tracked.passes(LEASE_SECONDS)

    assert await tracked.told() == [(1, "live")]
    assert tracked.cloudflare.asked[OTHER_MEETING] == 1


@pytest.mark.parametrize("method", ["claim", "due_in", "record"])
@pytest.mark.parametrize("error", [DatabaseUnavailable, ZeroDivisionError])
async def test_no_database(tracked: Tracked, mocker: MockerFixture, method: str, error: type[Exception]) -> None:
    """The tracker waits it out, whatever it was, and says that nothing is looked at meanwhile."""
    await tracked.follow()
    await tracked.passes(10)
    patched = mocker.patch.object(tracked.store.meeting_queue, method, side_effect=error)
    tracked.say("LIVE")
    await tracked.idles(200)
    assert patched.call_count >= 1
    assert (tracked.tracker.stall_problem() is None) is (method == "record")
    mocker.stopall()
    tracked.clock.advance(5)
    await tracked.passes(LEASE_SECONDS)

    assert await tracked.told() == [(1, "live")]
    assert tracked.tracker.stall_problem() is None


async def test_standing_still(tmp_path: Path) -> None:
    """A tracker that has not got around for a minute says so."""
    async with tracking(tmp_path, run=False) as tracked:
        tracked.clock.advance(60)
        assert tracked.tracker.stall_problem() is None
        tracked.clock.advance(1)

        assert tracked.tracker.stall_problem() == "The poller is stuck, so changes go unnoticed."


async def test_not_standing_still(tracked: Tracked) -> None:
    """One with nothing to do gets around all the same."""
    await tracked.passes(300)

    assert tracked.tracker.stall_problem() is None


async def test_the_clock_is_set_back(tracked: Tracked) -> None:
    """An hour back does not mean an hour without looks."""
    await tracked.follow()
    await tracked.passes(5)
    tracked.say("LIVE", began=0)
    await tracked.passes(60)
    tracked.clock._restart_from(EPOCH - 3600)
    tracked.clock._wake()
    tracked.tracker.wake()
    await tracked.looked()
    tracked.cloudflare.asked.clear()
    tracked.say(None)
    await tracked.passes(150)

    assert tracked.cloudflare.asked[MEETING] >= 4
    assert await tracked.told() == [(1, "live"), (1, "ended")]


async def test_what_a_sweep_has_seen_counts(tracked: Tracked) -> None:
    """A livestream that a sweep has seen on air until just now did not end hours ago."""
    await tracked.follow()
    tracked.say("LIVE", began=0)
    await tracked.passes(30)
    # It is not looked at meanwhile.
    tracked.quota_wait = 60
    for _ in range(20):
        tracked.clock.advance(50)
        assert await tracked.store.meeting_sweeps.confirm([MEETING], "live", failures=3, next_check_in=60) == 1
    tracked.quota_wait = 0
    tracked.say("LIVE", began=1000)
    await tracked.hint()

    assert await tracked.told() == [(1, "live")]


async def test_what_a_sweep_has_seen_of_one_that_waits(tracked: Tracked) -> None:
    """Its failures are over, and it is as of then."""
    await tracked.follow()
    tracked.cloudflare.says[MEETING] = Unreachable()
    await tracked.passes(60)
    tracked.clock.advance(1)
    assert await tracked.store.meeting_sweeps.confirm([MEETING], "waiting", failures=3, next_check_in=60) == 1
    await tracked.passes(61, step=61)

    (card,) = await tracked.cards()
    assert not card.is_stale
    async with tracked.store._db.read_only() as connection:
        recorded = Episode.from_dict((await connection.execute(sa.select(meetings.c.episode_state))).scalar_one())
    assert recorded.failed_checks == 1
    assert recorded.checked_at == utc(tracked.clock) - timedelta(seconds=61)


async def test_who_asks_by_hand_sees_it(tracked: Tracked) -> None:
    """The card is shown anew, with when it was checked; and nothing is believed of webhooks."""
    await tracked.follow()
    await tracked.passes(30)
    changed = tracked.changed

    assert await tracked.store.meeting_queue.request_check(MEETING)
    tracked.tracker.wake()
    await tracked.looked()

    assert tracked.changed == changed + 1
    tracked.say("LIVE", began=9)
    assert await tracked.store.meeting_queue.request_check(MEETING)
    tracked.tracker.wake()
    await tracked.looked()
    assert not tracked.tracker._webhooks.trusted
