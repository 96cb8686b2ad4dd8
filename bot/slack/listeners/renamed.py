"""A channel has another ID from now on, as when it is shared with another workspace."""

import structlog
from slack_bolt.async_app import AsyncApp

from bot.slack.events import Event
from bot.slack.serve import on_event
from bot.slack.services import Services

log = structlog.get_logger(__name__)


def register(app: AsyncApp, services: Services) -> None:
    """Hear of it."""
    on_event(app, services, "channel_id_changed", move)


async def move(services: Services, event: Event) -> None:
    """Move what the channel follows, and go on there with what is paused: it may be for that alone."""
    moved = await services.following.move_channel(event.team_id, event.channel_id, event.new_channel_id)
    log.info("channel_moved", channel=event.channel_id, to=event.new_channel_id, follows=moved)
