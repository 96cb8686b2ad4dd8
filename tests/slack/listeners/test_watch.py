"""*Watch*: a link, of which Slack tells the bot."""

from bot.slack.messages import lookup_card
from sandbox.realtimekit import seeds
from tests.conftest import World


async def test_acknowledged(connected: World) -> None:
    """Pressing it is acknowledged, so that Slack shows no warning beside the link."""
    answer = await connected.ask(seeds.LIVE)

    delivery = await connected.slack.click(answer, lookup_card.WATCH)

    assert delivery.acked
