"""One rate limit for all replicas, in any five minutes."""

from bot.store.request_windows import Used
from bot.store.store import Store
from tests.store.helpers import Clock


async def test_requests_of_all_replicas_and_of_people_are_counted(replicas: list[Store]) -> None:
    store, another, *_ = replicas
    assert await store.request_windows.count() == Used()

    assert await store.request_windows.add(3) == Used(3, 0)
    assert await another.request_windows.add(7, people=4) == Used(10, 4)

    assert await store.request_windows.add(1, people=1) == Used(11, 5)
    assert await store.request_windows.count() == Used(11, 5)


async def test_request_counts_for_five_minutes_and_at_most_half_a_minute_more(store: Store, clock: Clock) -> None:
    spent: list[float] = []
    for _ in range(100):
        counted = (await store.request_windows.add(1)).all
        spent.append(clock.time)
        assert sum(clock.time - 300 <= time for time in spent) <= counted
        assert counted <= sum(clock.time - 330 <= time for time in spent)
        clock.advance(7)


async def test_requests_in_the_future_do_not_count_after_the_clock_was_set_back(store: Store, clock: Clock) -> None:
    await store.request_windows.add(1)

    clock.advance(-3600)

    assert (await store.request_windows.add(1)).all == 1
