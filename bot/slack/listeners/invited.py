"""Someone invites the bot to a channel, or unarchives one: what was paused there goes on."""

import structlog
from slack_bolt.async_app import AsyncApp

from bot.slack.events import Event
from bot.slack.serve import on_event
from bot.slack.services import Services

JOINED, UNARCHIVED = "member_joined_channel", ("channel_unarchive", "group_unarchive")

log = structlog.get_logger(__name__)


def register(app: AsyncApp, services: Services) -> None:
    """Hear of both. A channel that is open again may still be one that the bot is not in: that is found out then."""
    on_event(app, services, JOINED, invited)
    for unarchived in UNARCHIVED:
        on_event(app, services, unarchived, resume)


async def invited(services: Services, event: Event) -> None:
    """Go on if it is the bot who has joined, not somebody else."""
    if event.is_about_bot:
        await resume(services, event)


async def resume(services: Services, event: Event) -> None:
    """Go on with what is paused in this channel."""
    resumed = await services.following.resume(event.team_id, event.channel_id)
    log.info("resumed", follows=len(resumed))
