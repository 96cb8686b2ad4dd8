"""What is done now and then."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from bot.domain.follow import FOLLOW_SECONDS, FollowState
from bot.errors import DatabaseUnavailable
from bot.following.maintenance import RETENTION_SECONDS, TURN_SECONDS, MaintenanceWorker
from bot.metrics import Metrics
from bot.store.store import Store, open_store
from sandbox.clock import Clock
from tests.store.helpers import MEETING, OTHER_MEETING, check, follow

EPOCH = 1_800_000_000.0


@dataclass
class Turns:
    """A housekeeper whose turns can be waited for."""

    clock: Clock
    store: Store
    metrics: Metrics = field(default_factory=Metrics)
    turned: asyncio.Event = field(default_factory=asyncio.Event)
    woken: int = 0

    def __post_init__(self) -> None:
        self.housekeeper = MaintenanceWorker(
            self.store.maintenance,
            catch_up=self._catch_up,
            tell_creators=self._tell,
            budget_left=lambda: 900,
            something_is_due=self._wake,
            clock=self.clock,
            metrics=self.metrics,
        )

    async def _catch_up(self) -> None:
        pass

    async def _tell(self) -> None:
        self.turned.set()

    def _wake(self) -> None:
        self.woken += 1

    async def next(self, seconds: float = TURN_SECONDS) -> None:
        async with asyncio.timeout(30):
            await self._asleep()
            self.turned.clear()
            self.clock.advance(seconds)
            await self.turned.wait()
            await self._asleep()

    async def _asleep(self) -> None:
        while True:
            if self.clock._sleepers:
                return
            await asyncio.sleep(0.005)

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"livestream_bot_{name}", labels)


@pytest.fixture
async def turns(tmp_path: Path) -> AsyncIterator[Turns]:
    clock = Clock(EPOCH, speed=0)
    store = await open_store(f"sqlite:///{tmp_path / 'livestream.db'}", clock=clock.now)
    turns = Turns(clock, store)
    running = asyncio.create_task(turns.housekeeper.run())
    try:
        yield turns
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


async def test_counts(turns: Turns) -> None:
    """Each turn the metrics say what there is."""
    await follow(turns.store)
    await turns.next()

    assert turns.gauge("follows", state=FollowState.ACTIVE) == 1
    assert turns.gauge("follows", state=FollowState.PAUSED) == 0
    assert turns.gauge("cards_due") == 1
    assert turns.gauge("meetings_due") == 1
    assert turns.gauge("announcements_pending") == 0
    assert turns.gauge("cloudflare_rate_limit_remaining") == 900


async def test_woken(turns: Turns) -> None:
    """It makes a turn at once, without the clock."""
    await turns.next()
    turns.turned.clear()

    turns.housekeeper.wake()

    async with asyncio.timeout(30):
        await turns.turned.wait()


async def test_expires(turns: Turns) -> None:
    """A follow whose time is over is let go, and whoever says so in its thread is woken."""
    await follow(turns.store)
    await turns.next()
    assert turns.woken == 0

    await turns.next(FOLLOW_SECONDS)
    assert turns.woken == 0
    await check(turns.store)
    await turns.next(60)

    assert turns.woken == 1
    assert turns.gauge("follows", state=FollowState.EXPIRED) == 1


async def test_purges_now_and_then(turns: Turns, mocker: MockerFixture) -> None:
    """What is old is cleared away at the start and then once an hour."""
    mocker.patch("bot.following.maintenance.PURGE_TURNS", 3)
    await turns.next()
    purge = mocker.spy(turns.store.maintenance, "purge")

    for _ in range(6):
        await turns.next()

    assert purge.call_args_list == [mocker.call(RETENTION_SECONDS)] * 2


async def test_clears_away(turns: Turns, mocker: MockerFixture) -> None:
    """Meetings that nobody follows any more are gone after the next purge."""
    mocker.patch("bot.following.maintenance.PURGE_TURNS", 2)
    await turns.next()
    await follow(turns.store, meeting=MEETING)
    await follow(turns.store, meeting=OTHER_MEETING)
    await turns.store.follows.unfollow("T1", "C1", MEETING, user_id="U2")

    await turns.next()

    assert await turns.store.maintenance.purge(RETENTION_SECONDS) == 0


@pytest.mark.parametrize(
    ("failure", "logged"), [(DatabaseUnavailable(), "database_unavailable"), (KeyError(), "broke")]
)
async def test_goes_on(turns: Turns, mocker: MockerFixture, failure: Exception, logged: str) -> None:
    """A turn that fails is logged, and the next one is made."""
    failing = mocker.patch.object(turns.store.maintenance, "stats", side_effect=failure)
    await turns.next()
    mocker.stop(failing)
    await follow(turns.store)

    await turns.next()

    assert turns.gauge("follows", state=FollowState.ACTIVE) == 1
