"""One rate limit for all replicas, in any five minutes."""

from bot.store.database import Database
from bot.store.request_windows import RequestWindow, Used
from bot.store.store import Store
from tests.store.helpers import Clock


async def test_spend(store: Store) -> None:
    """It says how many count now."""
    assert [(await store.request_windows.add(count)).all for count in (3, 1, 10)] == [3, 4, 14]
    assert (await store.request_windows.count()).all == 14


async def test_nothing_spent(store: Store) -> None:
    """Nothing counts."""
    assert await store.request_windows.count() == Used()


async def test_replicas_share_it(store: Store, database: Database) -> None:
    """What one has spent another one knows."""
    await store.request_windows.add(7)

    assert (await RequestWindow(database).add(1)).all == 8


async def test_it_comes_back(store: Store, clock: Clock) -> None:
    """Five minutes later, half a minute more at most, and never earlier."""
    spent: list[float] = []
    for _ in range(200):
        counted = (await store.request_windows.add(1)).all
        spent.append(clock.time)
        assert sum(clock.time - 300 <= time for time in spent) <= counted
        assert counted <= sum(clock.time - 330 <= time for time in spent)
        clock.advance(7)


async def test_the_clock_is_set_back(store: Store, clock: Clock) -> None:
    """What was spent in a time that has not come does not count."""
    await store.request_windows.add(1)

    clock.advance(-3600)

    assert (await store.request_windows.add(1)).all == 1


async def test_what_people_spend_is_counted_as_well(store: Store) -> None:
    await store.request_windows.add(5)
    await store.request_windows.add(7, people=4)

    assert await store.request_windows.add(1, people=1) == Used(13, 5)
    assert await store.request_windows.count() == Used(13, 5)
