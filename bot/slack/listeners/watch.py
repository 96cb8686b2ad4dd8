"""The *Watch* button."""

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack import cards
from bot.slack.services import Services


def register(app: AsyncApp, _services: Services) -> None:
    """Register the button and only acknowledge clicks.

    The browser opens the link by itself, but Slack also sends the click to the bot, and warns the person if nothing
    acknowledges it.
    """

    @app.action(cards.WATCH)
    async def watch(ack: AsyncAck) -> None:
        await ack()
