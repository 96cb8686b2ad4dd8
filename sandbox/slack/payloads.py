"""The payloads that Slack sends to an app, and its description of messages.

Source: Slack's reference of slash commands, interaction payloads and Socket Mode.
"""

from dataclasses import dataclass
from typing import Any

from sandbox.slack.seed import AppIdentity
from sandbox.slack.workspace import Channel, Message, User, Workspace

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Occasion:
    """A person's action in a channel, with the response_url and trigger ID that Slack issues for it."""

    user: User
    channel: Channel
    trigger_id: str
    response_url: str


def slash_command(
    workspace: Workspace, app: AppIdentity, occasion: Occasion, command: str, text: str
) -> dict[str, str]:
    """Build the form fields of a slash command."""
    return {
        "token": app.verification_token,
        "team_id": occasion.user.team_id or workspace.team.id,
        "team_domain": workspace.team.domain,
        **({} if occasion.user.team_id else _enterprise_fields(workspace)),
        "channel_id": occasion.channel.id,
        "channel_name": occasion.channel.name if not _hidden_name(occasion.channel) else "privategroup",
        "user_id": occasion.user.id,
        "user_name": occasion.user.name,
        "command": command,
        "text": text,
        "api_app_id": app.app_id,
        "is_enterprise_install": str(workspace.is_org_wide).lower(),
        "response_url": occasion.response_url,
        "trigger_id": occasion.trigger_id,
    }


def _enterprise_fields(workspace: Workspace) -> dict[str, str]:
    enterprise = workspace.enterprise
    return {"enterprise_id": enterprise.id, "enterprise_name": enterprise.name} if enterprise else {}


def _hidden_name(channel: Channel) -> bool:
    return channel.is_private and not (channel.is_im or channel.is_mpim)


def block_actions(
    workspace: Workspace, app: AppIdentity, occasion: Occasion, message: Message, action: Payload
) -> Payload:
    """Build the payload of a click in a message, without the message itself if it is ephemeral."""
    payload = _interaction("block_actions", workspace, app, occasion) | {
        "container": _container(message),
        "channel": {"id": occasion.channel.id, "name": occasion.channel.name},
        "state": {"values": {}},
        "response_url": occasion.response_url,
        "actions": [action],
    }
    if message.ephemeral_to is None:
        payload["message"] = message_payload(message, workspace, app)
    return payload


def message_shortcut(
    workspace: Workspace, app: AppIdentity, occasion: Occasion, message: Message, callback_id: str, action_ts: str
) -> Payload:
    """Build the payload of a shortcut from a message's menu."""
    return _interaction("message_action", workspace, app, occasion) | {
        "callback_id": callback_id,
        "action_ts": action_ts,
        "channel": {"id": occasion.channel.id, "name": occasion.channel.name},
        "message_ts": message.ts,
        "message": message_payload(message, workspace, app),
        "response_url": occasion.response_url,
    }


def _interaction(kind: str, workspace: Workspace, app: AppIdentity, occasion: Occasion) -> Payload:
    """Build the fields that all interactions share.

    `team` is the workspace where the app is installed, and null if that is a whole organization. Only `user.team_id`
    shows that a person is from another workspace.
    """
    enterprise = workspace.enterprise
    user = {"id": occasion.user.id, "username": occasion.user.name, "name": occasion.user.name}
    return {
        "type": kind,
        "user": user | {"team_id": occasion.user.team_id or workspace.team.id},
        "api_app_id": app.app_id,
        "token": app.verification_token,
        "trigger_id": occasion.trigger_id,
        "team": None if workspace.is_org_wide else {"id": workspace.team.id, "domain": workspace.team.domain},
        "enterprise": {"id": enterprise.id, "name": enterprise.name} if enterprise else None,
        "is_enterprise_install": workspace.is_org_wide,
    }


def _container(message: Message) -> Payload:
    container: Payload = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": message.ephemeral_to is not None,
    }
    return container | ({"thread_ts": message.thread_ts} if message.thread_ts else {})


def event_callback(workspace: Workspace, app: AppIdentity, event: Payload, event_id: str, event_time: int) -> Payload:
    """Build the payload of an Events API event."""
    enterprise_id = workspace.enterprise.id if workspace.enterprise else None
    authorization = {
        "enterprise_id": enterprise_id,
        "team_id": None if workspace.is_org_wide else workspace.team.id,
        "user_id": app.user_id,
        "is_bot": True,
        "is_enterprise_install": workspace.is_org_wide,
    }
    channel = workspace.channels.get(str(event.get("channel")))
    return {
        "token": app.verification_token,
        "team_id": workspace.team.id,
        **({"enterprise_id": enterprise_id} if enterprise_id else {}),
        "context_team_id": workspace.team.id,
        "context_enterprise_id": enterprise_id,
        "api_app_id": app.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": event_time,
        "authorizations": [authorization],
        "is_ext_shared_channel": channel is not None and channel.is_shared,
    }


def message_payload(message: Message, workspace: Workspace, app: AppIdentity) -> Payload:
    """Build a message as Slack describes it to an app."""
    payload: Payload = {
        "type": "message",
        "user": message.author,
        "ts": message.ts,
        "text": message.text,
        "team": workspace.team.id,
        "blocks": list(message.blocks),
    }
    if message.author == app.user_id:
        payload |= {"bot_id": app.bot_id, "app_id": app.app_id}
    if message.thread_ts:
        payload["thread_ts"] = message.thread_ts
    if message.edited:
        payload["edited"] = {"user": app.bot_id, "ts": message.edited}
    return payload
