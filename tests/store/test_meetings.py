"""Applying a list of livestreams to many meetings at once."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from bot.store.database import Database
from bot.store.meetings import CHANGED, UNSURE, Known
from bot.store.rows import from_epoch
from bot.store.schema import follows, meetings
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
    recorded_statements,
)


def phases(known: dict[UUID, Known]) -> dict[UUID, str]:
    return {meeting_id: each.phase for meeting_id, each in known.items()}


async def confirm(store: Store, phase: str = "waiting", *meeting_ids: UUID) -> int:
    return await store.meeting_sweeps.confirm(meeting_ids or [MEETING], phase, failures=3, next_check_in=60)


async def confirm_idle(store: Store) -> int:
    return await store.meeting_sweeps.confirm_idle(failures=3, next_check_in=300)


async def test_store_knows_whether_any_meeting_is_followed(store: Store) -> None:
    assert not await store.meeting_sweeps.is_anything_followed()
    await follow_and_check(store)
    assert await store.meeting_sweeps.is_anything_followed()

    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")

    assert not await store.meeting_sweeps.is_anything_followed()


async def test_only_followed_meetings_are_compared_with_a_list(store: Store) -> None:
    for number, phase in enumerate(["waiting", "starting", "live", "interrupted", "errored", "ended"]):
        await follow_and_check(store, UUID(int=number), phase)
    await follow_and_check(store, UUID(int=10), "live")
    await store.follows.unfollow(TEAM, CHANNEL, UUID(int=10), user_id="U2")

    on_air = {UUID(int=1): "starting", UUID(int=2): "live", UUID(int=3): "interrupted", UUID(int=4): "errored"}
    assert phases(await store.meeting_sweeps.on_air()) == on_air
    requested = await store.meeting_sweeps.known([UUID(int=number) for number in (0, 2, 10, 11)])
    assert phases(requested) == {UUID(int=0): "waiting", UUID(int=2): "live"}
    assert await store.meeting_sweeps.known([]) == {}


async def test_prioritized_meeting_is_claimed_before_longer_overdue_ones(store: Store, clock: Clock) -> None:
    """It does not count as a requested check."""
    await follow_and_check(store, next_check_in=10)
    await follow_and_check(store, OTHER_MEETING)
    clock.advance(30)

    assert await store.meeting_sweeps.prioritize([OTHER_MEETING]) == 1

    first, second = await store.meeting_queue.claim("t", 10, LEASE)
    assert [first.meeting_id, second.meeting_id] == [OTHER_MEETING, MEETING]
    assert not first.check_requested


async def test_meeting_made_due_is_claimed_after_a_prioritized_one(store: Store, clock: Clock) -> None:
    await follow_and_check(store)
    await follow_and_check(store, OTHER_MEETING)
    assert await store.meeting_sweeps.make_due([MEETING]) == 1
    assert await store.meeting_sweeps.prioritize([OTHER_MEETING]) == 1

    first, second = await store.meeting_queue.claim("t", 10, LEASE)

    assert [first.meeting_id, second.meeting_id] == [OTHER_MEETING, MEETING]


async def test_contradicted_meetings_are_claimed_before_changed_and_unsure_ones(store: Store, clock: Clock) -> None:
    """A rank only rises: neither a lower rank nor a list that confirms the meeting postpones its check."""
    for number in range(1, 4):
        await follow_and_check(store, UUID(int=number), "live")
    clock.advance(5)
    assert await store.meeting_sweeps.prioritize([UUID(int=1), UUID(int=3)], UNSURE) == 2
    assert await store.meeting_sweeps.prioritize([UUID(int=2)], CHANGED) == 1
    assert await confirm(store, "live", *(UUID(int=number) for number in range(1, 4))) == 0
    assert await store.meeting_sweeps.prioritize([UUID(int=2)], UNSURE) == 0
    assert await store.meeting_sweeps.make_due([UUID(int=1)]) == 0
    assert await store.meeting_sweeps.prioritize([UUID(int=3)]) == 1

    due = await store.meeting_queue.claim("t", 10, LEASE)

    assert [each.meeting_id.int for each in due] == [3, 2, 1]


async def test_end_of_a_grace_period_is_checked_before_unsure_meetings(store: Store, clock: Clock) -> None:
    await follow_and_check(store, UUID(int=1), "live")
    await follow_and_check(store, UUID(int=2), "interrupted")
    await store.meeting_sweeps.prioritize([UUID(int=1)], UNSURE)
    clock.advance(61)

    due = await store.meeting_queue.claim("t", 10, LEASE)

    assert [each.meeting_id.int for each in due] == [2, 1]


async def test_only_news_is_claimed_if_all_else_has_to_wait(store: Store, clock: Clock) -> None:
    """News are requested checks, contradicted or changed meetings, and ends of grace periods."""
    for number in range(1, 7):
        await follow_and_check(store, UUID(int=number), "interrupted" if number == 6 else "live")
    assert await store.meeting_queue.due_in(only_news=True) == 60
    await store.meeting_sweeps.make_due([UUID(int=1)])
    await store.meeting_sweeps.prioritize([UUID(int=2)], UNSURE)
    assert await store.meeting_queue.due_in(only_news=True) == 60
    await store.meeting_sweeps.prioritize([UUID(int=3)], CHANGED)
    await store.meeting_sweeps.prioritize([UUID(int=4)])
    assert await store.meeting_queue.due_in(only_news=True) == 0
    await store.meeting_queue.request_check(UUID(int=5))
    clock.advance(61)

    due = await store.meeting_queue.claim("t", 10, LEASE, only_news=True)

    assert [each.meeting_id.int for each in due] == [5, 4, 3, 6]
    assert await store.meeting_queue.claim("t", 10, LEASE, only_news=True) == []
    assert [each.meeting_id.int for each in await store.meeting_queue.claim("t", 10, LEASE)] == [2, 1]


async def test_time_since_the_last_check_ignores_lists_and_counts_failures(store: Store, clock: Clock) -> None:
    await follow_and_check(store, phase="live")
    clock.advance(20)
    assert await confirm(store, "live") == 1
    assert (await store.meeting_sweeps.on_air())[MEETING].unchecked_for == 20
    clock.advance(60)
    await store.meeting_queue.release(await look(store), next_check_in=15, failures=1)
    clock.advance(5)

    assert (await store.meeting_sweeps.on_air())[MEETING].unchecked_for == 5


async def test_meeting_that_is_checked_requested_or_prioritized_is_left_alone(store: Store) -> None:
    await follow_and_check(store)
    await store.meeting_queue.request_check(MEETING)
    assert await store.meeting_sweeps.prioritize([MEETING]) == 0
    assert await confirm(store) == 0
    assert await confirm_idle(store) == 0
    due = await look(store)
    assert await store.meeting_sweeps.prioritize([MEETING]) == 0
    assert await confirm(store) == 0
    assert await confirm_idle(store) == 0
    await store.meeting_queue.release(due, next_check_in=15)

    assert await store.meeting_sweeps.prioritize([MEETING]) == 1
    assert await store.meeting_sweeps.prioritize([MEETING]) == 0
    assert await confirm(store) == 0
    assert await confirm_idle(store) == 0
    assert await store.meeting_queue.due_in() == 0


async def test_meeting_without_a_follow_is_neither_prioritized_nor_confirmed(store: Store) -> None:
    await follow_and_check(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")

    assert await store.meeting_sweeps.prioritize([MEETING]) == 0
    assert await confirm(store) == 0
    assert await confirm_idle(store) == 0
    assert await store.meeting_queue.due_in() is None


@pytest.mark.parametrize("idle", [True, False])
async def test_confirmed_meeting_is_checked_later_and_its_failures_are_reset(
    store: Store, clock: Clock, idle: bool
) -> None:
    await follow_and_check(store)
    clock.advance(60)
    await store.meeting_queue.release(await look(store), next_check_in=15, failures=2)
    clock.advance(5)

    assert await (confirm_idle(store) if idle else confirm(store)) == 1

    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.last_checked_at == from_epoch(clock.time)
    assert listed.failures == 0
    assert await store.meeting_queue.due_in() == (300 if idle else 60)


async def test_list_does_not_confirm_a_meeting_whose_card_shows_failed_checks(store: Store, clock: Clock) -> None:
    """Only a check updates the card."""
    await follow_and_check(store)
    clock.advance(60)
    await store.meeting_queue.release(await look(store), next_check_in=15, failures=3)

    assert await confirm(store) == 0
    assert await confirm_idle(store) == 0


@dataclass(frozen=True)
class AnnouncedEpisode(Episode):
    """An episode with its last announcement."""

    last_announced: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "last_announced": self.last_announced}


@pytest.mark.parametrize(
    ("phase", "last_announced", "confirmed"),
    [
        ("live", "live", 1),
        ("live", "back", 1),
        ("live", "errored", 0),
        ("live", None, 1),
        ("errored", "errored", 1),
        ("errored", "live", 0),
        ("errored", None, 0),
        ("starting", "starting", 1),
    ],
)
async def test_list_does_not_postpone_the_announcement_of_an_error_or_recovery(
    store: Store, phase: str, last_announced: str | None, confirmed: int
) -> None:
    await follow(store)
    await store.meeting_queue.record(
        await look(store), AnnouncedEpisode(phase=phase, last_announced=last_announced), next_check_in=15
    )

    assert await confirm(store, phase) == confirmed


async def test_meeting_in_another_phase_is_not_confirmed(store: Store) -> None:
    await follow_and_check(store, phase="live")

    assert await confirm(store, "starting") == 0
    assert await confirm_idle(store) == 0
    assert await confirm(store, "live") == 1


async def test_meeting_becomes_idle_again_after_a_short_failure(store: Store, clock: Clock) -> None:
    await follow_and_check(store, UUID(int=1), "waiting")
    await follow_and_check(store, UUID(int=2), "ended")
    clock.advance(60)
    for due in await store.meeting_queue.claim("t", 10, LEASE):
        await store.meeting_queue.release(due, next_check_in=15, failures=2)

    assert await confirm_idle(store) == 2
    assert await confirm_idle(store) == 0


async def test_many_meetings_take_few_statements(store: Store, database: Database) -> None:
    await follow_and_check(store)
    async with database.transaction() as connection:
        row = dict((await connection.execute(sa.select(meetings))).mappings().one())
        follow_row = dict((await connection.execute(sa.select(follows))).mappings().one())
        ids = [UUID(int=number) for number in range(1000, 2600)]
        await connection.execute(sa.insert(meetings), [row | {"meeting_id": each} for each in ids])
        await connection.execute(sa.insert(follows), [follow_row | {"id": each, "meeting_id": each} for each in ids])

    with recorded_statements(store) as statements:
        assert len(await store.meeting_sweeps.known(ids)) == 1600
        assert await confirm(store, "waiting", *ids) == 1600
        assert await confirm_idle(store) == 500
        assert await store.meeting_sweeps.prioritize(ids) == 1600

    assert len(statements) <= 4 + 8 + 2 + 8
