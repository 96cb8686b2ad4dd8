"""What a person at the page sees, as JSON. Pure."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bot.sandbox.realtimekit import SEEDS, Meeting
from bot.sandbox.realtimekit import Call as CloudflareCall
from bot.sandbox.realtimekit.postman import Delivery
from bot.sandbox.slack import Call as SlackCall
from bot.sandbox.slack import Channel, Direction, Message, User, Workspace

Json = dict[str, Any]

MASK = "•••"
LONGEST_METHOD = 300

_SEEDS = {seed.id: seed for seed in SEEDS}
_OWNER = re.compile(r"^/client/v4/accounts/[^/]*/realtime/kit/[^/]*")
_BOT_TO_SLACK, _SLACK_TO_BOT = {"from": "bot", "to": "slack"}, {"from": "slack", "to": "bot"}


@dataclass(frozen=True, slots=True)
class BotView:
    """The bot's process: how Slack reaches it, where its own server is, and whether it runs."""

    mode: Literal["http", "socket"]
    url: str
    running: bool = True

    def to_dict(self) -> Json:
        """The bot as JSON-compatible values."""
        return asdict(self)


def sees_channel(person: str, channel: Channel) -> bool:
    """Whether a person finds a channel: a public one, or one that they are a member of."""
    return not channel.is_deleted and (not channel.is_private or person in channel.members)


def sees_message(person: str, message: Message, channel: Channel) -> bool:
    """Whether a message, be it deleted by now, is one that the person saw."""
    return sees_channel(person, channel) and message.ephemeral_to in (None, person)


def people(workspace: Workspace) -> list[User]:
    """Those whom somebody at the page can be."""
    return [user for user in workspace.users.values() if not user.is_bot]


def conversations(workspace: Workspace, person: str) -> Json:
    """The channels that a person sees, and all that they see in them, oldest first, replies included."""
    channels = [channel for channel in workspace.channels.values() if sees_channel(person, channel)]
    messages: dict[str, list[Json]] = {channel.id: [] for channel in channels}
    for message in workspace.every_message():
        if message.channel in messages and message.seen_by(person):
            messages[message.channel].append(message.to_dict())
    return {"channels": [channel.to_dict() for channel in channels], "messages": messages}


def meeting_view(meeting: Meeting) -> Json:
    """A meeting for the RealtimeKit panel, without the secrets of its broadcaster. What is said about it is so until
    somebody changes it."""
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
    """A call between the bot and Slack. The sandbox measures it in its own time; the page shows real milliseconds."""
    outward = call.direction is Direction.BOT_TO_SLACK
    method = f"slash command {call.method}" if not outward and call.method.startswith("/") else call.method
    ms = call.ms / speed if speed else call.ms
    return (_BOT_TO_SLACK if outward else _SLACK_TO_BOT) | _call(method, call.status, call.error, ms, call.at)


def cloudflare_call(call: CloudflareCall) -> Json:
    """A call of the bot to Cloudflare, the account and the app masked."""
    path = _OWNER.sub(f"/accounts/{MASK}/realtime/kit/{MASK}", call.path)
    answered = call.status != 0
    status, error = (call.status, None) if answered else (None, "no answer")
    return {"from": "bot", "to": "cloudflare"} | _call(f"{call.method} {path}", status, error, call.ms, call.at)


def webhook_call(delivery: Delivery) -> Json:
    """A webhook that is over: told to the bot, or given up. How long it took is not known."""
    again = f" ({delivery.attempts} attempts)" if delivery.attempts > 1 else ""
    error = None if delivery.status is not None else "no answer" if delivery.attempts else "not sent"
    call = _call(f"webhook {delivery.event}{again}", delivery.status, error, 0, delivery.at)
    return {"from": "cloudflare", "to": "bot"} | call | {"ms": None}


def _call(method: str, status: int | None, error: str | None, ms: float, at: float) -> Json:
    return {"method": method[:LONGEST_METHOD], "status": status, "error": error, "ms": round(ms, 1), "at": at}


def is_for(person: str, subject: Message | Channel, channels: Mapping[str, Channel]) -> bool:
    """Whether a person sees a change of a message or a channel. Of a deleted channel those hear who saw it."""
    if isinstance(subject, Channel):
        return not subject.is_private or person in subject.members
    return sees_message(person, subject, channels[subject.channel])
