"""Observations: what a check of a meeting found. No clock, no network."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """A livestream's status in the bot's terms."""

    LIVE = "live"
    STARTING = "starting"
    NOT_BROADCASTING = "not live"
    ERRORED = "errored"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Observation:
    """Cloudflare's answer. A meeting without a livestream is NOT_BROADCASTING, like one whose livestream is off."""

    status: Status
    raw_status: str | None = None
    """The status as Cloudflare sent it."""
    name: str | None = None
    playback_url: str | None = None
    session_started_at: datetime | None = None
    """When the session went on air. Livestream IDs and playback URLs do not tell sessions apart: they are reused."""
    session_stopped_at: datetime | None = None
    error_reason: str | None = None
    livestream: str | None = None
    """The livestream's fingerprint, for comparison with lists."""
    name_is_certain: bool = True
    """Whether the name comes from the meeting itself; if not, it does not replace a known name."""
    livestream_id: str | None = None
    also_live: frozenset[str] = frozenset()
    """The IDs of the meeting's other livestreams that are on air."""
    session_id: str | None = None
    """None if Cloudflare did not send it, or the session was not fetched."""
    is_missing: bool = False
    """Cloudflare has no meeting with this ID."""


@dataclass(frozen=True, slots=True)
class CheckFailed:
    """A failed check: Cloudflare gave no usable answer about the meeting."""

    reason: str


CheckResult = Observation | CheckFailed
