"""Stories that take hours, told in seconds."""

from collections.abc import AsyncIterator

import pytest

from bot import http_server
from sandbox import bot_process
from tests.conftest import PATIENCE, World
from tests.scenarios.scenario import SPEED, Story


@pytest.fixture
def fast(world: World, monkeypatch: pytest.MonkeyPatch) -> Story:
    """A world in which time runs ahead, with no bot yet; what is counted in real time waits for a slow machine."""
    monkeypatch.setattr(bot_process, "_READY_SECONDS", 60)
    monkeypatch.setattr(bot_process, "_STOP_SECONDS", 30)
    monkeypatch.setattr(http_server, "WEBHOOK_SECONDS", PATIENCE)
    world.slack.clock.speed = SPEED
    world.slack.ack_seconds = PATIENCE * SPEED
    world.kit.webhook_seconds = PATIENCE
    return Story(world)


@pytest.fixture
async def story(fast: Story) -> AsyncIterator[Story]:
    """The same with a bot."""
    async with fast.world.bot():
        yield fast
