"""What is known of an episode, and what is told of it: values that survive JSON."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any

from pydantic import AwareDatetime, PlainSerializer, TypeAdapter

STALE_AFTER = 3
"""When this many answers in a row have failed to come, the card says as of when it speaks."""


class Phase(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    LIVE = "live"
    INTERRUPTED = "interrupted"
    """Seen off the air, and not yet for the grace time."""
    ERRORED = "errored"
    ENDED = "ended"


class ChangeKind(StrEnum):
    STARTING = "starting"
    LIVE = "live"
    """On air, for the first time in the episode."""
    ERRORED = "errored"
    """In error for the error grace period."""
    BACK = "back"
    """On air again after an error, for a grace period."""
    ENDED = "ended"


Time = Annotated[AwareDatetime, PlainSerializer(lambda time: time.astimezone(UTC).isoformat())]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to tell in the threads, with what its sentence needs. Unique by `episode` and `seq`."""

    episode: int
    seq: int
    """1, 2, 3... within the episode, in the order of telling."""
    kind: ChangeKind
    at: Time
    """When it happened, where Cloudflare says so; else when it was seen."""
    seen_at: Time
    name: str | None = None
    playback_url: str | None = None
    """None once ended."""
    error_reason: str | None = None
    """Why there is an error; of an end, why there was one just before it."""
    live_since: Time | None = None
    last_seen_live: Time | None = None
    """Of an end: long before `at` where nobody could look meanwhile, and then it ended anywhen in between."""

    @property
    def duration(self) -> timedelta | None:
        """From going on air to the end; None before the end, and of an episode that was never seen live."""
        if self.kind is not ChangeKind.ENDED or self.live_since is None:
            return None
        return self.at - self.live_since

    def to_dict(self) -> dict[str, Any]:
        """The change as JSON; times are ISO 8601 in UTC."""
        fields: dict[str, Any] = _CHANGE.dump_python(self, mode="json")
        return fields

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> "Change":
        """What `to_dict` made. Ignores fields that it does not know; raises pydantic.ValidationError."""
        return _CHANGE.validate_python(fields)


@dataclass(frozen=True, slots=True)
class Episode:
    """One run of a meeting's livestream, from its first sign of life to its end, as far as it was seen."""

    number: int
    """1, 2, 3... of a meeting. The one that is waited for has its number already."""
    phase: Phase
    phase_since: Time
    live_since: Time | None = None
    """When it went on air: as Cloudflare says, else when it was first seen there."""
    last_seen_live: Time | None = None
    ended_at: Time | None = None
    name: str | None = None
    """The last name that was heard: one that does not come with an answer is no change."""
    playback_url: str | None = None
    """The last URL that was heard, until the end; it plays something in LIVE only."""
    error_reason: str | None = None
    """Of the error that stands, or stood when the episode ended."""
    error_since: Time | None = None
    """When the error that stands was first seen; None once it is live again."""
    unstable_since: Time | None = None
    """When the first of the errors was seen that it has not been live between for the error grace period."""
    relapses: int = 0
    """How many errors have been announced in a row soon after *back* was."""
    raw_status: str | None = None
    """What Cloudflare said last, where that is no status we know ("" where it said none); else None."""
    run_started_at: Time | None = None
    run_stopped_at: Time | None = None
    """Of the run that is not on air any more, where Cloudflare says so."""
    previous_end: Time | None = None
    """When the episode before this one ended."""
    checked_at: Time | None = None
    """When Cloudflare last answered."""
    unanswered: int = 0
    """How often in a row it has not answered since."""
    told: ChangeKind | None = None
    """The last change of this episode."""
    told_at: Time | None = None
    """When that was."""
    seq: int = 0
    """How many changes this episode has had."""
    livestream: str | None = None
    """The fingerprint of the livestream that the last check saw; None if it saw none."""

    @staticmethod
    def waiting(now: datetime) -> "Episode":
        """What a meeting's first episode is before any sign of life."""
        return Episode(number=1, phase=Phase.WAITING, phase_since=now)

    @property
    def since(self) -> datetime:
        """Since when it is as the phase says, for people; of an ended episode, when it ended."""
        known = {Phase.LIVE: self.live_since, Phase.ENDED: self.ended_at}.get(self.phase)
        return known or self.phase_since

    @property
    def duration(self) -> timedelta | None:
        """From going on air to the end; None before the end, and of an episode that was never seen live."""
        return self.ended_at - self.live_since if self.ended_at and self.live_since else None

    @property
    def run_is_certain(self) -> bool:
        """Whether it is known which run is on air, in LIVE: not before its start is, nor where it may be another."""
        return self.run_started_at is not None and self.last_seen_live == self.checked_at

    @property
    def stale(self) -> bool:
        """Whether it is to be shown "as of" `checked_at`. An ended episode is a record, and stays true."""
        return self.phase is not Phase.ENDED and self.unanswered >= STALE_AFTER

    def to_dict(self) -> dict[str, Any]:
        """The episode as JSON; times are ISO 8601 in UTC."""
        fields: dict[str, Any] = _EPISODE.dump_python(self, mode="json")
        return fields

    @staticmethod
    def from_dict(fields: dict[str, Any]) -> "Episode":
        """What `to_dict` made. Ignores fields that it does not know; raises pydantic.ValidationError."""
        return _EPISODE.validate_python(fields)


def ended_by(episode: Episode, change: Change) -> Episode:
    """The episode as this ENDED change of it left it."""
    return replace(
        episode,
        phase=Phase.ENDED,
        phase_since=change.seen_at,
        live_since=change.live_since,
        last_seen_live=change.last_seen_live,
        ended_at=change.at,
        name=change.name,
        playback_url=None,
        error_reason=change.error_reason,
        checked_at=change.seen_at,
        unanswered=0,
        told=change.kind,
        told_at=change.seen_at,
        seq=change.seq,
    )


_CHANGE = TypeAdapter(Change)
_EPISODE = TypeAdapter(Episode)


def card_key(episode: Episode) -> str:
    """A short word that differs when what a card shows differs. A newer `checked_at` alone is no reason for an edit."""
    shown = (
        episode.number,
        episode.phase,
        episode.since,
        episode.duration,
        episode.name,
        episode.playback_url,
        episode.error_reason,
        episode.raw_status,
        episode.checked_at if episode.stale else None,
        episode.stale,
    )
    return sha256(json.dumps(shown, default=str).encode()).hexdigest()[:16]
