"""The *Watch* button."""

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack.dependencies import Dependencies
from bot.slack.messages import lookup_card


def register(app: AsyncApp, _services: Dependencies) -> None:
    """Register the button and only acknowledge clicks.

    The browser opens the link by itself, but Slack also sends the click to the bot, and warns the person if nothing
    acknowledges it.
    """

    @app.action(lookup_card.WATCH)
    async def watch(ack: AsyncAck) -> None:
        await ack()
