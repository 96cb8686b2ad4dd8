"""The lookup of one meeting: all that a person wants to know, in as few requests as possible."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog

from bot.domain.observation import Observation, Status
from bot.errors import RealtimeKitError
from bot.realtimekit.client import RESPONSE_SECONDS, RealtimeKitClient
from bot.realtimekit.models import Livestream, NotLive, Session

_DETAIL_SECONDS = 2.0
_STATUSES_WITH_PLAYBACK = (Status.LIVE, Status.STARTING, Status.UNKNOWN)

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Lookup:
    """The state of a meeting's livestream at one moment."""

    meeting_id: UUID
    name: str | None
    """The meeting's title, or the livestream's name if the title is missing or unknown."""
    livestream: Livestream | None
    """None if the meeting has no active livestream."""
    session: Session | None
    checked_at: datetime
    name_is_certain: bool = True
    """Whether the bot knows the meeting's title, or that it has none."""

    @property
    def status(self) -> Status:
        return self.livestream.status if self.livestream else Status.NOT_BROADCASTING

    @property
    def live_since(self) -> datetime | None:
        """When the current session went on air. The livestream itself cannot say: later sessions reuse it."""
        session = self.believable_session
        on_air = session is not None and session.stopped_time is None and self.status is Status.LIVE
        return session.started_time if on_air and session else None

    @property
    def believable_session(self) -> Session | None:
        """The session without impossible times."""
        return self.session.as_of(self.checked_at) if self.session else None

    @property
    def playback_url(self) -> str | None:
        """The playback URL; None while off air, when Cloudflare keeps the URL but it plays nothing."""
        shown = self.livestream is not None and self.status in _STATUSES_WITH_PLAYBACK
        return self.livestream.playback_url if shown and self.livestream else None

    @property
    def error_reason(self) -> str | None:
        return self.session.err_message if self.session and self.status is Status.ERRORED else None


async def look_up(kit: RealtimeKitClient, meeting_id: UUID, now: Callable[[], datetime]) -> Lookup:
    """Look up whether the meeting is live and where to watch it. Raises a RealtimeKitError if Cloudflare cannot say.

    Title, start and error reason are optional details. They are left out unless they arrive within two more seconds,
    and within eight seconds in total.
    """
    deadline = asyncio.get_running_loop().time() + RESPONSE_SECONDS
    livestream = await kit.active_livestream(meeting_id)
    checked_at = now()
    if isinstance(livestream, NotLive):
        return Lookup(meeting_id, livestream.meeting.title, None, None, checked_at)
    patience = min(_DETAIL_SECONDS, deadline - asyncio.get_running_loop().time())
    meeting, session = await asyncio.gather(
        _optional(kit.meeting(meeting_id), patience), _session(kit, livestream, patience)
    )
    title = meeting.title if meeting else kit.last_title(meeting_id)
    return Lookup(
        meeting_id, title or livestream.name, livestream, session, checked_at, name_is_certain=bool(meeting or title)
    )


async def _session(kit: RealtimeKitClient, livestream: Livestream, patience: float) -> Session | None:
    if livestream.id is None or livestream.status not in (Status.LIVE, Status.ERRORED):
        return None
    return await _optional(kit.active_session(livestream.id), patience)


async def _optional(detail: Awaitable[T], patience: float) -> T | None:
    try:
        async with asyncio.timeout(patience):
            return await detail
    except (RealtimeKitError, TimeoutError) as error:
        log.info("lookup_incomplete", error=str(error) or type(error).__name__)
        return None


def observation_of(lookup: Lookup) -> Observation:
    """Return a lookup's observation. A failed lookup raises an error instead, which becomes CheckFailed."""
    session = _session_of_this_run(lookup)
    return Observation(
        status=lookup.status,
        raw_status=lookup.livestream.raw_status if lookup.livestream else None,
        name=lookup.name,
        name_is_certain=lookup.name_is_certain,
        playback_url=lookup.playback_url,
        session_started_at=session.started_time if session else None,
        session_stopped_at=session.stopped_time if session else None,
        error_reason=lookup.error_reason,
        livestream=lookup.livestream.fingerprint if lookup.livestream else None,
        livestream_id=lookup.livestream.id if lookup.livestream else None,
        also_live=lookup.livestream.also_live if lookup.livestream else frozenset(),
        session_id=session.id if session else None,
    )


def _session_of_this_run(lookup: Lookup) -> Session | None:
    """Return the current session; a stopped one, while the livestream is live, is still the previous session."""
    session = lookup.believable_session
    stopped = session is not None and session.stopped_time is not None
    return None if stopped and lookup.status is Status.LIVE else session
