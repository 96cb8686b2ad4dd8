"""Follows: a channel's requests for the changes of a meeting, and the results of work on their cards."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

FOLLOW_SECONDS = 30 * 24 * 3600.0
"""How long a follow lasts without a livestream."""


class Level(StrEnum):
    """The level of a follow: how much of a meeting is announced in the channel."""

    QUIET = "quiet"
    """Only the card."""
    NORMAL = "normal"
    """Also a reply in its thread for each change."""
    LOUD = "loud"
    """Also "live" and "ended" in the channel itself."""


class FollowState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    """Slack does not let the bot post in the channel."""
    EXPIRED = "expired"
    """There was no livestream for a long time."""
    UNFOLLOWED = "unfollowed"
    """A person ended it. Its row stays for a while, so that its card can stop offering to follow again."""


@dataclass(frozen=True, slots=True)
class Follow:
    """A channel's follow of a meeting."""

    id: UUID
    team_id: str
    channel_id: str
    meeting_id: UUID
    created_by: str
    created_at: datetime
    level: Level
    state: FollowState
    pause_reason: str | None
    """Slack's code for the refusal that paused it."""
    expires_at: datetime
    """Postponed by each livestream before then."""
    paused_at: datetime | None = None
    notice_error: str | None = None
    """Slack's code if the notice to its creator could not be sent."""
    unfollowed_by: str | None = None
    """The user who ended it."""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of working on a card."""

    done: bool = False
    """Whether everything is posted and announced; if not, the card is due again later."""
    refused: str | None = None
    """Slack's code for a permanent refusal."""
    unconfirmed: bool = False
    """Whether Slack may still carry out an edit that it did not answer before it refused."""
    denied: str | None = None
    """Slack's code if an admin has to let the bot into the team or channel; the card waits for that."""


DONE, LATER = DeliveryResult(done=True), DeliveryResult()
