"""What one look at a meeting's livestream showed. No clock, no network."""

from dataclasses import dataclass
from datetime import datetime

from bot.realtimekit.lookup import Lookup
from bot.realtimekit.models import Session, Status


@dataclass(frozen=True, slots=True)
class Sighting:
    """Cloudflare answered. A meeting without any livestream is NOT_BROADCASTING, like one whose livestream is off."""

    status: Status
    raw_status: str | None = None
    """The word as Cloudflare sent it."""
    name: str | None = None
    playback_url: str | None = None
    run_started_at: datetime | None = None
    """When the run went on air. It alone tells runs apart: livestream ids and playback URLs are used again."""
    run_stopped_at: datetime | None = None
    error_reason: str | None = None
    livestream: str | None = None
    """The livestream's fingerprint, which a list is compared with."""
    name_is_certain: bool = True
    """Whether the meeting itself was read; if not, a name that is known already stays."""


@dataclass(frozen=True, slots=True)
class CouldNotAsk:
    """Cloudflare gave no answer that says anything about the meeting."""

    why: str


Observation = Sighting | CouldNotAsk


def observation_of(lookup: Lookup) -> Sighting:
    """What a lookup showed. One that failed raised instead: that is CouldNotAsk."""
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
    )


def _session_of_this_run(lookup: Lookup) -> Session | None:
    """A session that has stopped, of a livestream that is live, is still that of the run before."""
    session = lookup.believable_session
    stopped = session is not None and session.stopped_time is not None
    return None if stopped and lookup.status is Status.LIVE else session
