"""Which conversation a call means, and whether the bot may write there."""

from collections.abc import Set

from bot.sandbox.slack.refusal import Refusal
from bot.sandbox.slack.workspace import Channel, Workspace

PUBLIC_SCOPE = "chat:write.public"


def reachable(workspace: Workspace, target: str) -> Channel:
    """The conversation of an id, a `#name`, or a user id (which opens the direct message with that person).

    Raises Refusal `channel_not_found`, also for a private channel without the bot: Slack hides those.
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
    """The conversation of an id or a `#name` that a message is in; a user id is none.

    Raises Refusal `channel_not_found`.
    """
    if target in workspace.users:
        raise Refusal("channel_not_found")
    return reachable(workspace, target)


def writable(workspace: Workspace, target: str, scopes: Set[str]) -> Channel:
    """The conversation, if the bot may post there.

    Raises Refusal: `channel_not_found`, `is_archived`, `not_in_channel`.
    """
    channel = reachable(workspace, target)
    if channel.is_archived:
        raise Refusal("is_archived")
    if not channel.has_bot and PUBLIC_SCOPE not in scopes:
        raise Refusal("not_in_channel")
    return channel


def direct_message(workspace: Workspace, user: str) -> Channel:
    """The conversation between the bot and a person, opened when there is none yet.

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
