"""The list of all active livestreams, and its comparison with the stored state of followed meetings."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from bot.domain.episode import Phase
from bot.domain.observation import Status
from bot.realtimekit.models import Livestream, most_active
from bot.realtimekit.paging import LivestreamPage
from bot.store.meeting_sweeps import Known

PAGE_SIZE = 100
MAX_PAGES = 100
"""The limit for one listing: ten thousand livestreams, and half of the requests that are kept for people."""
PHASE_OF = {Status.LIVE: Phase.LIVE, Status.STARTING: Phase.STARTING, Status.ERRORED: Phase.ERRORED}
_LISTED = ("LIVE", "INVOKED", "ERRORED")
_NOT_LISTED = (Phase.WAITING, Phase.INTERRUPTED, Phase.ENDED)
_FIRST_DOUBT, _LONGEST_DOUBT, _MOST_DOUBLINGS = 15.0, 300.0, 5
CHECK_EVERY_SECONDS = 60.0
_OLD_ERROR = timedelta(hours=1)
_OLD_ERROR_CHECK_SECONDS = 300.0
_TOUCHED_CHECK_SECONDS, _TOUCHED_BONUS_SECONDS = 30.0, 120.0

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
    whole: bool = True
    """Whether the list is complete: a meeting that is not in it has no active livestream."""
    pages: int = 0

    def add(self, livestream: Livestream) -> None:
        """Add a livestream by its own status: Cloudflare may ignore the status that was requested."""
        if livestream.status not in PHASE_OF:
            return
        try:
            meeting_id = UUID(livestream.meeting_id or "")
        except ValueError:
            # It may belong to any meeting.
            self.whole = False
            return
        known = self.livestreams.get(meeting_id)
        self.livestreams[meeting_id] = most_active([known, livestream] if known else [livestream])

    def status(self, meeting_id: UUID) -> Status | None:
        """Return the meeting's status in the list; None if it is not listed."""
        livestream = self.livestreams.get(meeting_id)
        return livestream.status if livestream else None


async def read_listing(lists: LivestreamLister) -> LivestreamSnapshot:
    """Read all pages, live livestreams first. Raises RealtimeKitError."""
    listing = LivestreamSnapshot()
    for status in _LISTED:
        page_no, more = 1, True
        while more:
            if listing.pages == MAX_PAGES:
                listing.whole = False
                return listing
            page = await lists.livestreams(status, page_no, PAGE_SIZE)
            listing.pages += 1
            listing.whole = listing.whole and page.whole
            for livestream in page.livestreams:
                listing.add(livestream)
            page_no, more = page_no + 1, page.more
    return listing


def matches(phase: str, listed: Status | None) -> bool:
    """Return whether the listed status fits the phase; None means not listed."""
    return phase in _NOT_LISTED if listed is None else phase == PHASE_OF[listed]


def find_mismatches(known: Mapping[UUID, Known], listing: LivestreamSnapshot) -> dict[UUID, PhaseMismatch]:
    """Return the meetings that the list shows in another phase, with both phases."""
    found = {meeting_id: (each.phase, listing.status(meeting_id)) for meeting_id, each in known.items()}
    return {
        meeting_id: (phase, listed)
        for meeting_id, (phase, listed) in found.items()
        if not matches(phase, listed) and (listing.whole or listed is not None)
    }


def changed(known: Mapping[UUID, Known], listing: LivestreamSnapshot) -> dict[UUID, PhaseMismatch]:
    """Return the meetings in the same phase whose livestream has a new ID, name or playback URL in the list."""
    found: dict[UUID, PhaseMismatch] = {}
    for meeting_id, each, livestream in _in_both(known, listing):
        before, now = _content(each.episode.get("livestream")), _content(livestream.fingerprint)
        if before != now:
            found[meeting_id] = (before, now)
    return found


def due_for_check(
    known: Mapping[UUID, Known], listing: LivestreamSnapshot, now: datetime, next_in: float
) -> list[UUID]:
    """Return the meetings on air to check although the list confirms them, most urgent first.

    Lists do not contain titles, sessions or the reasons of errors. So each meeting is due a minute after its last
    check, earlier if its livestream was updated since, later if it has been ERRORED for an hour. `next_in`: seconds
    until the list is read again.
    """
    urgency: dict[UUID, float] = {}
    for meeting_id, each, livestream in _in_both(known, listing):
        # Negative after the clock was set back.
        waited = each.unchecked_for if each.unchecked_for >= 0 else _OLD_ERROR_CHECK_SECONDS
        touched = _updated(livestream.fingerprint) > _updated(each.episode.get("livestream"))
        wait = _OLD_ERROR_CHECK_SECONDS if _is_old_error(each, now) else CHECK_EVERY_SECONDS
        wait = _TOUCHED_CHECK_SECONDS if touched else wait
        if waited + next_in > wait:
            urgency[meeting_id] = waited - wait + (_TOUCHED_BONUS_SECONDS if touched else 0.0)
    return sorted(urgency, key=lambda meeting_id: -urgency[meeting_id])


def _in_both(known: Mapping[UUID, Known], listing: LivestreamSnapshot) -> Iterator[tuple[UUID, Known, Livestream]]:
    """Yield the meetings whose phase the list confirms."""
    for meeting_id, livestream in listing.livestreams.items():
        each = known.get(meeting_id)
        if each is not None and matches(each.phase, livestream.status):
            yield meeting_id, each, livestream


def _content(fingerprint: str | None) -> str:
    return (fingerprint or "").partition(" ")[0]


def _updated(fingerprint: str | None) -> str:
    """Return when the livestream was last updated, as text that sorts by time; "" if unknown."""
    updated = (fingerprint or "").partition(" ")[2]
    return "" if updated == "-" else updated


def _is_old_error(known: Known, now: datetime) -> bool:
    since = known.episode.get("phase_since")
    return known.phase == Phase.ERRORED and since is not None and now - datetime.fromisoformat(since) > _OLD_ERROR


class MismatchBackoff:
    """Differences between lists and stored states, with the times of their next checks.

    Some differences persist: Cloudflare keeps listing long-ended livestreams as ERRORED. So an unchanged difference is
    checked at growing intervals, up to five minutes, and at most `most_checks` times.
    """

    def __init__(self, most_checks: int | None = None) -> None:
        self._most_checks = most_checks
        self._known: dict[UUID, tuple[PhaseMismatch, int, float]] = {}

    def due(self, differences: Mapping[UUID, PhaseMismatch], now: float) -> list[UUID]:
        """Return the meetings whose difference is new or due for another check; forget differences that are gone."""
        known, self._known = self._known, {}
        worth = []
        for meeting_id, difference in differences.items():
            before, times, again_at = known.get(meeting_id, (difference, 0, now))
            if before != difference:
                times, again_at = 0, now
            # A later time means that the clock was set back.
            if times != self._most_checks and not now < again_at <= now + _LONGEST_DOUBT:
                worth.append(meeting_id)
                again_at = now + min(_FIRST_DOUBT * 2**times, _LONGEST_DOUBT)
                times = min(times + 1, _MOST_DOUBLINGS)
            self._known[meeting_id] = (difference, times, again_at)
        return worth
