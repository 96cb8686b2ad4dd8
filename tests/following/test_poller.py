"""Checks of followed meetings, over a real store: when, how often, and what is recorded."""

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
from bot.following.poller import LEASE_SECONDS, MAX_CONCURRENT_CHECKS, MAX_CONCURRENT_REFRESHES
from bot.store.meetings import CHANGED
from bot.store.schema import meetings
from tests.following.poller_harness import EPOCH, PollerHarness, at, running_poller
from tests.store.helpers import CHANNEL, MEETING, OTHER_MEETING, TEAM


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[PollerHarness]:
    async with running_poller(tmp_path) as harness:
        yield harness


def logged(log: io.StringIO, event: str) -> list[dict[str, object]]:
    return [line for line in map(json.loads, log.getvalue().splitlines()) if line["event"] == event]


async def test_a_livestream_from_its_beginning_to_its_end(harness: PollerHarness) -> None:
    """Live, a short drop that is not announced, live again, and the end, once, with its duration."""
    await harness.follow()
    await harness.passes(60)
    harness.say("INVOKED")
    await harness.passes(60)
    harness.say("LIVE", began=125)
    await harness.passes(60)
    harness.say("OFFLINE")
    await harness.passes(30)
    harness.say("LIVE", began=125)
    await harness.passes(60)
    harness.say(None)
    await harness.passes(120)

    changes = await harness.changes()
    assert [(change.kind, change.seq) for change in changes] == [("starting", 1), ("live", 2), ("ended", 3)]
    assert changes[1].at == at(125)
    duration = changes[2].duration
    assert duration is not None
    assert timedelta(seconds=145) <= duration <= timedelta(seconds=160)
    (card,) = await harness.cards()
    assert card.phase is Phase.ENDED


async def test_each_change_is_counted(harness: PollerHarness) -> None:
    """What was seen, the result, and how late a beginning was seen."""
    await harness.follow()
    await harness.passes(55)
    harness.say("LIVE", began=52)
    await harness.passes(20)

    assert harness.count("meeting_checks_total", outcome="not_broadcasting") == 1
    assert harness.count("meeting_checks_total", outcome="live") == 2
    assert harness.count("episode_changes_total", kind="live") == 1
    assert harness.count("detection_delay_seconds_sum") == 8


async def test_changed_is_called_when_there_is_something_to_do(harness: PollerHarness) -> None:
    """And not for each look."""
    await harness.follow()
    await harness.passes(60)
    assert harness.announcer.count == 0
    harness.say("LIVE")
    await harness.passes(120)

    assert harness.announcer.count == 1


async def test_the_next_run_in_one_look(harness: PollerHarness) -> None:
    """Where a check finds another session, the old card says how the one before ended, and a new card begins."""
    await harness.follow()
    harness.say("LIVE", began=0)
    await harness.passes(60)
    harness.cloudflare.says[MEETING] = Unreachable()
    await harness.passes(3600, step=300)
    harness.say("LIVE", began=3000)
    await harness.hint()

    old, new = sorted(await harness.cards(), key=lambda card: card.number)
    assert (old.number, old.phase, old.ended_at, old.live_since) == (1, Phase.ENDED, at(60), at(0))
    assert old.playback_url is None
    assert (new.number, new.phase, new.live_since) == (2, Phase.LIVE, at(3000))
    assert await harness.told() == [(1, "live"), (1, "ended"), (2, "live")]


async def test_an_outage_ends_nothing(harness: PollerHarness) -> None:
    """However long; the card says as of when it speaks, and the looks get rarer."""
    await harness.follow()
    await harness.passes(5)
    harness.say("LIVE", began=0)
    await harness.passes(60)
    harness.cloudflare.says[MEETING] = Unreachable()
    harness.cloudflare.asked_at.clear()
    await harness.passes(1500, step=15)

    assert await harness.told() == [(1, "live")]
    (card,) = await harness.cards()
    assert card.is_stale
    assert card.phase is Phase.LIVE
    gaps = [later - earlier for earlier, later in pairwise(harness.cloudflare.asked_at)]
    assert gaps[:6] == [15, 30, 60, 120, 240, 300]
    assert set(gaps[6:]) == {300}
    assert harness.count("meeting_checks_total", outcome="unreachable") == len(harness.cloudflare.asked_at)


async def test_the_end_of_an_outage(harness: PollerHarness) -> None:
    """The card shows the current state again, and nothing is announced."""
    await harness.follow()
    harness.cloudflare.says[MEETING] = AuthenticationFailed()
    await harness.passes(300)
    harness.say(None)
    await harness.passes(300)

    (card,) = await harness.cards()
    assert not card.is_stale
    assert await harness.told() == []
    (listed,) = await harness.store.follows.in_channel(TEAM, CHANNEL)
    assert listed.failures == 0


async def test_flapping_for_six_minutes(harness: PollerHarness) -> None:
    """A livestream that alternates between live and error is announced a few times, and its final state at the end."""
    await harness.follow()
    for n in range(72):
        harness.say("ERRORED" if n % 2 else "LIVE", began=0)
        await harness.hint()
        harness.clock.advance(5)
    harness.say("LIVE", began=0)
    await harness.passes(300, step=15)

    told = [kind for _, kind in await harness.told()]
    assert told == ["live", "errored", "back"]


async def test_a_deleted_meeting(harness: PollerHarness) -> None:
    """It is off air, and after the grace period it has ended."""
    await harness.follow()
    await harness.passes(5)
    harness.say("LIVE", began=0)
    await harness.passes(60)
    harness.cloudflare.says[MEETING] = MeetingNotFound()
    await harness.passes(45)
    assert await harness.told() == [(1, "live")]
    await harness.passes(60)

    assert await harness.told() == [(1, "live"), (1, "ended")]
    assert harness.count("meeting_checks_total", outcome="meeting_not_found") > 1


async def test_a_meeting_that_is_deleted_before_it_is_live_is_shown_as_missing(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.passes(5)
    harness.cloudflare.says[MEETING] = MeetingNotFound()
    await harness.hint()
    assert await missing(harness)

    harness.say(None)
    await harness.hint()

    assert not await missing(harness)
    assert await harness.told() == []


async def missing(harness: PollerHarness) -> bool:
    known = await harness.store.meeting_sweeps.known([MEETING])
    return Episode.from_dict(known[MEETING].episode).is_missing


async def test_webhook_has_the_meeting_checked_at_once(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.passes(10)
    harness.say("LIVE", began=9)

    await harness.hint()

    assert await harness.told() == [(1, "live")]


async def test_a_hint_to_another_replica(harness: PollerHarness) -> None:
    """It is noticed within five seconds."""
    await harness.follow()
    await harness.passes(10)
    harness.say("LIVE", began=9)

    await harness.store.meeting_queue.request_check(MEETING)
    harness.clock.advance(5)
    await harness.looked()

    assert await harness.told() == [(1, "live")]


async def test_webhooks_slow_the_looks_down(harness: PollerHarness) -> None:
    """While webhooks report its changes, a live meeting is checked every half minute; a change without one ends it."""
    await harness.follow()
    await harness.passes(10)
    harness.say("LIVE", began=9)
    await harness.hint()
    harness.cloudflare.asked_at.clear()
    await harness.passes(180)
    assert len(harness.cloudflare.asked_at) == 6

    harness.say("OFFLINE")
    await harness.passes(60)
    harness.say("LIVE", began=9)
    await harness.passes(60)
    harness.cloudflare.asked_at.clear()
    await harness.passes(60)

    assert len(harness.cloudflare.asked_at) == 4


async def test_meeting_followed_in_fifty_channels_is_checked_as_one(harness: PollerHarness) -> None:
    for number in range(50):
        await harness.follow(channel=f"C{number}")
    await harness.looked()
    harness.cloudflare.asked.clear()
    harness.say("LIVE")
    await harness.passes(60)

    assert harness.cloudflare.asked[MEETING] <= 3
    assert await harness.told() == [(1, "live")] * 50


async def test_so_many_looks_at_once(harness: PollerHarness) -> None:
    """And no more; the others start when one of them ends. Those that people request have their own limit."""
    harness.cloudflare.open.clear()
    ids = [UUID(int=number) for number in range(40)]
    for meeting_id in ids:
        await harness.follow(meeting_id)
    await harness.until(lambda: harness.cloudflare.asking == MAX_CONCURRENT_REFRESHES)
    await harness.asleep()
    assert harness.cloudflare.asking == MAX_CONCURRENT_REFRESHES

    assert await harness.store.meeting_sweeps.prioritize(ids) == len(ids) - MAX_CONCURRENT_REFRESHES
    harness.poller._wake_up.set()
    most = MAX_CONCURRENT_REFRESHES + MAX_CONCURRENT_CHECKS
    await harness.until(lambda: harness.cloudflare.asking == most)
    await harness.asleep()
    assert harness.cloudflare.asking == most

    harness.cloudflare.open.set()
    await harness.looked()

    assert harness.cloudflare.asked == dict.fromkeys(ids, 1)
    assert harness.cloudflare.most_at_once == most


async def test_no_check_begins_while_the_rate_limit_is_used_up(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.looked()
    harness.cloudflare.asked.clear()
    await harness.store.request_windows.add(1000)
    harness.rate_budget.record_request()
    await harness.idles(10)
    assert not harness.rate_budget.can_check()
    assert await harness.store.meeting_queue.request_check(MEETING)
    await harness.idles(5)
    assert harness.cloudflare.asked == {}

    await harness.idles(350)
    await harness.looked()

    assert harness.cloudflare.asked[MEETING] >= 1


async def due_in_a_minute(harness: PollerHarness, number: int, *, spent: int) -> None:
    """Let so many meetings have been checked for the first time, and so much of the rate limit be spent then."""
    for each in range(number):
        await harness.follow(UUID(int=each))
    await harness.looked()
    harness.cloudflare.asked.clear()
    harness.cloudflare.asked_at.clear()
    await harness.store.request_windows.add(spent)


async def test_little_is_left(harness: PollerHarness) -> None:
    """Then there is half a second between two looks."""
    await due_in_a_minute(harness, 10, spent=400)
    await harness.idles(60)
    assert harness.rate_budget.delay()

    def asked_of_all(number: int) -> bool:
        return sum(harness.cloudflare.asked.values()) == number

    for number in range(10):
        await harness.until(partial(asked_of_all, number + 1))
        await harness.asleep()
        harness.clock.advance(0.5)

    assert harness.cloudflare.asked_at == [60 + 0.5 * number for number in range(10)]


async def test_news_does_not_wait_for_the_pause_between_other_checks(harness: PollerHarness) -> None:
    """Meetings are checked at once when a list or a person says that they have changed."""
    await due_in_a_minute(harness, 20, spent=500)
    await harness.idles(60)
    assert sum(harness.cloudflare.asked.values()) == 1
    changed = [UUID(int=number) for number in range(20) if UUID(int=number) not in harness.cloudflare.asked][:5]
    assert await harness.store.meeting_sweeps.prioritize(changed[:2]) == 2
    assert await harness.store.meeting_sweeps.prioritize(changed[2:4], CHANGED) == 2
    assert await harness.store.meeting_queue.request_check(changed[4])
    harness.poller._wake_up.set()
    await harness.until(lambda: harness.cloudflare.asked.keys() >= set(changed))
    await harness.asleep()

    assert sum(harness.cloudflare.asked.values()) == 6


async def test_the_last_quarter_is_for_news(harness: PollerHarness) -> None:
    """Other checks wait until there is more again."""
    await due_in_a_minute(harness, 2, spent=601)
    await harness.idles(90)
    assert harness.cloudflare.asked == {}

    one, other = UUID(int=0), UUID(int=1)
    assert await harness.store.meeting_sweeps.prioritize([other]) == 1
    harness.poller._wake_up.set()
    await harness.until(lambda: harness.cloudflare.asked)
    await harness.asleep()
    assert harness.cloudflare.asked == {other: 1}

    await harness.idles(300)
    await harness.looked()
    assert harness.cloudflare.asked[one] >= 1


async def test_cloudflare_wants_no_question(harness: PollerHarness) -> None:
    """Then no request is sent until it does."""
    harness.rate_limit.seconds = 120
    await harness.follow()
    await harness.idles(120, step=30)
    assert harness.cloudflare.asked == {}

    harness.rate_limit.seconds = 0
    harness.clock.advance(5)
    await harness.looked()

    assert harness.cloudflare.asked[MEETING] == 1


async def test_a_refusal_puts_the_meeting_off(harness: PollerHarness) -> None:
    """For at least as long as Cloudflare accepts no request."""
    harness.cloudflare.open.clear()
    await harness.follow()
    await harness.until(lambda: harness.cloudflare.asking)
    harness.rate_limit.seconds = 200
    harness.cloudflare.open.set()
    await harness.looked()

    assert await harness.store.meeting_queue.due_in() == 200


async def test_each_meeting_is_checked_by_one_replica(harness: PollerHarness) -> None:
    other = harness.new_poller("other")
    running = asyncio.create_task(other.run())
    for number in range(30):
        await harness.follow(UUID(int=number))
    await harness.until(lambda: sum(harness.cloudflare.asked.values()) == 30 and not other._checks_running)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert harness.cloudflare.asked == {UUID(int=number): 1 for number in range(30)}


async def test_killed_during_a_look(tmp_path: Path) -> None:
    """The next worker checks once more when the lease has ended."""
    async with running_poller(tmp_path, run=False) as harness:
        await harness.follow()
        harness.cloudflare.open.clear()
        running = asyncio.create_task(harness.poller.run())
        await harness.until(lambda: harness.cloudflare.asking)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await harness.store.meeting_queue.due_in() == LEASE_SECONDS

        harness.cloudflare.open.set()
        harness.say("LIVE")
        harness.clock.advance(LEASE_SECONDS)
        again = asyncio.create_task(harness.new_poller("next").run())
        await harness.until(lambda: harness.announcer.count)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)

        assert await harness.told() == [(1, "live")]


async def test_a_look_that_took_too_long(harness: PollerHarness) -> None:
    """A worker that has lost the lease meanwhile records nothing, and counts nothing."""
    harness.cloudflare.open.clear()
    await harness.follow()
    await harness.until(lambda: harness.cloudflare.asking)
    # Else it would take it itself when the lease has ended.
    harness.rate_limit.seconds = 2 * LEASE_SECONDS
    await harness.asleep()
    harness.clock.advance(LEASE_SECONDS)
    (taken,) = await harness.store.meeting_queue.claim("other", 1, LEASE_SECONDS)
    harness.say("LIVE")
    harness.cloudflare.open.set()
    await harness.looked()

    assert harness.announcer.count == 0
    assert harness.count("episode_changes_total", kind="live") == 0
    await harness.store.meeting_queue.release(taken, next_check_in=60)


async def test_a_look_that_breaks(harness: PollerHarness, log: io.StringIO) -> None:
    """It is logged, the others continue, and it is tried again when the lease has ended."""
    harness.cloudflare.says[MEETING] = ZeroDivisionError()
    await harness.follow()
    await harness.follow(OTHER_MEETING)
    await harness.looked()
    assert len(logged(log, "check_failed")) == 1
    harness.say("LIVE")
    await harness.passes(LEASE_SECONDS)

    assert await harness.told() == [(1, "live")]
    assert harness.cloudflare.asked[OTHER_MEETING] == 1


@pytest.mark.parametrize("method", ["claim", "due_in", "record"])
@pytest.mark.parametrize("error", [DatabaseUnavailable, ZeroDivisionError])
async def test_poller_waits_and_reports_while_the_database_is_down(
    harness: PollerHarness, mocker: MockerFixture, method: str, error: type[Exception]
) -> None:
    await harness.follow()
    await harness.passes(10)
    patched = mocker.patch.object(harness.store.meeting_queue, method, side_effect=error)
    harness.say("LIVE")
    await harness.idles(200)
    assert patched.call_count >= 1
    assert (harness.poller.stall_problem() is None) is (method == "record")
    mocker.stopall()
    harness.clock.advance(5)
    await harness.passes(LEASE_SECONDS)

    assert await harness.told() == [(1, "live")]
    assert harness.poller.stall_problem() is None


async def test_loop_that_stands_still_for_a_minute_is_reported(tmp_path: Path) -> None:
    async with running_poller(tmp_path, run=False) as harness:
        harness.clock.advance(60)
        assert harness.poller.stall_problem() is None
        harness.clock.advance(1)

        assert harness.poller.stall_problem() == "The poller is stuck, so changes go unnoticed."


async def test_not_standing_still(harness: PollerHarness) -> None:
    """One with nothing to do gets around all the same."""
    await harness.passes(300)

    assert harness.poller.stall_problem() is None


async def test_the_clock_is_set_back(harness: PollerHarness) -> None:
    """An hour back does not mean an hour without looks."""
    await harness.follow()
    await harness.passes(5)
    harness.say("LIVE", began=0)
    await harness.passes(60)
    harness.clock._restart_from(EPOCH - 3600)
    harness.clock._wake()
    harness.poller._wake_up.set()
    await harness.looked()
    harness.cloudflare.asked.clear()
    harness.say(None)
    await harness.passes(150)

    assert harness.cloudflare.asked[MEETING] >= 4
    assert await harness.told() == [(1, "live"), (1, "ended")]


async def test_what_a_sweep_has_seen_counts(harness: PollerHarness) -> None:
    """A livestream that a sweep has seen on air until just now did not end hours ago."""
    await harness.follow()
    harness.say("LIVE", began=0)
    await harness.passes(30)
    # It is not checked meanwhile.
    harness.rate_limit.seconds = 60
    for _ in range(20):
        harness.clock.advance(50)
        assert await harness.store.meeting_sweeps.confirm([MEETING], "live", failures=3, next_check_in=60) == 1
    harness.rate_limit.seconds = 0
    harness.say("LIVE", began=1000)
    await harness.hint()

    assert await harness.told() == [(1, "live")]


async def test_what_a_sweep_has_seen_of_one_that_waits(harness: PollerHarness) -> None:
    """Its failures are over, and it is as of then."""
    await harness.follow()
    harness.cloudflare.says[MEETING] = Unreachable()
    await harness.passes(60)
    harness.clock.advance(1)
    assert await harness.store.meeting_sweeps.confirm([MEETING], "waiting", failures=3, next_check_in=60) == 1
    await harness.passes(61, step=61)

    (card,) = await harness.cards()
    assert not card.is_stale
    async with harness.store._db.read_only() as connection:
        recorded = Episode.from_dict((await connection.execute(sa.select(meetings.c.episode_state))).scalar_one())
    assert recorded.failed_checks == 1
    assert recorded.checked_at == utc(harness.clock) - timedelta(seconds=61)


async def test_who_asks_by_hand_sees_it(harness: PollerHarness) -> None:
    """The card is edited, with the time of the check; and webhooks are no longer trusted."""
    await harness.follow()
    await harness.passes(30)
    changed = harness.announcer.count

    await harness.refresh()
    await harness.looked()

    assert harness.announcer.count == changed + 1
    harness.say("LIVE", began=9)
    await harness.refresh()
    await harness.looked()
    assert not harness.poller._webhook_trust.trusted
