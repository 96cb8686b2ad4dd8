"""A person's lookup that contradicts the card of a followed meeting."""

import pytest

from bot.slack.messages import lookup_card
from sandbox.realtimekit import seeds
from tests.conftest import World
from tests.slack.listeners.helpers import changed, follow
from tests.slack.listeners.test_refresh import MEMORY


@pytest.mark.parametrize("by", ["command", "refresh"])
async def test_the_card_follows(world: World, by: str) -> None:
    """The card shows what a person found out, where the list of livestreams leaves it out for good."""
    world.kit.freeze_list()
    async with world.bot():
        _, card = await follow(world, seeds.IDLE)
        await world._until("/metrics", 'livestream_bot_meeting_checks_total{outcome="not_broadcasting"}')
        private = await world.ask(seeds.IDLE)
        world.slack.clock.advance(MEMORY)
        world.kit.go_live(seeds.IDLE)

        if by == "command":
            await world.ask(seeds.IDLE)
        else:
            await world.slack.click(private, lookup_card.REFRESH)

        await changed(world, card, lambda now: " is live." in now.text)
