"""JSON views of what a person at the page sees. Pure."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sandbox.realtimekit import SEEDS, Meeting
from sandbox.realtimekit import Call as CloudflareCall
from sandbox.realtimekit.postman import Delivery
from sandbox.slack import Call as SlackCall
from sandbox.slack import Channel, Direction, Message, User, Workspace

Json = dict[str, Any]

MASK = "•••"
LONGEST_METHOD = 300

_SEEDS = {seed.id: seed for seed in SEEDS}
_OWNER = re.compile(r"^/client/v4/accounts/[^/]*/realtime/kit/[^/]*")
_BOT_TO_SLACK, _SLACK_TO_BOT = {"from": "bot", "to": "slack"}, {"from": "slack", "to": "bot"}


@dataclass(frozen=True, slots=True)
class BotView:
    """The bot's process: how Slack reaches it, its server's URL, and whether it is running."""

    mode: Literal["http", "socket"]
    url: str
    running: bool = True

    def to_dict(self) -> Json:
        """Return the bot as JSON-compatible values."""
        return asdict(self)


def sees_channel(person: str, channel: Channel) -> bool:
    """Return whether a person can see a channel: a public one, or one that they are a member of."""
    return not channel.is_deleted and (not channel.is_private or person in channel.members)


def sees_message(person: str, message: Message, channel: Channel) -> bool:
    """Return whether a person can see a message, or could before it was deleted."""
    return sees_channel(person, channel) and message.ephemeral_to in (None, person)


def people(workspace: Workspace) -> list[User]:
    """Return the people that the page's user can act as."""
    return [user for user in workspace.users.values() if not user.is_bot]


def conversations(workspace: Workspace, person: str) -> Json:
    """Return the channels that a person sees, with the messages they see there, oldest first, including replies."""
    channels = [channel for channel in workspace.channels.values() if sees_channel(person, channel)]
    messages: dict[str, list[Json]] = {channel.id: [] for channel in channels}
    for message in workspace.every_message():
        if message.channel in messages and message.seen_by(person):
            messages[message.channel].append(message.to_dict())
    return {"channels": [channel.to_dict() for channel in channels], "messages": messages}


def meeting_view(meeting: Meeting) -> Json:
    """Return a meeting for the RealtimeKit panel, without the broadcaster's secrets.

    The seed's description in `about` holds only while `as_seeded` is true.
    """
    livestream, seed = meeting.livestream, _SEEDS.get(meeting.id)
    status = str(livestream.status) if livestream else None
    return {
        "id": meeting.id,
        "title": meeting.title,
        "about": seed.about if seed else "",
        "as_seeded": seed is None or (seed.status == status and len(meeting.sessions) < 2),
        "status": status,
        "name": livestream.name if livestream else None,
        "running": meeting.running,
    }


def slack_call(call: SlackCall, speed: float) -> Json:
    """Return a call between the bot and Slack, with its duration converted from sandbox time to real milliseconds."""
    outward = call.direction is Direction.BOT_TO_SLACK
    method = f"slash command {call.method}" if not outward and call.method.startswith("/") else call.method
    ms = call.ms / speed if speed else call.ms
    return (_BOT_TO_SLACK if outward else _SLACK_TO_BOT) | _call(method, call.status, call.error, ms, call.at)


def cloudflare_call(call: CloudflareCall) -> Json:
    """Return a call from the bot to Cloudflare, with account and app masked."""
    path = _OWNER.sub(f"/accounts/{MASK}/realtime/kit/{MASK}", call.path)
    answered = call.status != 0
    status, error = (call.status, None) if answered else (None, "no answer")
    return {"from": "bot", "to": "cloudflare"} | _call(f"{call.method} {path}", status, error, call.ms, call.at)


def webhook_call(delivery: Delivery) -> Json:
    """Return a finished webhook delivery, successful or given up. Its duration is unknown."""
    again = f" ({delivery.attempts} attempts)" if delivery.attempts > 1 else ""
    error = None if delivery.status is not None else "no answer" if delivery.attempts else "not sent"
    call = _call(f"webhook {delivery.event}{again}", delivery.status, error, 0, delivery.at)
    return {"from": "cloudflare", "to": "bot"} | call | {"ms": None}


def _call(method: str, status: int | None, error: str | None, ms: float, at: float) -> Json:
    return {"method": method[:LONGEST_METHOD], "status": status, "error": error, "ms": round(ms, 1), "at": at}


def is_for(person: str, subject: Message | Channel, channels: Mapping[str, Channel]) -> bool:
    """Return whether a change of a message or channel concerns a person.

    The deletion of a channel concerns the people who could see it.
    """
    if isinstance(subject, Channel):
        return not subject.is_private or person in subject.members
    return sees_message(person, subject, channels[subject.channel])
