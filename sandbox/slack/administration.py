"""Admins' actions on a workspace's channels and on the app, and the events that the app gets."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sandbox.slack.credentials import Credentials
from sandbox.slack.seed import AppIdentity
from sandbox.slack.subscriptions import Subscriptions
from sandbox.slack.workspace import Channel, Workspace


class Administration:
    """Acts for an admin. An action that changes nothing sends no event."""

    def __init__(
        self, workspace: Workspace, app: AppIdentity, credentials: Credentials, subscriptions: Subscriptions
    ) -> None:
        self._workspace = workspace
        self._app = app
        self._credentials = credentials
        self._subscriptions = subscriptions

    def invite_bot(self, channel: str, by: str) -> Channel:
        """Invite the bot to a channel, with an event that it has joined. Raises ValueError for a group DM."""
        place = self._workspace.channels[channel]
        if place.is_mpim:
            raise ValueError("no one can be invited to a group direct message: Slack opens another one")
        joined = {
            "type": "member_joined_channel",
            "user": self._app.user_id,
            "channel_type": "G" if place.is_private else "C",
            "team": self._workspace.team.id,
            "inviter": by,
        }
        return self._put(replace(place, has_bot=True), joined)

    def remove_bot(self, channel: str) -> Channel:
        """Remove the bot from a channel; it gets no event about that."""
        return self._put(replace(self._workspace.channels[channel], has_bot=False))

    def archive(self, channel: str, by: str) -> Channel:
        """Archive a channel."""
        place = self._workspace.channels[channel]
        return self._put(replace(place, is_archived=True), {"type": f"{_kind(place)}_archive", "user": by})

    def unarchive(self, channel: str, by: str) -> Channel:
        """Unarchive a channel."""
        place = self._workspace.channels[channel]
        return self._put(replace(place, is_archived=False), {"type": f"{_kind(place)}_unarchive", "user": by})

    def delete_channel(self, channel: str) -> Channel:
        """Delete a channel and its messages."""
        return self._put(replace(self._workspace.channels[channel], is_deleted=True))

    def uninstall(self) -> None:
        """Uninstall the app: its bot leaves the channels, Slack sends two events, and the token is revoked."""
        if self._credentials.revoked:
            return
        for channel in tuple(self._workspace.channels.values()):
            if not channel.is_im:
                self.remove_bot(channel.id)
        self._subscriptions.tell({"type": "app_uninstalled"})
        self._subscriptions.tell({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self._app.user_id]}})
        self._credentials.revoked = True

    def revoke_token(self) -> None:
        """Revoke only the bot token: the bot stays in its channels, and the app gets an event."""
        self._subscriptions.tell({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self._app.user_id]}})
        self._credentials.revoked, self._credentials.revoked_as = True, "token_revoked"

    def change_channel_id(self, old: str, new: str) -> Channel:
        """Give a channel another ID, as when a private channel is shared, and send `channel_id_changed`."""
        channel = self._workspace.change_channel_id(old, new)
        event = {"type": "channel_id_changed", "old_channel_id": old, "new_channel_id": new}
        self._subscriptions.tell(event, "groups:read" if channel.is_private else "channels:read")
        return channel

    def open_group_dm(self, members: Sequence[str]) -> Channel:
        """Open a group direct message, to which the bot cannot be invited."""
        names = "--".join(self._workspace.users[member].name for member in members)
        number = 1 + sum(channel.is_mpim for channel in self._workspace.channels.values())
        opened = Channel(f"C0GROUPDM{number:02}", f"mpdm-{names}-1", frozenset(members), is_private=True, is_mpim=True)
        return self._workspace.put_channel(opened)

    def open_dm(self, one: str, other: str) -> Channel:
        """Open a direct message between two people, without the bot."""
        number = 1 + sum(channel.is_im for channel in self._workspace.channels.values())
        opened = Channel(f"D0PEOPLE{number:03}", "directmessage", frozenset({one, other}), is_private=True, is_im=True)
        return self._workspace.put_channel(opened)

    def _put(self, channel: Channel, event: dict[str, Any] | None = None) -> Channel:
        """Change a channel and send the app an event; for a private channel only if the bot is a member."""
        if channel == self._workspace.channels[channel.id]:
            return channel
        self._workspace.put_channel(channel)
        if event is not None and (channel.has_bot or not channel.is_private):
            scope = "groups:read" if channel.is_private else "channels:read"
            self._subscriptions.tell({**event, "channel": channel.id}, scope)
        return channel


def _kind(channel: Channel) -> str:
    return "group" if channel.is_private else "channel"
