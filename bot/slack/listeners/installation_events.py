"""Removal of the app from its workspace."""

import structlog
from slack_bolt.async_app import AsyncApp

from bot.slack.dependencies import Dependencies
from bot.slack.event_payloads import Event
from bot.slack.handlers import on_event

RECHECK_SECONDS = 30.0
"""How long after the event Slack may still accept the token of a removed app."""

log = structlog.get_logger(__name__)


def register(app: AsyncApp, services: Dependencies) -> None:
    """Register both events."""
    for kind in ("app_uninstalled", "tokens_revoked"):
        on_event(app, services, kind, forget)


async def forget(services: Dependencies, event: Event) -> None:
    """Delete the workspace's follows if the event ends this installation and Slack refuses the bot token.

    A token that works means that the event is late, and the app installed again.
    """
    home = await services.home(0.0)  # the listener has waited
    if home is not None and not home.is_ended_by(event):
        return
    if home is None and event.kind == "tokens_revoked" and not event.revoked_bots:
        return
    if not await services.is_token_refused():
        log.info("removal_doubted", retry_in=RECHECK_SECONDS)
        await services.sleep(RECHECK_SECONDS)
        if not await services.is_token_refused():
            log.warning("removal_outdated")
            return
    forgotten = await services.following.forget(event.team_id)
    # Slack sends two events: one for the app, one for its token.
    if forgotten:
        log.info("follows_deleted", follows=forgotten)
