"""Whatever people do is served the same over HTTP and in Socket Mode."""

from collections.abc import AsyncIterator

import pytest

from sandbox.bot_process import Mode
from tests.conftest import World


@pytest.fixture(params=["http", "socket"])
def mode(request: pytest.FixtureRequest) -> Mode:
    chosen: Mode = request.param
    return chosen


@pytest.fixture
async def connected(world: World, mode: Mode) -> AsyncIterator[World]:
    """Yield a seeded RealtimeKit, a Slack, and a bot that is connected in each of the two ways."""
    async with world.bot(mode):
        yield world
