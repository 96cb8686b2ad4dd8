"""Commands, clicks and events, parsed from Slack's payloads."""

import re
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError

from bot.errors import InvalidInteraction, OtherWorkspace
from bot.slack.meeting_ids import OneMeeting, read_meeting_id
from bot.slack.messages.message import ActionValue

COMMAND = "command"
_GROUP_NAME = re.compile(r"mpdm-.+--.+-\d+")


@dataclass(frozen=True, slots=True)
class Request:
    """A command or click: the person, the place, the action, and where to answer."""

    action: str
    team_id: str
    user_id: str
    channel_id: str
    response_url: str
    text: str = ""
    card: ActionValue | None = None
    """The state of the card whose button was pressed."""
    message_ts: str = ""
    """The ts of the message whose button was pressed."""
    on_private_card: bool = False
    """Whether only this person sees that message."""
    user_team_id: str = ""
    """The person's workspace, if Slack names it, otherwise the one that the payload is about."""
    user_enterprise_id: str = ""
    """The person's organization, if Slack names it."""
    is_outsider: bool = False
    """Whether the person belongs to another workspace that shares the channel, as far as Slack says."""
    user_name: str = ""
    """The person's name in Slack, for a click; empty if Slack doesn't send it."""
    channel_name: str = ""
    """The name as Slack sends it; `directmessage` and `mpdm-ann--ben-1` are direct messages."""

    def refuse_outsiders(self) -> None:
        """Raise OtherWorkspace if the person belongs to another workspace, for requests that change something here."""
        if self.is_outsider:
            raise OtherWorkspace

    @property
    def is_direct(self) -> bool:
        """Whether the request comes from a direct message, between two people or in a group."""
        # A channel's name may resemble a group message's, hence the full match.
        is_of_two = self.channel_id.startswith("D") or self.channel_name == "directmessage"
        return is_of_two or _GROUP_NAME.fullmatch(self.channel_name) is not None

    @property
    def meeting_id(self) -> UUID | None:
        """The meeting that the request concerns; None if there is none, or several."""
        if self.card is not None:
            return UUID(self.card.meeting_id)
        meant = read_meeting_id(self.text)
        return meant.meeting_id if isinstance(meant, OneMeeting) else None


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


SlackId = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,32}$")]
"""Slack's ID for a person, channel or workspace."""


class _Command(BaseModel):
    team_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{0,32}$")] = ""
    enterprise_id: str = ""
    user_id: SlackId
    channel_id: SlackId
    channel_name: str = ""
    response_url: str
    text: str = ""


class _Id(BaseModel):
    id: SlackId


class _User(_Id):
    username: str | None = None
    team_id: str | None = None
    enterprise_id: str | None = None


class _Channel(_Id):
    name: str = ""


class _Container(BaseModel):
    message_ts: str = ""
    is_ephemeral: bool = False


class _Option(BaseModel):
    value: str = ""


class _Action(BaseModel):
    action_id: str
    value: str = ""
    selected_option: _Option = Field(default_factory=_Option)


class _BlockActions(BaseModel):
    team: _Id | None = None
    user: _User
    channel: _Channel
    container: _Container = Field(default_factory=_Container)
    response_url: str
    actions: list[_Action] = Field(min_length=1)


def read_request(body: dict[str, Any]) -> Request:
    """Parse a slash command or a click. Raises InvalidInteraction if the payload lacks a required field."""
    try:
        return _click(_BlockActions.model_validate(body)) if "actions" in body else _command(body)
    except ValidationError as error:
        raise _invalid(error) from None


def _command(body: dict[str, Any]) -> Request:
    command = _Command.model_validate(body)
    return Request(
        action=COMMAND,
        team_id=command.team_id,
        user_id=command.user_id,
        channel_id=command.channel_id,
        channel_name=command.channel_name,
        response_url=command.response_url,
        text=command.text,
        user_team_id=command.team_id,
        user_enterprise_id=command.enterprise_id,
    )


def _click(body: _BlockActions) -> Request:
    action = body.actions[0]
    return Request(
        action=action.action_id,
        team_id=body.team.id if body.team else "",
        user_id=body.user.id,
        channel_id=body.channel.id,
        channel_name=body.channel.name,
        response_url=body.response_url,
        card=ActionValue.read(action.value or action.selected_option.value),
        message_ts=body.container.message_ts,
        on_private_card=body.container.is_ephemeral,
        user_team_id=body.user.team_id or (body.team.id if body.team else ""),
        user_enterprise_id=body.user.enterprise_id or "",
        user_name=body.user.username or "",
    )


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
        raise _invalid(error) from None
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


def _invalid(error: ValidationError) -> InvalidInteraction:
    missing = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors(include_input=False))
    return InvalidInteraction(detail=f"payload without {missing}")
