"""Conversion of values to rows and back.

Both databases can store what is written or searched for: text without NULs and lone surrogates, JSON without NaN and
infinity. `clean_parameters` applies this where statements are sent to the database.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from bot.domain.follow import Follow, FollowState, Level


class Episode(Protocol):
    """The part of bot.domain's Episode that the store uses. It stores `to_dict()` as it is."""

    @property
    def number(self) -> int: ...

    @property
    def phase(self) -> str: ...

    @property
    def name(self) -> str | None: ...

    def to_dict(self) -> dict[str, Any]: ...


class Change(Protocol):
    """The part of bot.domain's Change that the store uses. It is unique by meeting, episode and seq."""

    @property
    def episode(self) -> int: ...

    @property
    def seq(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def at(self) -> datetime: ...

    def to_dict(self) -> dict[str, Any]: ...


def from_epoch(epoch: float) -> datetime:
    """Return epoch seconds as an aware datetime in UTC."""
    return datetime.fromtimestamp(epoch, UTC)


def follow_from(row: Mapping[str, Any]) -> Follow:
    """Return the follow in a row that has all columns of `follows`."""
    return Follow(
        id=row["id"],
        team_id=row["team_id"],
        channel_id=row["channel_id"],
        meeting_id=row["meeting_id"],
        created_by=row["created_by"],
        created_at=from_epoch(row["created_at"]),
        level=Level(row["level"]),
        state=FollowState(row["state"]),
        pause_reason=row["pause_reason"],
        expires_at=from_epoch(row["expires_at"]),
        paused_at=None if row["paused_at"] is None else from_epoch(row["paused_at"]),
        notice_error=row["notice_error"],
        unfollowed_by=row["unfollowed_by"],
    )


def clean(text: str) -> str:
    """Return the text without the characters that PostgreSQL rejects."""
    if text.isascii():
        return text.replace("\0", "") if "\0" in text else text
    return text.replace("\0", "").encode(errors="ignore").decode()


def clean_parameters(
    _connection: object, _cursor: object, statement: str, parameters: Any, _context: object, _executemany: object
) -> tuple[str, Any]:
    """Clean the strings in a statement's parameters; a listener for SQLAlchemy's before_cursor_execute."""
    return statement, _clean_all(parameters) if parameters else parameters


def dumps(value: Any) -> str:
    """Return the value as JSON that both databases accept. Raises ValueError if it is nested too deeply."""
    try:
        return json.dumps(_clean_json(value), allow_nan=False)
    except RecursionError:
        raise ValueError("This JSON is nested too deeply") from None


def _clean_all(parameters: Any) -> Any:
    if isinstance(parameters, str):
        return clean(parameters)
    if isinstance(parameters, list | tuple):
        return type(parameters)(map(_clean_all, parameters))
    if isinstance(parameters, dict):
        return {name: _clean_all(value) for name, value in parameters.items()}
    return parameters


def _clean_json(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {clean(str(name)): _clean_json(each) for name, each in value.items()}
        case list() | tuple():
            return [_clean_json(each) for each in value]
    return value
