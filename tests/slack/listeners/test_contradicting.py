"""A person's lookup that contradicts the card of a followed meeting."""

from collections.abc import Callable

import pytest

from bot.sandbox.realtimekit import RealtimeKit, seeds
from bot.slack import cards
from tests.conftest import World
from tests.slack.listeners.acting import changed, follow
from tests.slack.listeners.test_refresh import MEMORY


@pytest.mark.parametrize("by", ["command", "refresh"])
@pytest.mark.parametrize(
    ("meeting_id", "happens", "shown"),
    [(seeds.IDLE, RealtimeKit.go_live, " is live."), (seeds.LIVE, RealtimeKit.end, "reconnect")],
)
async def test_the_card_follows(
    world: World, meeting_id: str, happens: Callable[[RealtimeKit, str], object], shown: str, by: str
) -> None:
    """The card shows what a person found out, where the list of livestreams lags behind for good."""
    world.kit.freeze_list()
    async with world.bot():
        _, card = await follow(world, meeting_id)
        private = await world.ask(meeting_id)
        await world.idle()
        world.slack.clock.advance(MEMORY)
        happens(world.kit, meeting_id)

        if by == "command":
            await world.ask(meeting_id)
        else:
            await world.slack.click(private, cards.REFRESH)

        await changed(world, card, lambda now: shown in now.text)
