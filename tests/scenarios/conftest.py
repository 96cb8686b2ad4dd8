"""Stories that take hours, told in seconds."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import World
from tests.scenarios.story import SPEED, Story


@pytest.fixture
def fast(world: World) -> Story:
    """A world in which time runs ahead, with no bot yet."""
    world.slack.clock.speed = SPEED
    # Three real seconds to acknowledge, as outside.
    world.slack.ack_seconds *= SPEED
    return Story(world)


@pytest.fixture
async def story(fast: Story) -> AsyncIterator[Story]:
    """The same with a bot."""
    async with fast.world.bot():
        yield fast
