"""The list of all active livestreams, and its comparison with the stored state of followed meetings."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from bot.domain.episode import Phase
from bot.domain.observation import Status
from bot.realtimekit.models import Livestream, most_active
from bot.realtimekit.responses import LivestreamPage
from bot.store.meetings import Known

PAGE_SIZE = 100
MAX_PAGES = 100
"""The limit for one reading: ten thousand livestreams, and half of the requests that are kept for people."""
PHASE_OF = {Status.LIVE: Phase.LIVE, Status.STARTING: Phase.STARTING, Status.ERRORED: Phase.ERRORED}
_LISTED_STATUSES = ("LIVE", "INVOKED", "ERRORED")
_UNLISTED_PHASES = (Phase.WAITING, Phase.INTERRUPTED, Phase.ENDED)
_INITIAL_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS, _MAX_DOUBLINGS = 15.0, 300.0, 5
CHECK_SECONDS = 60.0
_LONG_ERROR = timedelta(hours=1)
_LONG_ERROR_CHECK_SECONDS = 300.0
_UPDATED_CHECK_SECONDS, _UPDATED_PRIORITY_SECONDS = 30.0, 120.0

PhaseMismatch = tuple[Hashable, Hashable]
"""A meeting's stored state, and what the list shows instead."""


class LivestreamLister(Protocol):
    """A source of lists of livestreams."""

    async def livestreams(self, status: str, page_no: int, per_page: int = PAGE_SIZE) -> LivestreamPage:
        """Return one page, counted from 1. Raises RealtimeKitError."""
        ...


@dataclass(slots=True)
class LivestreamSnapshot:
    """The meetings with active livestreams."""

    livestreams: dict[UUID, Livestream] = field(default_factory=dict)
    """By meeting; if it has several livestreams, the one that a lookup would choose."""
    is_complete: bool = True
    """Whether the list is complete: a meeting that is not in it has no active livestream."""
    pages: int = 0

    def add(self, livestream: Livestream, now: datetime) -> None:
        """Add a livestream by its own status: Cloudflare may ignore the status that was requested."""
        if livestream.status not in PHASE_OF:
            return
        try:
            meeting_id = UUID(livestream.meeting_id or "")
        except ValueError:
            # It may belong to any meeting.
            self.is_complete = False
            return
        known = self.livestreams.get(meeting_id)
        self.livestreams[meeting_id] = most_active([known, livestream] if known else [livestream], now)

    def status(self, meeting_id: UUID) -> Status | None:
        """Return the meeting's status in the list; None if it is not listed."""
        livestream = self.livestreams.get(meeting_id)
        return livestream.status if livestream else None


async def read_snapshot(lister: LivestreamLister, now: datetime) -> LivestreamSnapshot:
    """Read all pages, live livestreams first. Raises RealtimeKitError."""
    snapshot = LivestreamSnapshot()
    for status in _LISTED_STATUSES:
        page_no, more = 1, True
        while more:
            if snapshot.pages == MAX_PAGES:
                snapshot.is_complete = False
                return snapshot
            page = await lister.livestreams(status, page_no, PAGE_SIZE)
            snapshot.pages += 1
            snapshot.is_complete = snapshot.is_complete and page.is_complete
            for livestream in page.livestreams:
                snapshot.add(livestream, now)
            page_no, more = page_no + 1, page.more
    return snapshot


def matches(phase: str, listed: Status | None) -> bool:
    """Return whether the listed status fits the phase; None means not listed."""
    return phase in _UNLISTED_PHASES if listed is None else phase == PHASE_OF[listed]


def find_mismatches(known: Mapping[UUID, Known], snapshot: LivestreamSnapshot) -> dict[UUID, PhaseMismatch]:
    """Return the meetings that the list shows in another phase, with both phases."""
    found = {meeting_id: (each.phase, snapshot.status(meeting_id)) for meeting_id, each in known.items()}
    return {
        meeting_id: (phase, listed)
        for meeting_id, (phase, listed) in found.items()
        if not matches(phase, listed) and (snapshot.is_complete or listed is not None)
    }


def find_changed(known: Mapping[UUID, Known], snapshot: LivestreamSnapshot) -> dict[UUID, PhaseMismatch]:
    """Return the meetings in the same phase whose livestream has a new ID, name or playback URL in the list."""
    found: dict[UUID, PhaseMismatch] = {}
    for meeting_id, each, livestream in _in_both(known, snapshot):
        before, now = _content(each.episode.get("livestream")), _content(livestream.fingerprint)
        if before != now:
            found[meeting_id] = (before, now)
    return found


def due_for_check(
    known: Mapping[UUID, Known], snapshot: LivestreamSnapshot, now: datetime, next_in: float
) -> list[UUID]:
    """Return the meetings on air to check although the list confirms them, most urgent first.

    Lists do not contain titles, sessions or the reasons of errors. So each meeting is due a minute after its last
    check, earlier if its livestream was updated since, later if it has been ERRORED for an hour. `next_in`: seconds
    until the list is read again.
    """
    urgency: dict[UUID, float] = {}
    for meeting_id, each, livestream in _in_both(known, snapshot):
        # Negative after the clock was set back.
        waited = each.unchecked_for if each.unchecked_for >= 0 else _LONG_ERROR_CHECK_SECONDS
        is_updated = _updated(livestream.fingerprint) > _updated(each.episode.get("livestream"))
        wait = _LONG_ERROR_CHECK_SECONDS if _is_long_error(each, now) else CHECK_SECONDS
        wait = _UPDATED_CHECK_SECONDS if is_updated else wait
        if waited + next_in > wait:
            urgency[meeting_id] = waited - wait + (_UPDATED_PRIORITY_SECONDS if is_updated else 0.0)
    return sorted(urgency, key=lambda meeting_id: -urgency[meeting_id])


def _in_both(known: Mapping[UUID, Known], snapshot: LivestreamSnapshot) -> Iterator[tuple[UUID, Known, Livestream]]:
    """Yield the meetings whose phase the list confirms."""
    for meeting_id, livestream in snapshot.livestreams.items():
        each = known.get(meeting_id)
        if each is not None and matches(each.phase, livestream.status):
            yield meeting_id, each, livestream


def _content(fingerprint: str | None) -> str:
    return (fingerprint or "").partition(" ")[0]


def _updated(fingerprint: str | None) -> str:
    """Return when the livestream was last updated, as text that sorts by time; "" if unknown."""
    updated = (fingerprint or "").partition(" ")[2]
    return "" if updated == "-" else updated


def _is_long_error(known: Known, now: datetime) -> bool:
    since = known.episode.get("phase_since")
    return known.phase == Phase.ERRORED and since is not None and now - datetime.fromisoformat(since) > _LONG_ERROR


class MismatchBackoff:
    """Differences between lists and stored states, with the times of their next checks.

    Some differences persist: Cloudflare keeps listing long-ended livestreams as ERRORED. So an unchanged difference is
    checked at growing intervals, up to five minutes, and at most `max_checks` times.
    """

    def __init__(self, max_checks: int | None = None) -> None:
        self._max_checks = max_checks
        self._known: dict[UUID, tuple[PhaseMismatch, int, float]] = {}

    def due(self, mismatches: Mapping[UUID, PhaseMismatch], now: float) -> list[UUID]:
        """Return the meetings whose difference is new or due for another check; forget differences that are gone."""
        known, self._known = self._known, {}
        due_now = []
        for meeting_id, mismatch in mismatches.items():
            before, times, next_at = known.get(meeting_id, (mismatch, 0, now))
            if before != mismatch:
                times, next_at = 0, now
            # A later time means that the clock was set back.
            if times != self._max_checks and not now < next_at <= now + _MAX_BACKOFF_SECONDS:
                due_now.append(meeting_id)
                next_at = now + min(_INITIAL_BACKOFF_SECONDS * 2**times, _MAX_BACKOFF_SECONDS)
                times = min(times + 1, _MAX_DOUBLINGS)
            self._known[meeting_id] = (mismatch, times, next_at)
        return due_now
