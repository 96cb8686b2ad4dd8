"""Events in the workspace: invitations, unarchived and moved channels, and the removal of the app."""

import structlog
from slack_bolt.async_app import AsyncApp

from bot.slack.dependencies import Dependencies
from bot.slack.handlers import on_event
from bot.slack.payloads import Event

RECHECK_SECONDS = 30.0
"""How long after a removal Slack may still accept the app's token."""

log = structlog.get_logger(__name__)


def register(app: AsyncApp, deps: Dependencies) -> None:
    """Register a handler for each kind of event.

    The bot may not be in an unarchived channel; it finds out when it next posts there.
    """
    on_event(app, deps, "member_joined_channel", on_member_joined)
    on_event(app, deps, "channel_unarchive", resume)
    on_event(app, deps, "group_unarchive", resume)
    on_event(app, deps, "channel_id_changed", move)
    on_event(app, deps, "app_uninstalled", forget)
    on_event(app, deps, "tokens_revoked", forget)


async def on_member_joined(deps: Dependencies, event: Event) -> None:
    """Resume the channel's follows if it is the bot that has joined, not a person."""
    if event.is_about_bot:
        await resume(deps, event)


async def resume(deps: Dependencies, event: Event) -> None:
    """Resume the paused follows of this channel."""
    resumed = await deps.following.resume(event.team_id, event.channel_id)
    log.info("follows_resumed", follows=len(resumed))


async def move(deps: Dependencies, event: Event) -> None:
    """Move the channel's follows to its new ID and resume paused ones: the old ID may be the only reason.

    A channel's ID changes when the channel is shared with another workspace, for example.
    """
    moved = await deps.following.move_channel(event.team_id, event.channel_id, event.new_channel_id)
    log.info("channel_moved", channel=event.channel_id, to=event.new_channel_id, follows=moved)


async def forget(deps: Dependencies, event: Event) -> None:
    """Delete the workspace's follows if the event ends this installation and Slack refuses the bot token.

    If the token works, the event is late and the app has been installed again.
    """
    installation = await deps.installation(0.0)  # the listener has waited
    if installation is not None and not installation.is_ended_by(event):
        return
    if installation is None and event.kind == "tokens_revoked" and not event.revoked_bots:
        return
    if not await deps.is_token_refused():
        log.info("removal_doubted", retry_in=RECHECK_SECONDS)
        await deps.sleep(RECHECK_SECONDS)
        if not await deps.is_token_refused():
            log.warning("removal_outdated")
            return
    deleted = await deps.following.forget(event.team_id)
    # Slack sends two events: one for the app, one for its token.
    if deleted:
        log.info("follows_deleted", follows=deleted)
