"""Changed channel IDs, as when a channel is shared with another workspace."""

import structlog
from slack_bolt.async_app import AsyncApp

from bot.slack.dependencies import Dependencies
from bot.slack.event_payloads import Event
from bot.slack.handlers import on_event

log = structlog.get_logger(__name__)


def register(app: AsyncApp, services: Dependencies) -> None:
    """Register the event."""
    on_event(app, services, "channel_id_changed", move)


async def move(services: Dependencies, event: Event) -> None:
    """Move the channel's follows to its new ID and resume paused ones: the old ID may be the only reason."""
    moved = await services.following.move_channel(event.team_id, event.channel_id, event.new_channel_id)
    log.info("channel_moved", channel=event.channel_id, to=event.new_channel_id, follows=moved)
