"""The bot's messages in Slack: their type, the values of their buttons, and builders for their Block Kit blocks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A Slack message. Screen readers and notifications use only the text, so it says everything in sentences."""

    text: str
    blocks: tuple[Block, ...] = ()


class MenuAction(StrEnum):
    """The options in the menu of a followed meeting's card."""

    QUIET = "quiet"
    NORMAL = "normal"
    LOUD = "loud"
    REFRESH = "refresh"
    UNFOLLOW = "unfollow"


class ActionValue(BaseModel):
    """The state in a card's buttons and menu options, from which any replica can handle a click."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meeting_id: str = Field(alias="m", pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    posted_by: str | None = Field(None, alias="by", pattern=r"^[A-Z0-9]{1,32}$")
    choice: MenuAction | None = Field(None, alias="do")

    def value(self) -> str:
        """Return the button's value: at most 100 of the 2,000 characters that Slack allows."""
        return self.model_dump_json(by_alias=True, exclude_none=True)

    @classmethod
    def read(cls, value: str) -> Self | None:
        """Return the state in a button's value, or None if the value is not the bot's."""
        try:
            return cls.model_validate_json(value)
        except ValidationError:
            return None


def section(text: str, accessory: Block | None = None) -> Block:
    """Build a paragraph, with an optional button or menu beside it."""
    return {"type": "section", "text": _mrkdwn(text), **({"accessory": accessory} if accessory else {})}


def context(texts: list[str]) -> Block:
    """Build a line of small print."""
    return {"type": "context", "elements": [_mrkdwn(text) for text in texts]}


def actions(*buttons: Block) -> Block:
    """Build a row of buttons."""
    return {"type": "actions", "elements": list(buttons)}


def button(label: str, action_id: str, state: ActionValue) -> Block:
    """Build a button whose value carries the card's state."""
    return {"type": "button", "action_id": action_id, "text": _plain(label), "value": state.value()}


def menu(action_id: str, options: list[tuple[str, ActionValue]]) -> Block:
    """Build an overflow menu (three dots); Slack allows at most five options."""
    return {
        "type": "overflow",
        "action_id": action_id,
        "options": [{"text": _plain(label), "value": state.value()} for label, state in options],
    }


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}
