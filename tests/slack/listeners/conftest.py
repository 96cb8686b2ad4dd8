"""A bot that is connected by HTTP, or as the test says."""

from collections.abc import AsyncIterator

import pytest

from sandbox.bot_process import Mode
from tests.conftest import World


@pytest.fixture
def mode() -> Mode:
    return "http"


@pytest.fixture
async def connected(world: World, mode: Mode) -> AsyncIterator[World]:
    """Yield a seeded RealtimeKit, a Slack, and a bot that is connected in this mode."""
    async with world.bot(mode):
        yield world
