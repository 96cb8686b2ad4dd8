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


@pytest.mark.parametrize("what", ["title", "deletion"])
async def test_lookup_of_a_waiting_meeting_updates_its_card(world: World, what: str) -> None:
    """No list shows a new title, or that the meeting no longer exists. Clients remember a title for 45 seconds."""
    async with world.bot():
        _, card = await follow(world, seeds.IDLE)
        await world._until("/metrics", 'livestream_bot_meeting_checks_total{outcome="not_broadcasting"}')
        await world.ask(seeds.IDLE)
        world.slack.clock.advance(60)
        if what == "title":
            world.kit.change(seeds.IDLE, title="Launch rehearsal")
        else:
            world.kit.remove_meeting(seeds.IDLE)

        await world.ask(seeds.IDLE)

        shown = "Launch rehearsal" if what == "title" else "not found"
        await changed(world, card, lambda now: shown in now.text or shown in str(now.blocks))
