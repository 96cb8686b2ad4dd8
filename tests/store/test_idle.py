"""Idle meetings: a list of all livestreams replaces their checks, and writes nothing for them."""

from uuid import UUID

import pytest
import sqlalchemy as sa

from bot.store.database import Database
from bot.store.meetings import LIST_SECONDS, WHOLE_LIST
from bot.store.rows import from_epoch
from bot.store.schema import meetings
from bot.store.store import Store
from tests.store.helpers import (
    CHANNEL,
    LEASE,
    MEETING,
    OTHER_MEETING,
    TEAM,
    Clock,
    Episode,
    follow,
    follow_and_check,
    look,
)

THIRD_MEETING = UUID(int=3)


async def shown_check_time(store: Store) -> float:
    """Return the time of the last check that people see."""
    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.last_checked_at is not None
    return listed.last_checked_at.timestamp()


@pytest.mark.parametrize("phase", ["waiting", "ended"])
async def test_fresh_list_replaces_the_checks_of_idle_meetings(store: Store, clock: Clock, phase: str) -> None:
    await follow_and_check(store, phase=phase)
    for _ in range(20):
        clock.advance(60)
        await store.singleton_jobs.record(WHOLE_LIST)

    assert await store.meeting_queue.due_in() is None
    assert await store.meeting_queue.claim("t", 10, LEASE) == []
    assert (await store.maintenance.stats()).meetings_due == 0
    assert await shown_check_time(store) == clock.time


@pytest.mark.parametrize("phase", ["starting", "live", "interrupted", "errored"])
async def test_list_does_not_replace_the_checks_of_meetings_on_air(store: Store, clock: Clock, phase: str) -> None:
    await follow_and_check(store, phase=phase)
    checked = clock.time
    clock.advance(60)
    await store.singleton_jobs.record(WHOLE_LIST)

    assert await store.meeting_queue.due_in() == 0
    assert await shown_check_time(store) == checked


async def test_idle_meetings_are_checked_once_the_list_is_outdated(store: Store, clock: Clock) -> None:
    """The time of the list counts as that of their last check."""
    await follow_and_check(store)
    clock.advance(60)
    await store.singleton_jobs.record(WHOLE_LIST)
    read = clock.time
    clock.advance(LIST_SECONDS + 1)

    assert await store.meeting_queue.due_in() == 0
    assert (await store.maintenance.stats()).meetings_due == 1
    assert await shown_check_time(store) == read
    assert (await look(store)).last_checked_at == from_epoch(read)


async def test_list_from_before_the_last_check_does_not_count_as_the_last_check(store: Store, clock: Clock) -> None:
    await store.singleton_jobs.record(WHOLE_LIST, 5)
    await follow_and_check(store)

    assert await shown_check_time(store) == clock.time


async def test_list_from_the_future_is_ignored(store: Store, clock: Clock) -> None:
    """The clock was set back after the list was read."""
    await follow_and_check(store)
    clock.advance(3600)
    await store.singleton_jobs.record(WHOLE_LIST)
    clock.advance(-3500)

    assert await store.meeting_queue.due_in() == 0
    assert await shown_check_time(store) <= clock.time


async def test_requested_contradicted_and_abandoned_checks_ignore_the_list(store: Store, clock: Clock) -> None:
    await follow_and_check(store)
    await follow_and_check(store, OTHER_MEETING)
    clock.advance(10)
    await store.singleton_jobs.record(WHOLE_LIST)
    assert await store.meeting_queue.request_check(MEETING)
    assert (await look(store)).meeting_id == MEETING
    clock.advance(LEASE)
    await store.singleton_jobs.record(WHOLE_LIST)
    assert (await look(store)).meeting_id == MEETING

    assert await store.meeting_sweeps.prioritize([OTHER_MEETING]) == 1

    assert (await look(store)).meeting_id == OTHER_MEETING


async def test_meeting_that_is_no_longer_idle_keeps_the_time_of_the_list(store: Store, clock: Clock) -> None:
    """Else a card would say, once the check fails, that nothing is known since the one before."""
    for meeting_id in (MEETING, OTHER_MEETING, THIRD_MEETING):
        await follow_and_check(store, meeting_id)
    clock.advance(4000)
    await store.singleton_jobs.record(WHOLE_LIST)
    read = clock.time
    clock.advance(1)

    assert await store.meeting_queue.request_check(MEETING)
    assert await store.meeting_sweeps.prioritize([OTHER_MEETING]) == 1
    assert await store.meeting_sweeps.make_idle_due(5, unchecked_for=3600) == 1

    due = await store.meeting_queue.claim("t", 10, LEASE)
    assert {each.meeting_id: each.last_checked_at for each in due} == dict.fromkeys(
        (MEETING, OTHER_MEETING, THIRD_MEETING), from_epoch(read)
    )


async def test_failed_check_is_repeated_despite_a_fresh_list(store: Store, clock: Clock) -> None:
    await follow_and_check(store)
    clock.advance(10)
    await store.singleton_jobs.record(WHOLE_LIST)
    assert await store.meeting_queue.request_check(MEETING)
    await store.meeting_queue.release(await look(store), next_check_in=15, failures=1)

    assert await store.meeting_queue.due_in() == 15


async def test_new_follow_is_checked_despite_a_fresh_list(store: Store) -> None:
    await store.singleton_jobs.record(WHOLE_LIST)
    await follow(store)

    assert (await look(store)).meeting_id == MEETING


async def test_lists_write_nothing_for_idle_meetings(store: Store, database: Database, clock: Clock) -> None:
    await follow_and_check(store)
    async with database.read_only() as connection:
        before = (await connection.execute(sa.select(meetings))).one()
    for _ in range(40):
        clock.advance(15)
        assert await store.meeting_sweeps.confirm_idle(failures=3, next_check_in=300) == 0
        await store.singleton_jobs.record(WHOLE_LIST)
        assert await store.meeting_queue.claim("t", 10, LEASE) == []
    async with database.read_only() as connection:
        assert (await connection.execute(sa.select(meetings))).one() == before


async def test_idle_meetings_not_checked_for_longest_are_made_due_first(store: Store, clock: Clock) -> None:
    """A few at a time, each once an hour; one that is requested is left alone."""
    ids = [UUID(int=number) for number in range(1, 7)]
    for meeting in ids:
        await store.singleton_jobs.record(WHOLE_LIST)
        await follow_and_check(store, meeting)
        clock.advance(60)
    clock.advance(3600 - 3 * 60)
    await store.singleton_jobs.record(WHOLE_LIST)
    assert await store.meeting_queue.request_check(ids[0])

    assert await store.meeting_sweeps.make_idle_due(2, unchecked_for=3600) == 2
    assert {each.meeting_id for each in await store.meeting_queue.claim("t", 10, LEASE)} == {*ids[:3]}
    assert await store.meeting_sweeps.make_idle_due(9, unchecked_for=3600) == 1
    assert {each.meeting_id for each in await store.meeting_queue.claim("t", 10, LEASE)} == {ids[3]}


async def test_idle_meetings_are_checked_after_the_clock_was_set_back(store: Store, clock: Clock) -> None:
    await follow_and_check(store)
    clock.advance(-86_400)
    await store.singleton_jobs.record(WHOLE_LIST)

    assert await store.meeting_sweeps.make_idle_due(5, unchecked_for=3600) == 1


@pytest.fixture
def spaced(store: Store, clock: Clock) -> Store:
    """Return a store that keeps two seconds between checks of a meeting."""
    return Store(store._db)


async def request_check(store: Store, by: str, channel: str) -> None:
    match by:
        case "request":
            assert await store.meeting_queue.request_check(MEETING)
        case "resumption":
            await store.pauses.resume(TEAM, channel)
        case _:
            await follow(store, channel)


@pytest.mark.parametrize("by", ["request", "new follow", "resumption", "paused follow"])
async def test_checks_requested_in_any_way_are_two_seconds_apart(spaced: Store, clock: Clock, by: str) -> None:
    """Twenty requests within a second lead to one check at once and one after the spacing, so none is lost."""
    await follow_and_check(spaced)
    if by in ("resumption", "paused follow"):
        for number in range(20):
            await follow(spaced, f"C{number}")
        for card in await spaced.card_queue.claim("a", 50, LEASE):
            assert await spaced.pauses.pause(card, "not_in_channel")
    clock.advance(30)
    checks = 0
    for number in range(20):
        await request_check(spaced, by, f"C{number}")
        for due in await spaced.meeting_queue.claim("t", 10, LEASE):
            checks += 1
            if by == "request":  # another one during the check
                assert await spaced.meeting_queue.request_check(MEETING)
            await spaced.meeting_queue.record(due, Episode(), next_check_in=60)
        clock.advance(0.05)
    assert checks == 1
    wait = spaced.meeting_queue.due_in() if by == "request" else spaced.meeting_queue.refresh_due_in()
    assert await wait == pytest.approx(1.0, abs=0.01)

    clock.advance(1.1)

    assert (await look(spaced)).check_requested


async def test_request_during_a_check_leads_to_another_check(spaced: Store, clock: Clock) -> None:
    await follow_and_check(spaced)
    clock.advance(30)
    await spaced.meeting_queue.request_check(MEETING)
    due = await look(spaced)
    await spaced.meeting_queue.request_check(MEETING)
    await spaced.meeting_queue.record(due, Episode(), next_check_in=60)
    await spaced.singleton_jobs.record(WHOLE_LIST)
    assert await spaced.meeting_queue.due_in() == 2

    clock.advance(2)

    assert (await look(spaced)).check_requested
