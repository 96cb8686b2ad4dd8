"""Bolt listeners for what people do in Slack, and for Slack's events."""

from slack_bolt.async_app import AsyncApp

from bot.slack.dependencies import Dependencies
from bot.slack.listeners import command, events, follows, lookup_buttons


def register(app: AsyncApp, deps: Dependencies) -> None:
    """Register all listeners with the app."""
    for module in (command, lookup_buttons, follows, events):
        module.register(app, deps)
