"""The maintenance worker."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from bot.domain.follow import FOLLOW_SECONDS, FollowState
from bot.errors import DatabaseUnavailable
from bot.following.maintenance import INTERVAL_SECONDS, RETENTION_SECONDS, MaintenanceWorker
from bot.following.rate_budget import CLOUDFLARE_LIMIT, RateBudget
from bot.metrics import Metrics
from bot.realtimekit.rate_limit import RateLimitState
from bot.store.store import Store, open_store
from bot.worker import WakeUps, WorkerContext
from sandbox.clock import Clock
from tests.following.poller_harness import CountingEvent
from tests.store.helpers import MEETING, OTHER_MEETING, check, follow, sqlite_with_tables

EPOCH = 1_800_000_000.0


@dataclass
class Job:
    """A job that sets an event when it runs."""

    has_run: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        self.has_run.set()


@dataclass
class MaintenanceHarness:
    """A maintenance worker whose runs a test can wait for."""

    clock: Clock
    store: Store
    metrics: Metrics = field(default_factory=Metrics)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    announcer: CountingEvent = field(default_factory=CountingEvent)

    def __post_init__(self) -> None:
        self.wake_ups = WakeUps(announcer=self.announcer)
        self.worker = MaintenanceWorker(
            self.store.maintenance,
            Job(),
            Job(self.finished),
            RateBudget(self.store.request_windows, RateLimitState(), self.clock),
            WorkerContext("worker", self.clock, self.metrics, wake_ups=self.wake_ups),
            purge_every=3,
        )

    async def next(self, seconds: float = INTERVAL_SECONDS) -> None:
        async with asyncio.timeout(30):
            await self._asleep()
            self.finished.clear()
            self.clock.advance(seconds)
            await self.finished.wait()
            await self._asleep()

    async def _asleep(self) -> None:
        while True:
            if self.clock._sleepers:
                return
            await asyncio.sleep(0.005)

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"livestream_bot_{name}", labels)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[MaintenanceHarness]:
    clock = Clock(EPOCH, speed=0)
    store = await open_store(await sqlite_with_tables(tmp_path / "livestream.db"), clock=clock.now)
    harness = MaintenanceHarness(clock, store)
    running = asyncio.create_task(harness.worker.run())
    try:
        yield harness
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


async def test_each_run_updates_the_gauges(harness: MaintenanceHarness) -> None:
    await follow(harness.store)
    await harness.next()

    assert harness.gauge("follows", state=FollowState.ACTIVE) == 1
    assert harness.gauge("follows", state=FollowState.PAUSED) == 0
    assert harness.gauge("cards_due") == 1
    assert harness.gauge("meetings_due") == 1
    assert harness.gauge("announcements_pending") == 0
    assert harness.gauge("cloudflare_rate_limit_remaining") == CLOUDFLARE_LIMIT


async def test_waking_runs_maintenance_at_once(harness: MaintenanceHarness) -> None:
    await harness.next()
    harness.finished.clear()

    harness.wake_ups.maintenance.set()

    async with asyncio.timeout(30):
        await harness.finished.wait()


async def test_expired_follows_wake_the_announcer(harness: MaintenanceHarness) -> None:
    await follow(harness.store)
    await harness.next()
    assert harness.announcer.count == 0

    await harness.next(FOLLOW_SECONDS)
    assert harness.announcer.count == 0
    await check(harness.store)
    await harness.next(60)

    assert harness.announcer.count == 1
    assert harness.gauge("follows", state=FollowState.EXPIRED) == 1


async def test_purge_runs_at_the_start_and_then_rarely(harness: MaintenanceHarness, mocker: MockerFixture) -> None:
    await harness.next()
    purge = mocker.spy(harness.store.maintenance, "purge")

    for _ in range(6):
        await harness.next()

    assert purge.call_args_list == [mocker.call(RETENTION_SECONDS)] * 2


async def test_purge_removes_unfollowed_meetings(harness: MaintenanceHarness) -> None:
    await harness.next()
    await follow(harness.store, meeting=MEETING)
    await follow(harness.store, meeting=OTHER_MEETING)
    await harness.store.follows.unfollow("T1", "C1", MEETING, user_id="U2")

    for _ in range(2):
        await harness.next()

    assert await harness.store.maintenance.purge(RETENTION_SECONDS) == 0


@pytest.mark.parametrize(
    ("failure", "logged"), [(DatabaseUnavailable(), "database_unavailable"), (KeyError(), "worker_failed")]
)
async def test_run_that_fails_is_logged_and_followed_by_the_next(
    harness: MaintenanceHarness, mocker: MockerFixture, failure: Exception, logged: str
) -> None:
    failing = mocker.patch.object(harness.store.maintenance, "stats", side_effect=failure)
    await harness.next()
    mocker.stop(failing)
    await follow(harness.store)

    await harness.next()

    assert harness.gauge("follows", state=FollowState.ACTIVE) == 1
