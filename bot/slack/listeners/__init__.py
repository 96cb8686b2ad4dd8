"""Bolt listeners: one module for each thing that people do in Slack."""

from slack_bolt.async_app import AsyncApp

from bot.slack.listeners import (
    ask,
    follow,
    follow_menu,
    invited,
    post_here,
    refresh,
    renamed,
    unheard,
    uninstalled,
    watch,
)
from bot.slack.services import Services


def register(app: AsyncApp, services: Services) -> None:
    """Register all listeners with the app."""
    for listener in (ask, refresh, post_here, watch, follow, follow_menu, invited, renamed, uninstalled):
        listener.register(app, services)
    unheard.register(app, services)
