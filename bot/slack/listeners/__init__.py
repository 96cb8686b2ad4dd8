"""Bolt listeners: one module for each thing that people do in Slack."""

from slack_bolt.async_app import AsyncApp

from bot.slack.dependencies import Dependencies
from bot.slack.listeners import (
    channel_events,
    channel_moves,
    command,
    follow,
    follow_menu,
    installation_events,
    post_here,
    refresh,
    unhandled,
    watch,
)


def register(app: AsyncApp, services: Dependencies) -> None:
    """Register all listeners with the app."""
    for listener in (
        command,
        refresh,
        post_here,
        watch,
        follow,
        follow_menu,
        channel_events,
        channel_moves,
        installation_events,
    ):
        listener.register(app, services)
    unhandled.register(app, services)
