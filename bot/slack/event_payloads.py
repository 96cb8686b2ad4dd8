"""Events in the workspace, parsed from Slack's event payloads."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from bot.errors import InvalidInteraction


@dataclass(frozen=True, slots=True)
class Event:
    """An event in the workspace, which needs no reply."""

    kind: str
    team_id: str
    """The workspace that the app is installed in; "" if the installation is a whole organization's."""
    channel_id: str = ""
    user_id: str = ""
    is_about_bot: bool = False
    """Whether `user_id` is this bot; False while Slack has not said who the bot is."""
    enterprise_id: str = ""
    is_of_one_workspace: bool = False
    """Whether Slack says that the installation is one workspace's, not an organization's."""
    new_channel_id: str = ""
    """The channel's new ID, if it has changed."""
    revoked_bots: tuple[str, ...] = ()
    """The bot users whose tokens have been revoked."""


class _Tokens(BaseModel):
    bot: list[str] | None = None


class _Event(BaseModel):
    type: str
    channel: str = ""
    user: str = ""
    old_channel_id: str = ""
    new_channel_id: str = ""
    tokens: _Tokens = Field(default_factory=_Tokens)


class _Authorization(BaseModel):
    team_id: str | None = None
    enterprise_id: str | None = None
    is_enterprise_install: bool = False


class _Callback(BaseModel):
    team_id: str | None = None
    enterprise_id: str | None = None
    authorizations: list[_Authorization] | None = None
    event: _Event


def read_event(body: dict[str, Any]) -> Event:
    """Parse an event. Raises InvalidInteraction if the payload lacks a required field.

    In a channel shared by several workspaces the outer `team_id` may be any of theirs, so the app's own entry in
    `authorizations` comes first.
    """
    try:
        callback = _Callback.model_validate(body)
    except ValidationError as error:
        missing = ", ".join(".".join(map(str, mistake["loc"])) for mistake in error.errors(include_input=False))
        raise InvalidInteraction(detail=f"payload without {missing}") from None
    outer = _Authorization(team_id=callback.team_id, enterprise_id=callback.enterprise_id)
    ours = callback.authorizations[0] if callback.authorizations else outer
    team_id = "" if ours.is_enterprise_install else ours.team_id or ""
    enterprise_id = ours.enterprise_id or ""
    if not (team_id or enterprise_id):
        raise InvalidInteraction(detail="payload without team_id")
    event = callback.event
    return Event(
        event.type,
        team_id,
        event.channel or event.old_channel_id,
        event.user,
        enterprise_id=enterprise_id,
        is_of_one_workspace=ours is not outer and not ours.is_enterprise_install and ours.team_id is not None,
        new_channel_id=event.new_channel_id,
        revoked_bots=tuple(event.tokens.bot or ()),
    )
