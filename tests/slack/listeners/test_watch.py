"""*Watch*: a link whose clicks Slack also sends to the bot."""

from bot.slack.messages import lookup_card
from sandbox.realtimekit import seeds
from tests.conftest import World


async def test_watch_click_is_acknowledged(connected: World) -> None:
    """So that Slack shows no warning beside the link."""
    answer = await connected.ask(seeds.LIVE)

    delivery = await connected.slack.click(answer, lookup_card.WATCH)

    assert delivery.acked
