"""Someone removes the app."""

from bot.sandbox.realtimekit import seeds
from bot.sandbox.slack import EVENTS
from bot.slack import follow_words
from tests.conftest import World
from tests.slack.listeners.acting import follow, following


async def test_forgotten(connected: World) -> None:
    """All that the workspace follows is forgotten, in each channel."""
    await follow(connected)
    await follow(connected, seeds.IDLE, channel=EVENTS)

    connected.slack.uninstall()
    line = await connected.logged("forgotten")

    assert line["follows"] == 2
    assert await following(connected) == follow_words.NOTHING_FOLLOWED
    assert await following(connected, EVENTS) == follow_words.NOTHING_FOLLOWED
