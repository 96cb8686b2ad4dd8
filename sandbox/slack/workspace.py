"""A Slack workspace as plain state: its people, channels and messages, and their visibility.

Independent of HTTP, clock and bot. Values are frozen: a change replaces them and publishes an event.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.slack.events import EventKind, Events

SLACKBOT = "USLACKBOT"
MESSAGES_PER_CHANNEL = 500

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Team:
    id: str
    name: str
    domain: str


@dataclass(frozen=True, slots=True)
class Enterprise:
    """An organization of several workspaces."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class User:
    """A person or bot. `team_id` is another workspace's (Slack Connect), or None for a member of this workspace."""

    id: str
    name: str
    real_name: str
    is_bot: bool = False
    team_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the user as JSON-compatible values."""
        return {"id": self.id, "name": self.name, "real_name": self.real_name, "is_bot": self.is_bot}


@dataclass(frozen=True, slots=True)
class Channel:
    """A conversation. `members` contains people only; `has_bot` says whether the bot is a member.

    `is_im`: a direct message between two; `is_mpim`: a group direct message; `is_shared`: shared with another
    workspace (Slack Connect).
    """

    id: str
    name: str
    members: frozenset[str]
    is_private: bool = False
    is_im: bool = False
    is_archived: bool = False
    has_bot: bool = False
    is_deleted: bool = False
    is_mpim: bool = False
    is_shared: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the channel as JSON-compatible values."""
        flags = ("is_private", "is_im", "is_archived", "has_bot", "is_deleted", "is_mpim", "is_shared")
        return {"id": self.id, "name": self.name, "members": sorted(self.members)} | {
            f: getattr(self, f) for f in flags
        }


@dataclass(frozen=True, slots=True)
class Message:
    """A message in its current version.

    `ephemeral_to` is the only person who sees it; `edited` is the ts of the last edit; `trigger_id` is that of the
    command or click whose response_url posted it.
    """

    channel: str
    ts: str
    author: str
    text: str
    blocks: tuple[Block, ...] = ()
    ephemeral_to: str | None = None
    thread_ts: str | None = None
    is_broadcast: bool = False
    edited: str | None = None
    deleted: bool = False
    client_msg_id: str | None = field(default=None, repr=False)
    trigger_id: str | None = field(default=None, repr=False)

    @property
    def in_channel(self) -> bool:
        """Whether the message shows in the channel itself, not only in a thread."""
        return self.thread_ts is None or self.is_broadcast

    def seen_by(self, viewer: str | None) -> bool:
        """Return whether a member of the channel sees the message; without `viewer`, only deletion hides it."""
        return not self.deleted and (viewer is None or self.ephemeral_to in (None, viewer))

    def to_dict(self) -> dict[str, Any]:
        """Return the message as JSON-compatible values."""
        return {name: getattr(self, name) for name in self.__slots__} | {"blocks": list(self.blocks)}


class Workspace:
    """The state of one workspace, with at most `messages_per_channel` messages per channel, the newest.

    `enterprise` is its organization, if any; `is_org_wide`: the app is installed for the whole organization.
    """

    def __init__(
        self,
        team: Team,
        users: tuple[User, ...],
        channels: tuple[Channel, ...],
        events: Events,
        messages_per_channel: int = MESSAGES_PER_CHANNEL,
    ) -> None:
        self.team = team
        self.enterprise: Enterprise | None = None
        self.is_org_wide = False
        self.users = {user.id: user for user in users}
        self.channels = {channel.id: channel for channel in channels}
        self.events = events
        self.messages_per_channel = messages_per_channel
        self._messages: dict[str, OrderedDict[str, Message]] = {channel: OrderedDict() for channel in self.channels}
        self._posted_under: dict[str, tuple[str, str]] = {}
        self._last_ts = 0

    def next_ts(self, now: float) -> str:
        """Return a message ts for the time `now`, larger than all earlier ones."""
        self._last_ts = max(self._last_ts + 1, round(now * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def post(self, message: Message) -> Message:
        """Add a message to its channel."""
        messages = self._messages[message.channel]
        messages[message.ts] = message
        if message.client_msg_id is not None:
            self._posted_under[message.client_msg_id] = message.channel, message.ts
        while len(messages) > self.messages_per_channel:
            _, forgotten = messages.popitem(last=False)
            self._posted_under.pop(forgotten.client_msg_id or "", None)
        self.events.publish(EventKind.MESSAGE_POSTED, message)
        return message

    def edit(self, message: Message, text: str, blocks: tuple[Block, ...], edited: str) -> Message:
        """Replace the whole content of a message."""
        return self._change(replace(message, text=text, blocks=blocks, edited=edited), EventKind.MESSAGE_CHANGED)

    def delete(self, message: Message) -> Message:
        """Delete a message; an empty one stays in its place, so that its thread can continue."""
        return self._change(replace(message, text="", blocks=(), deleted=True), EventKind.MESSAGE_DELETED)

    def _change(self, message: Message, kind: EventKind) -> Message:
        self._messages[message.channel][message.ts] = message
        self.events.publish(kind, message)
        return message

    def put_channel(self, channel: Channel) -> Channel:
        """Add a channel, or replace it by its changed version."""
        self.channels[channel.id] = channel
        self._messages.setdefault(channel.id, OrderedDict())
        self.events.publish(EventKind.CHANNEL_CHANGED, channel)
        return channel

    def change_channel_id(self, old: str, new: str) -> Channel:
        """Give a channel and its messages another ID; the old ID becomes unknown."""
        messages = self._messages.pop(old)
        self._messages[new] = OrderedDict((ts, replace(each, channel=new)) for ts, each in messages.items())
        for client_msg_id, (channel, ts) in tuple(self._posted_under.items()):
            if channel == old:
                self._posted_under[client_msg_id] = new, ts
        return self.put_channel(replace(self.channels.pop(old), id=new))

    def find(self, channel: str, ts: str) -> Message | None:
        """Return the message with this ts, even if deleted."""
        return self._messages[channel].get(ts) if channel in self._messages else None

    def find_client_msg_id(self, client_msg_id: str) -> Message | None:
        """Return the message posted with this ID, even if deleted, unless it has been forgotten."""
        place = self._posted_under.get(client_msg_id)
        return None if place is None else self.find(*place)

    def every_message(self) -> Iterator[Message]:
        """Yield all messages that are not deleted, channel by channel."""
        for messages in tuple(self._messages.values()):
            yield from [message for message in messages.values() if not message.deleted]

    def messages(self, channel: str, viewer: str | None = None) -> list[Message]:
        """Return the messages that `viewer` sees in the channel itself, oldest first."""
        return [message for message in self._visible(channel, viewer) if message.in_channel]

    def replies(self, channel: str, thread_ts: str, viewer: str | None = None) -> list[Message]:
        """Return the replies that `viewer` sees in a thread, oldest first."""
        return [message for message in self._visible(channel, viewer) if message.thread_ts == thread_ts]

    def _visible(self, channel: str, viewer: str | None) -> list[Message]:
        place = self.channels[channel]
        if place.is_deleted or (viewer is not None and place.is_private and viewer not in place.members):
            return []
        return [message for message in self._messages[channel].values() if message.seen_by(viewer)]
