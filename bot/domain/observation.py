"""Observations: what a check of a meeting found. No clock, no network."""

from dataclasses import dataclass
from datetime import datetime

from bot.realtimekit.lookup import Lookup
from bot.realtimekit.models import Session, Status


@dataclass(frozen=True, slots=True)
class Sighting:
    """Cloudflare's answer. A meeting without a livestream is NOT_BROADCASTING, like one whose livestream is off."""

    status: Status
    raw_status: str | None = None
    """The status as Cloudflare sent it."""
    name: str | None = None
    playback_url: str | None = None
    run_started_at: datetime | None = None
    """When the session went on air. Only this distinguishes sessions: livestream IDs and playback URLs are reused."""
    run_stopped_at: datetime | None = None
    error_reason: str | None = None
    livestream: str | None = None
    """The livestream's fingerprint, for comparison with lists."""
    name_is_certain: bool = True
    """Whether the name comes from the meeting itself; if not, it does not replace a known name."""
    livestream_id: str | None = None
    is_missing: bool = False
    """Cloudflare has no meeting with this ID."""


@dataclass(frozen=True, slots=True)
class CouldNotAsk:
    """A failed check: Cloudflare gave no usable answer about the meeting."""

    why: str


Observation = Sighting | CouldNotAsk


def observation_of(lookup: Lookup) -> Sighting:
    """Return a lookup's observation. A failed lookup raises an error instead, which becomes CouldNotAsk."""
    session = _session_of_this_run(lookup)
    return Sighting(
        status=lookup.status,
        raw_status=lookup.livestream.raw_status if lookup.livestream else None,
        name=lookup.name,
        name_is_certain=lookup.name_is_certain,
        playback_url=lookup.playback_url,
        run_started_at=session.started_time if session else None,
        run_stopped_at=session.stopped_time if session else None,
        error_reason=lookup.error_reason,
        livestream=lookup.livestream.fingerprint if lookup.livestream else None,
        livestream_id=lookup.livestream.id if lookup.livestream else None,
    )


def _session_of_this_run(lookup: Lookup) -> Session | None:
    """Return the current session; a stopped one, while the livestream is live, is still the previous session."""
    session = lookup.believable_session
    stopped = session is not None and session.stopped_time is not None
    return None if stopped and lookup.status is Status.LIVE else session
