"""Someone removes the app from their workspace."""

import structlog
from slack_bolt.async_app import AsyncApp

from bot.slack.events import Event
from bot.slack.serve import on_event
from bot.slack.services import Services

log = structlog.get_logger(__name__)


def register(app: AsyncApp, services: Services) -> None:
    """Hear of it."""
    on_event(app, services, "app_uninstalled", forget)


async def forget(services: Services, event: Event) -> None:
    """Forget what the workspace follows."""
    log.info("forgotten", follows=await services.following.forget(event.team_id))
