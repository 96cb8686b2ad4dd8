"""Someone presses *Watch*."""

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack import cards
from bot.slack.services import Services


def register(app: AsyncApp, services: Services) -> None:
    """Acknowledge it: the browser has opened the link already, but Slack tells the bot of it and warns the person
    when nothing answers."""

    @app.action(cards.WATCH)
    async def watch(ack: AsyncAck) -> None:
        await ack()
