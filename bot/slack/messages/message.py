"""Types for the bot's messages in Slack."""

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
