"""The lookup of one meeting: all that a person wants to know, in as few requests as possible.

Lookups for people are limited in number (`ConcurrencyLimit`), and cached for some seconds (`RecentLookups`), so that a
crowd that asks for one meeting costs no more than one person. Checks of followed meetings bypass both.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from cachetools import TTLCache

from bot.domain.observation import Observation, Status
from bot.errors import MeetingNotFound, RealtimeKitError, Unreachable
from bot.realtimekit.client import RESPONSE_SECONDS, RealtimeKitClient
from bot.realtimekit.models import Livestream, Meeting, NotLive, Session
from bot.realtimekit.single_flight import SingleFlight

MAX_CONCURRENT_LOOKUPS = 150
"""Measured: in a burst, as fast as any larger limit with 25 MB less memory; 100 is slower."""
ANSWER_SECONDS = 2.5
"""Cache lifetime of a lookup."""
FAILURE_SECONDS = 1.0
"""Cache lifetime of a failure, which may be over soon. MeetingNotFound is cached like an answer."""
_CACHE_SIZE = 1_000
_DETAIL_SECONDS = 2.0
_STATUSES_WITH_PLAYBACK = (Status.LIVE, Status.STARTING, Status.UNKNOWN)
_PLAYER_HOST = re.compile(r"([a-z0-9-]+\.)+cloudflarestream\.com")
_HLS_PATH = re.compile(r"/([0-9a-f]{32}|[\w-]+\.[\w-]+\.[\w-]+)/manifest/video\.m3u8", re.ASCII)

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
        session = self.plausible_session
        on_air = session is not None and session.stopped_time is None and self.status is Status.LIVE
        return session.started_time if on_air and session else None

    @property
    def plausible_session(self) -> Session | None:
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


def player_url(playback_url: str) -> str:
    """Return Cloudflare Stream's hosted player for its own HLS URLs, signed or not; return other URLs unchanged.

    A bare .m3u8 plays only in Safari and recent desktop Chrome; other browsers download a file. Source of the player's
    address: Cloudflare Stream, "Use the Stream Player".
    """
    parts = urlsplit(playback_url)
    match = _HLS_PATH.fullmatch(parts.path)
    if match and _PLAYER_HOST.fullmatch(parts.hostname or ""):
        return f"https://{parts.hostname}/{match[1]}/iframe"
    return playback_url


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
    max_wait = min(_DETAIL_SECONDS, deadline - asyncio.get_running_loop().time())
    meeting, session = await _details(kit, meeting_id, livestream, max_wait)
    title = meeting.title if meeting else kit.last_title(meeting_id)
    return Lookup(
        meeting_id, title or livestream.name, livestream, session, checked_at, name_is_certain=bool(meeting or title)
    )


async def _details(
    kit: RealtimeKitClient, meeting_id: UUID, livestream: Livestream, max_wait: float
) -> tuple[Meeting | None, Session | None]:
    """Fetch the meeting and the livestream's session, at the same time if both need a request."""
    meeting = kit.recent_meeting(meeting_id)
    if livestream.id is None or livestream.status not in (Status.LIVE, Status.ERRORED):
        return meeting or await _optional(kit.meeting(meeting_id, max_wait)), None
    session = _optional(kit.active_session(livestream.id, max_wait))
    if meeting is not None:
        return meeting, await session
    fetching = asyncio.create_task(session, name="session of a lookup")
    try:
        return await _optional(kit.meeting(meeting_id, max_wait)), await fetching
    finally:
        fetching.cancel()


async def _optional(detail: Awaitable[T]) -> T | None:
    try:
        return await detail
    except RealtimeKitError as error:
        log.info("lookup_incomplete", error=str(error))
        return None


def observation_of(lookup: Lookup) -> Observation:
    """Return a lookup's observation. A failed lookup raises an error instead, which becomes CheckFailed."""
    session = _current_session(lookup)
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


def _current_session(lookup: Lookup) -> Session | None:
    """Return the current session; a stopped one, while the livestream is live, is still the previous session."""
    session = lookup.plausible_session
    stopped = session is not None and session.stopped_time is not None
    return None if stopped and lookup.status is Status.LIVE else session


class ConcurrencyLimit:
    """A concurrency limit: `async with` acquires a slot and holds it until the block ends.

    By default the wait for a slot is as long as for an answer: if Cloudflare hangs, no slot is free sooner.
    """

    def __init__(self, limit: int = MAX_CONCURRENT_LOOKUPS, max_wait: float = RESPONSE_SECONDS) -> None:
        self._free = asyncio.Semaphore(limit)
        self._max_wait = max_wait

    async def __aenter__(self) -> None:
        """Acquire a slot. Raises Unreachable if none is free in time."""
        if not self._free.locked():
            await self._free.acquire()
            return
        try:
            async with asyncio.timeout(self._max_wait):
                await self._free.acquire()
        except TimeoutError:
            raise Unreachable(detail=f"no free slot within {self._max_wait:g} s") from None

    async def __aexit__(self, *error: object) -> None:
        self._free.release()


class RecentLookups:
    """A short-lived cache of lookups for people."""

    def __init__(
        self,
        look_up: Callable[[UUID], Awaitable[Lookup]],
        timer: Callable[[], float] = time.monotonic,
        on_answer: Callable[[UUID, Lookup | None], None] = lambda *_: None,
    ) -> None:
        """Create the cache.

        `timer` returns seconds and must never go back; `on_answer` is called with each new answer, None for a meeting
        that does not exist.
        """
        self._look_up = look_up
        self._on_answer = on_answer
        self._in_flight = SingleFlight()
        self._answers: TTLCache[UUID, Lookup | None] = TTLCache(_CACHE_SIZE, ANSWER_SECONDS, timer)
        self._failures: TTLCache[UUID, RealtimeKitError] = TTLCache(_CACHE_SIZE, FAILURE_SECONDS, timer)

    async def look_up(self, meeting_id: UUID) -> Lookup:
        """Return an answer that is at most 2.5 seconds old. Raises a RealtimeKitError."""
        if meeting_id in self._failures:
            raise self._failures[meeting_id].with_traceback(None)
        if meeting_id in self._answers:
            answer = self._answers[meeting_id]
            if answer is None:
                raise MeetingNotFound
            return answer
        return await self._in_flight.run(meeting_id, lambda: self._fetch(meeting_id))

    async def close(self) -> None:
        """Cancel the lookups in flight."""
        await self._in_flight.cancel()

    async def _fetch(self, meeting_id: UUID) -> Lookup:
        try:
            answer = await self._look_up(meeting_id)
        except MeetingNotFound:
            self._answers[meeting_id] = None
            self._on_answer(meeting_id, None)
            raise
        except RealtimeKitError as error:
            self._failures[meeting_id] = error
            raise
        self._answers[meeting_id] = answer
        self._on_answer(meeting_id, answer)
        return answer
