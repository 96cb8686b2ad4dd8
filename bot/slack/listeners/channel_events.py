"""Invitations and unarchived channels, where paused follows resume."""

import structlog
from slack_bolt.async_app import AsyncApp

from bot.slack.dependencies import Dependencies
from bot.slack.event_payloads import Event
from bot.slack.handlers import on_event

JOINED, UNARCHIVED = "member_joined_channel", ("channel_unarchive", "group_unarchive")

log = structlog.get_logger(__name__)


def register(app: AsyncApp, services: Dependencies) -> None:
    """Register both kinds of events.

    The bot may not be in an unarchived channel; it finds out when it next posts there.
    """
    on_event(app, services, JOINED, invited)
    for unarchived in UNARCHIVED:
        on_event(app, services, unarchived, resume)


async def invited(services: Dependencies, event: Event) -> None:
    """Resume the channel's follows if it is the bot that has joined, not a person."""
    if event.is_about_bot:
        await resume(services, event)


async def resume(services: Dependencies, event: Event) -> None:
    """Resume the paused follows of this channel."""
    resumed = await services.following.resume(event.team_id, event.channel_id)
    log.info("follows_resumed", follows=len(resumed))
