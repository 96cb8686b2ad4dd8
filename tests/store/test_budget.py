"""One budget of questions for all replicas, in any five minutes."""

from bot.store.budget import Budget
from bot.store.database import Database
from bot.store.store import Store
from tests.store.acting import Clock


async def test_take(store: Store) -> None:
    """So many and no more."""
    assert [await store.budget.take(3) for _ in range(5)] == [True, True, True, False, False]
    assert await store.budget.used() == 3


async def test_several_at_once(store: Store) -> None:
    """All of them or none."""
    assert await store.budget.take(10, count=8)
    assert not await store.budget.take(10, count=3)
    assert await store.budget.take(10, count=2)


async def test_people_go_first(store: Store) -> None:
    """Who takes up to a smaller limit leaves the rest to them."""
    while await store.budget.take(5):
        pass

    assert await store.budget.take(8)


async def test_replicas_share_it(store: Store, database: Database) -> None:
    """What one takes another one has not."""
    assert await store.budget.take(1)

    assert not await Budget(database).take(1)


async def test_it_comes_back(store: Store, clock: Clock) -> None:
    """Five minutes later, and never more than the limit in any five minutes on the way."""
    taken: list[float] = []
    for _ in range(200):
        if await store.budget.take(10):
            taken.append(clock.time)
        clock.advance(7)

    for start in taken:
        assert sum(start <= time < start + 300 for time in taken) <= 10
    assert len(taken) >= 10 * (200 * 7 // 330)


async def test_the_clock_is_set_back(store: Store, clock: Clock) -> None:
    """What was taken in a time that has not come does not count."""
    await store.budget.take(1)

    clock.advance(-3600)

    assert await store.budget.take(1)
