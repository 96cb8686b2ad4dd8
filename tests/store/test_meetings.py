"""What a list says of many meetings at once."""

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
from tests.store.helpers import CHANNEL, LEASE, MEETING, OTHER_MEETING, TEAM, Clock, Episode, follow, look

SETTLED = {"failures": 3, "next_check_in": 60}


async def met(store: Store, meeting: UUID = MEETING, phase: str = "waiting", *, next_check_in: float = 15) -> None:
    """A meeting that is followed, was looked at, and rests."""
    await follow(store, meeting=meeting)
    await store.meeting_queue.record(await look(store), Episode(phase=phase), next_check_in=next_check_in)


def phases(known: dict[UUID, Known]) -> dict[UUID, str]:
    return {meeting_id: each.phase for meeting_id, each in known.items()}


async def settle(store: Store, phase: str = "waiting", *meeting_ids: UUID) -> int:
    return await store.meeting_sweeps.confirm(meeting_ids or [MEETING], phase, failures=3, next_check_in=60)


async def settle_resting(store: Store) -> int:
    return await store.meeting_sweeps.confirm_idle(failures=3, next_check_in=300)


async def test_is_anything_followed(store: Store) -> None:
    """At least one meeting."""
    assert not await store.meeting_sweeps.is_anything_followed()
    await met(store)
    assert await store.meeting_sweeps.is_anything_followed()

    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")

    assert not await store.meeting_sweeps.is_anything_followed()


async def test_phases(store: Store) -> None:
    """Of what goes on, or of those that are asked for, as far as they are followed."""
    for number, phase in enumerate(["waiting", "starting", "live", "interrupted", "errored", "ended"]):
        await met(store, UUID(int=number), phase)
    await met(store, UUID(int=10), "live")
    await store.follows.unfollow(TEAM, CHANNEL, UUID(int=10), user_id="U2")

    on_air = {UUID(int=1): "starting", UUID(int=2): "live", UUID(int=3): "interrupted", UUID(int=4): "errored"}
    assert phases(await store.meeting_sweeps.on_air()) == on_air
    asked = await store.meeting_sweeps.known([UUID(int=number) for number in (0, 2, 10, 11)])
    assert phases(asked) == {UUID(int=0): "waiting", UUID(int=2): "live"}
    assert await store.meeting_sweeps.known([]) == {}


async def test_look_first(store: Store, clock: Clock) -> None:
    """Before those that have waited longer, and not as if somebody had check_requested at it."""
    await met(store, next_check_in=10)
    await met(store, OTHER_MEETING, next_check_in=60)
    clock.advance(30)

    assert await store.meeting_sweeps.prioritize([OTHER_MEETING]) == 1

    first, second = await store.meeting_queue.claim("t", 10, LEASE)
    assert [first.meeting_id, second.meeting_id] == [OTHER_MEETING, MEETING]
    assert not first.check_requested


async def test_checks_that_nothing_asked_for_come_last(store: Store, clock: Clock) -> None:
    await met(store, next_check_in=60)
    await met(store, OTHER_MEETING, next_check_in=60)
    assert await store.meeting_sweeps.make_due([MEETING]) == 1
    assert await store.meeting_sweeps.prioritize([OTHER_MEETING]) == 1

    first, second = await store.meeting_queue.claim("t", 10, LEASE)

    assert [first.meeting_id, second.meeting_id] == [OTHER_MEETING, MEETING]


async def test_what_a_list_contradicts_comes_before_what_it_leaves_unsure(store: Store, clock: Clock) -> None:
    """Nothing that is due for a lesser reason is put off by a list that confirms it."""
    for number in range(1, 4):
        await met(store, UUID(int=number), "live", next_check_in=60)
    clock.advance(5)
    assert await store.meeting_sweeps.prioritize([UUID(int=1), UUID(int=3)], UNSURE) == 2
    assert await store.meeting_sweeps.prioritize([UUID(int=2)], CHANGED) == 1
    assert await settle(store, "live", *(UUID(int=number) for number in range(1, 4))) == 0
    assert await store.meeting_sweeps.prioritize([UUID(int=2)], UNSURE) == 0
    assert await store.meeting_sweeps.make_due([UUID(int=1)]) == 0
    assert await store.meeting_sweeps.prioritize([UUID(int=3)]) == 1

    due = await store.meeting_queue.claim("t", 10, LEASE)

    assert [each.meeting_id.int for each in due] == [3, 2, 1]


async def test_the_end_of_a_grace_period_comes_before_what_a_list_leaves_unsure(store: Store, clock: Clock) -> None:
    await met(store, UUID(int=1), "live", next_check_in=60)
    await met(store, UUID(int=2), "interrupted", next_check_in=60)
    await store.meeting_sweeps.prioritize([UUID(int=1)], UNSURE)
    clock.advance(61)

    due = await store.meeting_queue.claim("t", 10, LEASE)

    assert [each.meeting_id.int for each in due] == [2, 1]


async def test_news_alone_is_claimed_where_the_rest_has_to_wait(store: Store, clock: Clock) -> None:
    """What is requested, what a list says something new of, and what waits for the end of a grace period."""
    for number in range(1, 7):
        await met(store, UUID(int=number), "interrupted" if number == 6 else "live", next_check_in=60)
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


async def test_the_age_of_a_check_is_not_that_of_a_list(store: Store, clock: Clock) -> None:
    """Nor of an answer: a check that failed was one, too."""
    await met(store, phase="live")
    clock.advance(20)
    assert await settle(store, "live") == 1
    assert (await store.meeting_sweeps.on_air())[MEETING].unchecked_for == 20
    clock.advance(60)
    await store.meeting_queue.release(await look(store), next_check_in=15, failures=1)
    clock.advance(5)

    assert (await store.meeting_sweeps.on_air())[MEETING].unchecked_for == 5


async def test_what_is_not_at_rest(store: Store) -> None:
    """What somebody looks at, was check_requested at, or is to be looked at first, is left alone."""
    await met(store)
    await store.meeting_queue.request_check(MEETING)
    assert await store.meeting_sweeps.prioritize([MEETING]) == 0
    assert await settle(store) == 0
    assert await settle_resting(store) == 0
    due = await look(store)
    assert await store.meeting_sweeps.prioritize([MEETING]) == 0
    assert await settle(store) == 0
    assert await settle_resting(store) == 0
    assert await store.meeting_queue.release(due, next_check_in=15)

    assert await store.meeting_sweeps.prioritize([MEETING]) == 1
    assert await store.meeting_sweeps.prioritize([MEETING]) == 0
    assert await settle(store) == 0
    assert await settle_resting(store) == 0
    assert await store.meeting_queue.due_in() == 0


async def test_nobody_follows(store: Store) -> None:
    """What nobody follows stays at rest."""
    await met(store)
    await store.follows.unfollow(TEAM, CHANNEL, MEETING, user_id="U2")

    assert await store.meeting_sweeps.prioritize([MEETING]) == 0
    assert await settle(store) == 0
    assert await settle_resting(store) == 0
    assert await store.meeting_queue.due_in() is None


@pytest.mark.parametrize("resting", [True, False])
async def test_settle(store: Store, clock: Clock, resting: bool) -> None:
    """It was seen now, is looked at later, and its failures are over."""
    await met(store)
    clock.advance(15)
    await store.meeting_queue.release(await look(store), next_check_in=15, failures=2)
    clock.advance(5)

    assert await (settle_resting(store) if resting else settle(store)) == 1

    (listed,) = await store.follows.in_channel(TEAM, CHANNEL)
    assert listed.last_checked_at == from_epoch(clock.time)
    assert listed.failures == 0
    assert await store.meeting_queue.due_in() == (300 if resting else 60)


async def test_what_fails(store: Store, clock: Clock) -> None:
    """A meeting whose card says that Cloudflare cannot be asked is looked at, so that it says something else."""
    await met(store)
    clock.advance(15)
    await store.meeting_queue.release(await look(store), next_check_in=15, failures=3)

    assert await settle(store) == 0
    assert await settle_resting(store) == 0


@dataclass(frozen=True)
class Told(Episode):
    """An episode of which something was announced."""

    told: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "last_announced": self.told}


@pytest.mark.parametrize(
    ("phase", "told", "settled"),
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
async def test_what_is_to_be_announced_if_it_lasts(store: Store, phase: str, told: str | None, settled: int) -> None:
    """The check that announces an error, or the return from one, is not put off by a list that confirms it."""
    await follow(store)
    await store.meeting_queue.record(await look(store), Told(phase=phase, told=told), next_check_in=15)

    assert await settle(store, phase) == settled


async def test_another_phase(store: Store) -> None:
    """What has changed since it was compared is not settled."""
    await met(store, phase="live")

    assert await settle(store, "starting") == 0
    assert await settle_resting(store) == 0
    assert await settle(store, "live") == 1


async def test_what_a_short_failure_has_kept_busy_is_settled_once(store: Store, clock: Clock) -> None:
    await met(store, UUID(int=1), "waiting")
    await met(store, UUID(int=2), "ended")
    clock.advance(15)
    for due in await store.meeting_queue.claim("t", 10, LEASE):
        await store.meeting_queue.release(due, next_check_in=15, failures=2)

    assert await settle_resting(store) == 2
    assert await settle_resting(store) == 0


async def test_many(store: Store, database: Database) -> None:
    """More than a statement has room for."""
    await met(store)
    async with database.transaction() as connection:
        row = dict((await connection.execute(sa.select(meetings))).mappings().one())
        follow_row = dict((await connection.execute(sa.select(follows))).mappings().one())
        ids = [UUID(int=number) for number in range(1000, 2600)]
        await connection.execute(sa.insert(meetings), [row | {"meeting_id": each} for each in ids])
        await connection.execute(sa.insert(follows), [follow_row | {"id": each, "meeting_id": each} for each in ids])
    statements: list[str] = []
    engine = store._db.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    assert len(await store.meeting_sweeps.known(ids)) == 1600
    assert await settle(store, "waiting", *ids) == 1600
    assert await settle_resting(store) == 500
    assert await store.meeting_sweeps.prioritize(ids) == 1600

    assert len([statement for statement in statements if not statement.startswith("BEGIN")]) <= 4 + 8 + 2 + 8
