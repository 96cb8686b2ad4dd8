"""The background workers, put together."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from bot.background_workers import FIRST_SWEEP_SECONDS, BackgroundWorkers
from bot.domain.follow import Level
from bot.following.livestream_list import PAGE_SIZE
from bot.following.rate_budget import RateBudget
from bot.livestream_sources import LivestreamSources
from bot.realtimekit.rate_limit import RateLimitState
from bot.realtimekit.responses import LivestreamPage
from bot.worker import WorkerContext
from sandbox.slack import ANN, EVENTS
from tests.following.poller_harness import EPOCH, Cloudflare
from tests.notifications.announcer_harness import NOON, TEAM, Stage, staged

MANY = 20


@dataclass
class Lists:
    """Says that nothing is on air, when it is allowed to."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    requested: asyncio.Event = field(default_factory=asyncio.Event)

    async def livestreams(self, status: str, page_no: int, per_page: int = PAGE_SIZE) -> LivestreamPage:
        self.requested.set()
        await self.open.wait()
        return LivestreamPage((), False)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        for number in range(MANY):
            await stage.store.follows.follow(
                TEAM, EVENTS, UUID(int=number), user_id=ANN, level=Level.QUIET, episode=stage.episode
            )
        # A new follow is checked in any case.
        for meeting in await stage.store.meeting_queue.claim("tracker", MANY, 30):
            await stage.store.meeting_queue.release(meeting, next_check_in=0)
        yield stage


def engine(stage: Stage, cloudflare: Cloudflare, lists: Lists) -> BackgroundWorkers:
    return BackgroundWorkers(
        stage.store,
        stage.publisher,
        LivestreamSources(cloudflare.look, cloudflare.look, cloudflare.look, lists),
        RateBudget(stage.store.request_windows, RateLimitState(), stage.clock),
        WorkerContext("worker", stage.clock, stage.metrics),
    )


async def test_first_sweep_precedes_checks_after_a_start(stage: Stage) -> None:
    """What the list confirms is not checked one by one."""
    cloudflare, lists = Cloudflare(stage.clock), Lists()
    workers = engine(stage, cloudflare, lists)
    async with workers.running(), asyncio.timeout(30):
        await lists.requested.wait()
        assert cloudflare.asked == {}
        lists.open.set()
        while await stage.store.meeting_queue.due_in() == 0:  # noqa: ASYNC110 - a database has no events
            await asyncio.sleep(0.005)
        assert cloudflare.asked == {}
        # Not so soon after the last check.
        stage.clock.advance(2)
        await workers.hint(UUID(int=7))
        while not cloudflare.asked:  # noqa: ASYNC110 - nor has Cloudflare
            await asyncio.sleep(0.005)

    assert cloudflare.asked == {UUID(int=7): 1}


async def test_checks_start_without_a_slow_first_sweep(stage: Stage) -> None:
    cloudflare, lists = Cloudflare(stage.clock), Lists()
    async with engine(stage, cloudflare, lists).running(), asyncio.timeout(30):
        await lists.requested.wait()
        stage.clock.advance(FIRST_SWEEP_SECONDS - 1)
        await asyncio.sleep(0.05)
        assert cloudflare.asked == {}
        while len(cloudflare.asked) < MANY:
            stage.clock.advance(1)
            await asyncio.sleep(0.01)

    assert min(cloudflare.asked_at) >= NOON + FIRST_SWEEP_SECONDS - EPOCH
