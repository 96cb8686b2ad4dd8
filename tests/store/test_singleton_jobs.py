"""What one replica does for all of them."""

import pytest

from bot.store.singleton_jobs import SingletonJob
from bot.store.store import Store
from tests.store.helpers import LEASE, Clock


async def claim_job(store: Store, worker_id: str = "one") -> SingletonJob:
    job = await store.singleton_jobs.claim("sweep", worker_id, LEASE)
    assert job is not None
    return job


async def test_job_is_due_at_once_and_then_claimed_by_one_worker(store: Store) -> None:
    job = await claim_job(store)

    assert job.name == "sweep"
    assert job.last_run_ago is None
    assert await store.singleton_jobs.claim("sweep", "other", LEASE) is None
    assert await store.singleton_jobs.claim("dust", "one", LEASE)


async def test_completed_job_is_due_at_the_given_time_and_knows_its_last_run(store: Store, clock: Clock) -> None:
    assert await store.singleton_jobs.complete(await claim_job(store), next_run_in=15)

    clock.advance(14)
    assert await store.singleton_jobs.claim("sweep", "other", LEASE) is None
    clock.advance(1)
    assert (await claim_job(store, "other")).last_run_ago == 15


async def test_released_job_has_not_run(store: Store, clock: Clock) -> None:
    assert await store.singleton_jobs.release(await claim_job(store), next_run_in=30)

    clock.advance(30)
    assert (await claim_job(store)).last_run_ago is None


@pytest.mark.parametrize("how", ["complete", "release"])
async def test_claim_that_lost_its_lease_writes_nothing(store: Store, clock: Clock, how: str) -> None:
    stale = await claim_job(store)
    clock.advance(LEASE)
    job = await claim_job(store)

    assert not await getattr(store.singleton_jobs, how)(stale, next_run_in=0)

    assert await store.singleton_jobs.complete(job, next_run_in=0)


async def test_job_is_due_and_its_last_run_unknown_after_the_clock_was_set_back(store: Store, clock: Clock) -> None:
    await store.singleton_jobs.complete(await claim_job(store), next_run_in=15)

    clock.advance(-3600)

    assert (await claim_job(store)).last_run_ago is None


async def test_recorded_job_knows_how_long_ago_it_ran(store: Store, clock: Clock) -> None:
    assert await store.singleton_jobs.seconds_since("list") is None
    for _ in range(2):
        await store.singleton_jobs.record("list")
        assert await store.singleton_jobs.seconds_since("list") == 0
        clock.advance(40)
        assert await store.singleton_jobs.seconds_since("list") == 40
    clock.advance(-3600)

    assert await store.singleton_jobs.seconds_since("list") is None


async def test_job_can_be_made_due_unless_it_is_claimed(store: Store) -> None:
    job = await claim_job(store)
    await store.singleton_jobs.make_due("sweep")
    assert await store.singleton_jobs.claim("sweep", "other", LEASE) is None
    await store.singleton_jobs.complete(job, next_run_in=15)

    await store.singleton_jobs.make_due("sweep")

    assert await store.singleton_jobs.claim("sweep", "other", LEASE)
