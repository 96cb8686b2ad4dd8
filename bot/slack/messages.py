"""The shape of what the bot says in Slack."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Block = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """A Slack message. Screen readers and notifications use the text alone, so it says everything in sentences."""

    text: str
    blocks: tuple[Block, ...] = ()


class Choice(StrEnum):
    """What the menu of a followed meeting's card offers."""

    QUIET = "quiet"
    NORMAL = "normal"
    LOUD = "loud"
    REFRESH = "refresh"
    UNFOLLOW = "unfollow"


class CardState(BaseModel):
    """What a card's buttons and the options of its menu carry, so that any replica can serve a click on them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    meeting_id: str = Field(alias="m", pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
    posted_by: str | None = Field(None, alias="by", pattern=r"^[A-Z0-9]{1,32}$")
    choice: Choice | None = Field(None, alias="do")

    def value(self) -> str:
        """The button's value: at most 100 of the 2,000 characters that Slack allows."""
        return self.model_dump_json(by_alias=True, exclude_none=True)

    @classmethod
    def read(cls, value: str) -> Self | None:
        """The state in a button's value; None where it is not one of ours."""
        try:
            return cls.model_validate_json(value)
        except ValidationError:
            return None
