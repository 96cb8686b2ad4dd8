"""One module for each thing that people do in Slack."""

from slack_bolt.async_app import AsyncApp

from bot.slack.listeners import ask, post_here, refresh, unheard, watch
from bot.slack.services import Services


def register(app: AsyncApp, services: Services) -> None:
    """Let the app hear everything that people do."""
    for listener in (ask, refresh, post_here, watch):
        listener.register(app, services)
    unheard.register(app)
