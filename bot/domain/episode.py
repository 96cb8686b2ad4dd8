"""An episode's state and its changes, as values that can be stored as JSON."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any

from pydantic import AwareDatetime, PlainSerializer, TypeAdapter

STALE_AFTER = 3
"""After this many consecutive failed checks, the card shows the time of its information."""


class Phase(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    """Off air for less than the grace period."""
    ERRORED = "errored"
    ENDED = "ended"


class ChangeKind(StrEnum):
    STARTING = "starting"
    LIVE = "live"
    """On air, for the first time in the episode."""
    ERRORED = "errored"
    """In error for the whole error grace period."""
    BACK = "back"
    """On air again after an error, for the whole grace period."""
    ENDED = "ended"


Time = Annotated[AwareDatetime, PlainSerializer(lambda time: time.astimezone(UTC).isoformat())]


@dataclass(frozen=True, slots=True)
class Change:
    """One change to announce in the threads, with the facts for its sentence. Unique by `episode` and `seq`."""

    episode: int
    seq: int
    """1, 2, 3... within the episode, in the order of announcing."""
    kind: ChangeKind
    at: Time
    """When it happened according to Cloudflare; if unknown, when it was seen."""
    seen_at: Time
    name: str | None = None
    playback_url: str | None = None
    """None once ended."""
    error_reason: str | None = None
    """The reason of the error; for an end, of the error just before it."""
    live_since: Time | None = None
    last_seen_live: Time | None = None
    """For an end: if checks failed, this is long before `at`, and the livestream ended at some time in between."""

    @property
    def duration(self) -> timedelta | None:
        """Time from going on air to the end; None before the end, or if the episode was never seen live."""
        if self.kind is not ChangeKind.ENDED or self.live_since is None:
            return None
        return self.at - self.live_since

    def to_dict(self) -> dict[str, Any]:
        """Return the change as JSON; times are ISO 8601 in UTC."""
        fields: dict[str, Any] = _CHANGE.dump_python(self, mode="json")
        return fields

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> "Change":
        """Return the change from `to_dict`'s result. Ignores unknown fields; raises pydantic.ValidationError."""
        return _CHANGE.validate_python(fields)


@dataclass(frozen=True, slots=True)
class Episode:
    """One broadcast of a meeting, from its first sign of life to its end, as far as checks saw it."""

    number: int
    """1, 2, 3... within the meeting. The first has its number while the bot waits for it."""
    phase: Phase
    phase_since: Time
    live_since: Time | None = None
    """When it went on air according to Cloudflare; if unknown, when it was first seen live."""
    last_seen_live: Time | None = None
    ended_at: Time | None = None
    name: str | None = None
    """The last known name: an answer without a name does not clear it."""
    playback_url: str | None = None
    """The livestream's last known URL, until the end; it plays only in LIVE."""
    error_reason: str | None = None
    """The reason of the current error, or of the one at the episode's end."""
    error_since: Time | None = None
    """When the current error was first seen; None once the livestream is live again."""
    unstable_since: Time | None = None
    """When the first error of the current series was seen; being live for the error grace period ends a series."""
    relapses: int = 0
    """Number of consecutive errors that were announced soon after a *back*."""
    raw_status: str | None = None
    """Cloudflare's last status, if the bot does not know it ("" if there was none); otherwise None."""
    session_started_at: Time | None = None
    session_stopped_at: Time | None = None
    """When the session stopped, according to Cloudflare; None while it is live."""
    previous_end: Time | None = None
    """When the previous episode ended."""
    previous_session_id: str | None = None
    """The ID of the previous episode's last session."""
    previous_session_started_at: Time | None = None
    """The start of the previous episode's last session."""
    off_air_seen_at: Time | None = None
    """When the last check saw it off air, in INTERRUPTED."""
    off_air_again_at: Time | None = None
    """In INTERRUPTED, when it was seen off air again after a gap between checks in which it may have been on air."""
    checked_at: Time | None = None
    """When Cloudflare last answered."""
    failed_checks: int = 0
    """Number of consecutive failed checks since."""
    last_announced: ChangeKind | None = None
    """The kind of this episode's last change."""
    announced_at: Time | None = None
    """When that change was seen."""
    seq: int = 0
    """Number of this episode's changes."""
    livestream: str | None = None
    """The fingerprint of the livestream that the last check saw; None if it saw none."""
    livestream_id: str | None = None
    """The last known ID of the meeting's livestream."""
    session_id: str | None = None
    """The last known ID of the livestream's session."""
    is_missing: bool = False
    """Whether Cloudflare had no meeting with this ID at the last check."""

    @staticmethod
    def waiting(now: datetime) -> "Episode":
        """Return a meeting's first episode, before any sign of life."""
        return Episode(number=1, phase=Phase.WAITING, phase_since=now)

    @property
    def since(self) -> datetime:
        """The start of the current phase, for people; for an ended episode, its end."""
        known = {Phase.LIVE: self.live_since, Phase.ENDED: self.ended_at}.get(self.phase)
        return known or self.phase_since

    @property
    def duration(self) -> timedelta | None:
        """Time from going on air to the end; None before the end, or if the episode was never seen live."""
        return self.ended_at - self.live_since if self.ended_at and self.live_since else None

    @property
    def session_is_certain(self) -> bool:
        """Whether the session on air is known, in LIVE: its start is known, and it cannot be a later session."""
        return self.session_started_at is not None and self.last_seen_live == self.checked_at

    @property
    def is_stale(self) -> bool:
        """Whether to show the state "as of" `checked_at`. An ended episode does not become stale."""
        return self.phase is not Phase.ENDED and self.failed_checks >= STALE_AFTER

    def to_dict(self) -> dict[str, Any]:
        """Return the episode as JSON; times are ISO 8601 in UTC."""
        fields: dict[str, Any] = _EPISODE.dump_python(self, mode="json")
        return fields

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> "Episode":
        """Return the episode from `to_dict`'s result. Ignores unknown fields; raises pydantic.ValidationError."""
        return _EPISODE.validate_python(fields)


def ended_by(episode: Episode, change: Change) -> Episode:
    """Return the episode as it was after its ENDED change."""
    return replace(
        episode,
        phase=Phase.ENDED,
        phase_since=change.seen_at,
        live_since=change.live_since,
        last_seen_live=change.last_seen_live,
        ended_at=change.at,
        off_air_seen_at=None,
        name=change.name,
        playback_url=None,
        error_reason=change.error_reason,
        checked_at=change.seen_at,
        failed_checks=0,
        last_announced=change.kind,
        announced_at=change.seen_at,
        seq=change.seq,
    )


_CHANGE = TypeAdapter(Change)
_EPISODE = TypeAdapter(Episode)


def card_key(episode: Episode) -> str:
    """Return a hash of what the card shows. A newer `checked_at` alone does not change it, as it needs no edit."""
    shown = (
        episode.number,
        episode.phase,
        episode.since,
        episode.duration,
        episode.name,
        episode.playback_url,
        episode.error_reason,
        episode.raw_status,
        episode.checked_at if episode.is_stale else None,
        episode.is_stale,
        episode.is_missing and episode.phase is not Phase.ENDED,
    )
    return sha256(json.dumps(shown, default=str).encode()).hexdigest()[:16]
