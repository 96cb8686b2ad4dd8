"""Resolution of a call's conversation, and the bot's permission to write there."""

from collections.abc import Set

from sandbox.slack.refusal import Refusal
from sandbox.slack.workspace import Channel, Workspace

PUBLIC_SCOPE = "chat:write.public"


def reachable(workspace: Workspace, target: str) -> Channel:
    """Return the conversation for an ID, a `#name`, or a user ID (which opens a direct message with that person).

    Raises Refusal `channel_not_found`, also for a private channel without the bot, which Slack hides.
    """
    if target in workspace.users:
        return direct_message(workspace, target)
    name = target.removeprefix("#")
    by_name = (channel for channel in workspace.channels.values() if channel.name == name and not channel.is_im)
    channel = workspace.channels.get(target) or next(by_name, None)
    if channel is None or channel.is_deleted or (channel.is_private and not channel.has_bot):
        raise Refusal("channel_not_found")
    return channel


def existing(workspace: Workspace, target: str) -> Channel:
    """Return the conversation for an ID or a `#name`, but not for a user ID. Raises Refusal `channel_not_found`."""
    if target in workspace.users:
        raise Refusal("channel_not_found")
    return reachable(workspace, target)


def writable(workspace: Workspace, target: str, scopes: Set[str]) -> Channel:
    """Return the conversation if the bot may post there.

    Raises Refusal: `channel_not_found`, `is_archived`, `not_in_channel`.
    """
    channel = reachable(workspace, target)
    if channel.is_archived:
        raise Refusal("is_archived")
    if not channel.has_bot and PUBLIC_SCOPE not in scopes:
        raise Refusal("not_in_channel")
    return channel


def direct_message(workspace: Workspace, user: str) -> Channel:
    """Return the direct message between the bot and a person, opening it if necessary.

    Raises Refusal: `user_not_found`, `cannot_dm_bot`.
    """
    person = workspace.users.get(user)
    if person is None:
        raise Refusal("user_not_found")
    if person.is_bot:
        raise Refusal("cannot_dm_bot")
    im = f"D{user[1:]}"
    opened = Channel(im, "directmessage", frozenset({user}), is_private=True, is_im=True, has_bot=True)
    return workspace.channels.get(im) or workspace.put_channel(opened)
