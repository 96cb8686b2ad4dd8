"""What is written to rows and read from them."""

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
