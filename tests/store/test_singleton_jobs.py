"""What one replica does for all of them."""

import pytest

from bot.store.store import Store
from tests.store.helpers import LEASE, Clock


async def test_claim(store: Store) -> None:
    """It is due at once, and then only one replica's."""
    duty = await store.singleton_jobs.claim("sweep", "one", LEASE)

    assert duty is not None
    assert duty.name == "sweep"
    assert duty.last_run_ago is None
    assert await store.singleton_jobs.claim("sweep", "other", LEASE) is None


async def test_several_duties(store: Store) -> None:
    """One does not wait for another."""
    assert await store.singleton_jobs.claim("sweep", "one", LEASE)
    assert await store.singleton_jobs.claim("dust", "one", LEASE)


async def test_done(store: Store, clock: Clock) -> None:
    """It is due again at the given time, and its next worker knows when it was done."""
    duty = await store.singleton_jobs.claim("sweep", "one", LEASE)
    assert duty is not None

    assert await store.singleton_jobs.complete(duty, next_run_in=15)

    clock.advance(14)
    assert await store.singleton_jobs.claim("sweep", "other", LEASE) is None
    clock.advance(1)
    again = await store.singleton_jobs.claim("sweep", "other", LEASE)
    assert again is not None
    assert again.last_run_ago == 15


async def test_give_back(store: Store, clock: Clock) -> None:
    """What could not be done was not done."""
    duty = await store.singleton_jobs.claim("sweep", "one", LEASE)
    assert duty is not None

    assert await store.singleton_jobs.release(duty, next_run_in=30)

    clock.advance(30)
    again = await store.singleton_jobs.claim("sweep", "one", LEASE)
    assert again is not None
    assert again.last_run_ago is None


@pytest.mark.parametrize("how", ["done", "give_back"])
async def test_killed(store: Store, clock: Clock, how: str) -> None:
    """At the lease's end it is due again, and its previous worker can no longer record anything."""
    duty = await store.singleton_jobs.claim("sweep", "one", LEASE)
    assert duty is not None
    clock.advance(LEASE)
    again = await store.singleton_jobs.claim("sweep", "one", LEASE)
    assert again is not None

    back = store.singleton_jobs.complete if how == "done" else store.singleton_jobs.release
    assert not await back(duty, next_run_in=0)

    assert await store.singleton_jobs.complete(again, next_run_in=0)


async def test_the_clock_is_set_back(store: Store, clock: Clock) -> None:
    """It is due, and when it was done is not known."""
    duty = await store.singleton_jobs.claim("sweep", "one", LEASE)
    assert duty is not None
    await store.singleton_jobs.complete(duty, next_run_in=15)

    clock.advance(-3600)

    again = await store.singleton_jobs.claim("sweep", "one", LEASE)
    assert again is not None
    assert again.last_run_ago is None


async def test_note(store: Store, clock: Clock) -> None:
    """What was done is known to all, and how long ago; not what a clock that was set back has dated."""
    assert await store.singleton_jobs.seconds_since("list") is None
    for _ in range(2):
        await store.singleton_jobs.record("list")
        assert await store.singleton_jobs.seconds_since("list") == 0
        clock.advance(40)
        assert await store.singleton_jobs.seconds_since("list") == 40
    clock.advance(-3600)

    assert await store.singleton_jobs.seconds_since("list") is None


async def test_make_due(store: Store) -> None:
    """What was done a moment ago is due again; what a replica is doing stays its own."""
    duty = await store.singleton_jobs.claim("sweep", "one", LEASE)
    assert duty is not None
    await store.singleton_jobs.make_due("sweep")
    assert await store.singleton_jobs.claim("sweep", "other", LEASE) is None
    await store.singleton_jobs.complete(duty, next_run_in=15)

    await store.singleton_jobs.make_due("sweep")

    assert await store.singleton_jobs.claim("sweep", "other", LEASE)
