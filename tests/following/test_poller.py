"""Checks of followed meetings, over a real store: when, how often, and what they record."""

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


async def test_livestream_is_announced_from_start_to_end(harness: PollerHarness) -> None:
    """A short drop is not announced."""
    await harness.follow()
    await harness.run_for(60)
    harness.set_status("INVOKED")
    await harness.run_for(60)
    harness.set_status("LIVE", began=125)
    await harness.run_for(60)
    harness.set_status("OFFLINE")
    await harness.run_for(30)
    harness.set_status("LIVE", began=125)
    await harness.run_for(60)
    harness.set_status(None)
    await harness.run_for(120)

    changes = await harness.changes()
    assert [(change.kind, change.seq) for change in changes] == [("starting", 1), ("live", 2), ("ended", 3)]
    assert changes[1].at == at(125)
    duration = changes[2].duration
    assert duration is not None
    assert timedelta(seconds=145) <= duration <= timedelta(seconds=160)
    (card,) = await harness.cards()
    assert card.phase is Phase.ENDED


async def test_checks_changes_and_detection_delay_are_counted(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.run_for(55)
    harness.set_status("LIVE", began=52)
    await harness.run_for(20)

    assert harness.count("meeting_checks_total", outcome="not_broadcasting") == 1
    assert harness.count("meeting_checks_total", outcome="live") == 2
    assert harness.count("episode_changes_total", kind="live") == 1
    assert harness.count("detection_delay_seconds_sum") == 8


async def test_announcer_is_woken_for_changes_only(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.run_for(60)
    assert harness.announcer.count == 0
    harness.set_status("LIVE")
    await harness.run_for(120)

    assert harness.announcer.count == 1


async def test_one_check_ends_an_episode_and_begins_the_next(harness: PollerHarness) -> None:
    await harness.follow()
    harness.set_status("LIVE", began=0)
    await harness.run_for(60)
    harness.cloudflare.says[MEETING] = Unreachable()
    await harness.run_for(3600, step=300)
    harness.set_status("LIVE", began=3000)
    await harness.deliver_webhook()

    old, new = sorted(await harness.cards(), key=lambda card: card.number)
    assert (old.number, old.phase, old.ended_at, old.live_since) == (1, Phase.ENDED, at(60), at(0))
    assert old.playback_url is None
    assert (new.number, new.phase, new.live_since) == (2, Phase.LIVE, at(3000))
    assert await harness.announced() == [(1, "live"), (1, "ended"), (2, "live")]


async def test_outage_ends_nothing_and_checks_become_rarer(harness: PollerHarness) -> None:
    """The card shows the time of its information."""
    await harness.follow()
    await harness.run_for(5)
    harness.set_status("LIVE", began=0)
    await harness.run_for(60)
    harness.cloudflare.says[MEETING] = Unreachable()
    harness.cloudflare.asked_at.clear()
    await harness.run_for(1500, step=15)

    assert await harness.announced() == [(1, "live")]
    (card,) = await harness.cards()
    assert card.is_stale
    assert card.phase is Phase.LIVE
    gaps = [later - earlier for earlier, later in pairwise(harness.cloudflare.asked_at)]
    assert gaps[:6] == [15, 30, 60, 120, 240, 300]
    assert set(gaps[6:]) == {300}
    assert harness.count("meeting_checks_total", outcome="unreachable") == len(harness.cloudflare.asked_at)


async def test_card_is_current_again_after_an_outage(harness: PollerHarness) -> None:
    await harness.follow()
    harness.cloudflare.says[MEETING] = AuthenticationFailed()
    await harness.run_for(300)
    harness.set_status(None)
    await harness.run_for(300)

    (card,) = await harness.cards()
    assert not card.is_stale
    assert await harness.announced() == []
    (listed,) = await harness.store.follows.in_channel(TEAM, CHANNEL)
    assert listed.failures == 0


async def test_flapping_livestream_is_announced_a_few_times(harness: PollerHarness) -> None:
    await harness.follow()
    for n in range(72):
        harness.set_status("ERRORED" if n % 2 else "LIVE", began=0)
        await harness.deliver_webhook()
        harness.clock.advance(5)
    harness.set_status("LIVE", began=0)
    await harness.run_for(300, step=15)

    told = [kind for _, kind in await harness.announced()]
    assert told == ["live", "errored", "back"]


async def test_deleted_meeting_ends_after_the_grace_period(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.run_for(5)
    harness.set_status("LIVE", began=0)
    await harness.run_for(60)
    harness.cloudflare.says[MEETING] = MeetingNotFound()
    await harness.run_for(45)
    assert await harness.announced() == [(1, "live")]
    await harness.run_for(60)

    assert await harness.announced() == [(1, "live"), (1, "ended")]
    assert harness.count("meeting_checks_total", outcome="meeting_not_found") > 1


async def test_meeting_deleted_before_it_was_live_is_shown_as_missing(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.run_for(5)
    harness.cloudflare.says[MEETING] = MeetingNotFound()
    await harness.deliver_webhook()
    assert await missing(harness)

    harness.set_status(None)
    await harness.deliver_webhook()

    assert not await missing(harness)
    assert await harness.announced() == []


async def missing(harness: PollerHarness) -> bool:
    known = await harness.store.meeting_sweeps.known([MEETING])
    return Episode.from_dict(known[MEETING].episode).is_missing


async def test_webhook_has_the_meeting_checked_at_once(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.run_for(10)
    harness.set_status("LIVE", began=9)

    await harness.deliver_webhook()

    assert await harness.announced() == [(1, "live")]


async def test_check_requested_by_another_replica_is_made_within_five_seconds(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.run_for(10)
    harness.set_status("LIVE", began=9)

    await harness.store.meeting_queue.request_check(MEETING)
    harness.clock.advance(5)
    await harness.settle()

    assert await harness.announced() == [(1, "live")]


async def test_checks_are_rarer_while_webhooks_are_trusted(harness: PollerHarness) -> None:
    """A live meeting is checked every half minute, until a change comes without a webhook."""
    await harness.follow()
    await harness.run_for(10)
    harness.set_status("LIVE", began=9)
    await harness.deliver_webhook()
    harness.cloudflare.asked_at.clear()
    await harness.run_for(180)
    assert len(harness.cloudflare.asked_at) == 6

    harness.set_status("OFFLINE")
    await harness.run_for(60)
    harness.set_status("LIVE", began=9)
    await harness.run_for(60)
    harness.cloudflare.asked_at.clear()
    await harness.run_for(60)

    assert len(harness.cloudflare.asked_at) == 4


async def test_meeting_followed_in_fifty_channels_is_checked_as_one(harness: PollerHarness) -> None:
    for number in range(50):
        await harness.follow(channel=f"C{number}")
    await harness.settle()
    harness.cloudflare.asked.clear()
    harness.set_status("LIVE")
    await harness.run_for(60)

    assert harness.cloudflare.asked[MEETING] <= 3
    assert await harness.announced() == [(1, "live")] * 50


async def test_checks_beyond_the_concurrency_limit_wait(harness: PollerHarness) -> None:
    """Checks that people request have a limit of their own."""
    harness.cloudflare.open.clear()
    ids = [UUID(int=number) for number in range(40)]
    for meeting_id in ids:
        await harness.follow(meeting_id)
    await harness.until(lambda: harness.cloudflare.asking == MAX_CONCURRENT_REFRESHES)
    await harness.until_asleep()
    assert harness.cloudflare.asking == MAX_CONCURRENT_REFRESHES

    assert await harness.store.meeting_sweeps.prioritize(ids) == len(ids) - MAX_CONCURRENT_REFRESHES
    harness.poller._wake_up.set()
    most = MAX_CONCURRENT_REFRESHES + MAX_CONCURRENT_CHECKS
    await harness.until(lambda: harness.cloudflare.asking == most)
    await harness.until_asleep()
    assert harness.cloudflare.asking == most

    harness.cloudflare.open.set()
    await harness.settle()

    assert harness.cloudflare.asked == dict.fromkeys(ids, 1)
    assert harness.cloudflare.most_at_once == most


async def test_no_check_begins_while_the_rate_limit_is_used_up(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.settle()
    harness.cloudflare.asked.clear()
    await harness.store.request_windows.add(1000)
    harness.rate_budget.record_request()
    await harness.idle_for(10)
    assert not harness.rate_budget.can_check()
    assert await harness.store.meeting_queue.request_check(MEETING)
    await harness.idle_for(5)
    assert harness.cloudflare.asked == {}

    await harness.idle_for(350)
    await harness.settle()

    assert harness.cloudflare.asked[MEETING] >= 1


async def due_in_a_minute(harness: PollerHarness, number: int, *, spent: int) -> None:
    """Follow and check this number of meetings, and use up this part of the rate limit."""
    for each in range(number):
        await harness.follow(UUID(int=each))
    await harness.settle()
    harness.cloudflare.asked.clear()
    harness.cloudflare.asked_at.clear()
    await harness.store.request_windows.add(spent)


async def test_checks_are_spread_out_when_few_requests_are_left(harness: PollerHarness) -> None:
    await due_in_a_minute(harness, 10, spent=400)
    await harness.idle_for(60)
    assert harness.rate_budget.delay()

    def asked_of_all(number: int) -> bool:
        return sum(harness.cloudflare.asked.values()) == number

    for number in range(10):
        await harness.until(partial(asked_of_all, number + 1))
        await harness.until_asleep()
        harness.clock.advance(0.5)

    assert harness.cloudflare.asked_at == [60 + 0.5 * number for number in range(10)]


async def test_news_does_not_wait_for_the_pause_between_other_checks(harness: PollerHarness) -> None:
    """News: a list shows a change, or a person or a webhook requested the check."""
    await due_in_a_minute(harness, 20, spent=500)
    await harness.idle_for(60)
    assert sum(harness.cloudflare.asked.values()) == 1
    changed = [UUID(int=number) for number in range(20) if UUID(int=number) not in harness.cloudflare.asked][:5]
    assert await harness.store.meeting_sweeps.prioritize(changed[:2]) == 2
    assert await harness.store.meeting_sweeps.prioritize(changed[2:4], CHANGED) == 2
    assert await harness.store.meeting_queue.request_check(changed[4])
    harness.poller._wake_up.set()
    await harness.until(lambda: harness.cloudflare.asked.keys() >= set(changed))
    await harness.until_asleep()

    assert sum(harness.cloudflare.asked.values()) == 6


async def test_last_quarter_of_the_requests_is_for_news(harness: PollerHarness) -> None:
    await due_in_a_minute(harness, 2, spent=601)
    await harness.idle_for(90)
    assert harness.cloudflare.asked == {}

    one, other = UUID(int=0), UUID(int=1)
    assert await harness.store.meeting_sweeps.prioritize([other]) == 1
    harness.poller._wake_up.set()
    await harness.until(lambda: harness.cloudflare.asked)
    await harness.until_asleep()
    assert harness.cloudflare.asked == {other: 1}

    await harness.idle_for(300)
    await harness.settle()
    assert harness.cloudflare.asked[one] >= 1


async def test_no_check_begins_before_cloudflares_retry_time(harness: PollerHarness) -> None:
    harness.rate_limit.seconds = 120
    await harness.follow()
    await harness.idle_for(120, step=30)
    assert harness.cloudflare.asked == {}

    harness.rate_limit.seconds = 0
    harness.clock.advance(5)
    await harness.settle()

    assert harness.cloudflare.asked[MEETING] == 1


async def test_rate_limited_check_is_repeated_at_cloudflares_retry_time(harness: PollerHarness) -> None:
    harness.cloudflare.open.clear()
    await harness.follow()
    await harness.until(lambda: harness.cloudflare.asking)
    harness.rate_limit.seconds = 200
    harness.cloudflare.open.set()
    await harness.settle()

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


async def test_check_of_a_killed_process_is_repeated_after_its_lease(tmp_path: Path) -> None:
    async with running_poller(tmp_path, run=False) as harness:
        await harness.follow()
        harness.cloudflare.open.clear()
        running = asyncio.create_task(harness.poller.run())
        await harness.until(lambda: harness.cloudflare.asking)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await harness.store.meeting_queue.due_in() == LEASE_SECONDS

        harness.cloudflare.open.set()
        harness.set_status("LIVE")
        harness.clock.advance(LEASE_SECONDS)
        again = asyncio.create_task(harness.new_poller("next").run())
        await harness.until(lambda: harness.announcer.count)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)

        assert await harness.announced() == [(1, "live")]


async def test_check_that_lost_its_lease_records_nothing(harness: PollerHarness) -> None:
    harness.cloudflare.open.clear()
    await harness.follow()
    await harness.until(lambda: harness.cloudflare.asking)
    # Otherwise it would claim the meeting again when the lease has ended.
    harness.rate_limit.seconds = 2 * LEASE_SECONDS
    await harness.until_asleep()
    harness.clock.advance(LEASE_SECONDS)
    (taken,) = await harness.store.meeting_queue.claim("other", 1, LEASE_SECONDS)
    harness.set_status("LIVE")
    harness.cloudflare.open.set()
    await harness.settle()

    assert harness.announcer.count == 0
    assert harness.count("episode_changes_total", kind="live") == 0
    await harness.store.meeting_queue.release(taken, next_check_in=60)


async def test_check_with_a_bug_is_logged_and_repeated_after_its_lease(
    harness: PollerHarness, log: io.StringIO
) -> None:
    harness.cloudflare.says[MEETING] = ZeroDivisionError()
    await harness.follow()
    await harness.follow(OTHER_MEETING)
    await harness.settle()
    assert len(logged(log, "check_failed")) == 1
    harness.set_status("LIVE")
    await harness.run_for(LEASE_SECONDS)

    assert await harness.announced() == [(1, "live")]
    assert harness.cloudflare.asked[OTHER_MEETING] == 1


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("claim", DatabaseUnavailable),
        ("due_in", ZeroDivisionError),
        ("record", DatabaseUnavailable),
        ("record", ZeroDivisionError),
    ],
)
async def test_poller_waits_and_reports_while_the_database_is_down(
    harness: PollerHarness, mocker: MockerFixture, method: str, error: type[Exception]
) -> None:
    await harness.follow()
    await harness.run_for(10)
    patched = mocker.patch.object(harness.store.meeting_queue, method, side_effect=error)
    harness.set_status("LIVE")
    await harness.idle_for(200)
    assert patched.call_count >= 1
    assert (harness.poller.stall_problem() is None) is (method == "record")
    mocker.stopall()
    harness.clock.advance(5)
    await harness.run_for(LEASE_SECONDS)

    assert await harness.announced() == [(1, "live")]
    assert harness.poller.stall_problem() is None


async def test_loop_that_stands_still_for_a_minute_is_reported(tmp_path: Path) -> None:
    async with running_poller(tmp_path, run=False) as harness:
        harness.clock.advance(60)
        assert harness.poller.stall_problem() is None
        harness.clock.advance(1)

        assert harness.poller.stall_problem() == "The poller is stuck, so changes go unnoticed."


async def test_idle_poller_is_not_stuck(harness: PollerHarness) -> None:
    await harness.run_for(300)

    assert harness.poller.stall_problem() is None


async def test_checks_continue_when_the_clock_is_set_back(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.run_for(5)
    harness.set_status("LIVE", began=0)
    await harness.run_for(60)
    harness.clock._restart_from(EPOCH - 3600)
    harness.clock._wake()
    harness.poller._wake_up.set()
    await harness.settle()
    harness.cloudflare.asked.clear()
    harness.set_status(None)
    await harness.run_for(150)

    assert harness.cloudflare.asked[MEETING] >= 4
    assert await harness.announced() == [(1, "live"), (1, "ended")]


async def test_list_confirms_that_the_session_is_still_live(harness: PollerHarness) -> None:
    """The livestream did not end when it was last checked, an hour ago."""
    await harness.follow()
    harness.set_status("LIVE", began=0)
    await harness.run_for(30)
    # No check is made in this time.
    harness.rate_limit.seconds = 60
    for _ in range(20):
        harness.clock.advance(50)
        assert await harness.store.meeting_sweeps.confirm([MEETING], "live", failures=3, next_check_in=60) == 1
    harness.rate_limit.seconds = 0
    harness.set_status("LIVE", began=1000)
    await harness.deliver_webhook()

    assert await harness.announced() == [(1, "live")]


async def test_list_confirms_a_waiting_meeting_after_failed_checks(harness: PollerHarness) -> None:
    await harness.follow()
    harness.cloudflare.says[MEETING] = Unreachable()
    await harness.run_for(60)
    harness.clock.advance(1)
    assert await harness.store.meeting_sweeps.confirm([MEETING], "waiting", failures=3, next_check_in=60) == 1
    await harness.run_for(61, step=61)

    (card,) = await harness.cards()
    assert not card.is_stale
    async with harness.store._db.read_only() as connection:
        recorded = Episode.from_dict((await connection.execute(sa.select(meetings.c.episode_state))).scalar_one())
    assert recorded.failed_checks == 1
    assert recorded.checked_at == utc(harness.clock) - timedelta(seconds=61)


async def test_requested_check_refreshes_the_card_without_trust_in_webhooks(harness: PollerHarness) -> None:
    await harness.follow()
    await harness.run_for(30)
    changed = harness.announcer.count

    await harness.refresh()
    await harness.settle()

    assert harness.announcer.count == changed + 1
    harness.set_status("LIVE", began=9)
    await harness.refresh()
    await harness.settle()
    assert not harness.poller._webhook_trust.trusted
