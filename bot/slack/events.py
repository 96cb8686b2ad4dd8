"""What happened in the workspace, read from the payload of an event that Slack sends of it."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from bot.errors import NotUnderstood


@dataclass(frozen=True, slots=True)
class Event:
    """What happened where; nobody waits for an answer."""

    kind: str
    team_id: str
    channel_id: str = ""
    user_id: str = ""
    is_about_bot: bool = False
    """Whether that user is this bot."""


class _Event(BaseModel):
    type: str
    channel: str = ""
    user: str = ""


class _Callback(BaseModel):
    team_id: str
    event: _Event


def read_event(body: dict[str, Any], bot_user_id: str | None) -> Event:
    """Read an event. Raises NotUnderstood when the payload has not what it needs."""
    try:
        callback = _Callback.model_validate(body)
    except ValidationError as error:
        missing = ", ".join(".".join(map(str, mistake["loc"])) for mistake in error.errors(include_input=False))
        raise NotUnderstood(detail=f"payload without {missing}") from None
    event = callback.event
    about_bot = event.user == bot_user_id
    return Event(event.type, callback.team_id, event.channel, event.user, about_bot)
