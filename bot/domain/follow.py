"""Values that the store's methods take and return."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from bot.store.database import moment
from bot.store.schema import FollowState, Volume

FOLLOW_SECONDS = 30 * 24 * 3600.0
"""How long a follow lasts without a livestream."""


class Episode(Protocol):
    """The part of bot.following's Episode that the store uses. It stores `to_dict()` as it is."""

    @property
    def number(self) -> int: ...

    @property
    def phase(self) -> str: ...

    @property
    def name(self) -> str | None: ...

    def to_dict(self) -> dict[str, Any]: ...


class Change(Protocol):
    """The part of bot.following's Change that the store uses. It is unique by meeting, episode and seq."""

    @property
    def episode(self) -> int: ...

    @property
    def seq(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def at(self) -> datetime: ...

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Follow:
    """A channel's follow of a meeting."""

    id: UUID
    team_id: str
    channel_id: str
    meeting_id: UUID
    created_by: str
    created_at: datetime
    volume: Volume
    state: FollowState
    reason: str | None
    """Slack's code for why it is paused."""
    expires_at: datetime
    """Postponed by a livestream before then."""
    paused_at: datetime | None = None
    notice_error: str | None = None
    """Slack's code for why its creator cannot be sent the notice that it is paused."""
    unfollowed_by: str | None = None
    """The user who ended it."""


def follow_from(row: Mapping[str, Any]) -> Follow:
    """Return the follow in a row that has all columns of `follows`."""
    return Follow(
        id=row["id"],
        team_id=row["team_id"],
        channel_id=row["channel_id"],
        meeting_id=row["meeting_id"],
        created_by=row["created_by"],
        created_at=moment(row["created_at"]),
        volume=Volume(row["volume"]),
        state=FollowState(row["state"]),
        reason=row["reason"],
        expires_at=moment(row["expires_at"]),
        paused_at=None if row["paused_at"] is None else moment(row["paused_at"]),
        notice_error=row["notice_error"],
        unfollowed_by=row["unfollowed_by"],
    )
