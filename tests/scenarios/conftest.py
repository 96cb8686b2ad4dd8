"""Scenarios that last hours, run in seconds."""

from collections.abc import AsyncIterator

import pytest

from bot import http_server
from sandbox import bot_process
from tests.conftest import PATIENCE, World
from tests.scenarios.scenario import SPEED, Scenario


@pytest.fixture
def fast(world: World, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """Return a world with a fast clock and no bot yet; timeouts in real time allow for a slow machine."""
    monkeypatch.setattr(bot_process, "_READY_SECONDS", 60)
    monkeypatch.setattr(bot_process, "_STOP_SECONDS", 30)
    monkeypatch.setattr(http_server, "WEBHOOK_SECONDS", PATIENCE)
    world.slack.clock.speed = SPEED
    world.slack.ack_seconds = PATIENCE * SPEED
    world.kit.webhook_seconds = PATIENCE
    return Scenario(world)


@pytest.fixture
async def scenario(fast: Scenario) -> AsyncIterator[Scenario]:
    """Yield the same with a bot."""
    async with fast.world.bot():
        yield fast
