"""Read the list of all livestreams that do anything, and compare it with what is known of the meetings followed."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from bot.following.state import Phase
from bot.realtimekit.models import Livestream, Status, most_active
from bot.realtimekit.paging import LivestreamPage
from bot.store.sweeping import Known

PAGE = 100
MOST_PAGES = 100
"""Of one listing. Ten thousand livestreams, and half of what is kept of the budget for people."""
PHASE_OF = {Status.LIVE: Phase.LIVE, Status.STARTING: Phase.STARTING, Status.ERRORED: Phase.ERRORED}
_LISTED = ("LIVE", "INVOKED", "ERRORED")
_NOT_LISTED = (Phase.WAITING, Phase.INTERRUPTED, Phase.ENDED)
_FIRST_DOUBT, _LONGEST_DOUBT, _MOST_DOUBLINGS = 15.0, 300.0, 5
CHECK_EVERY_SECONDS = 60.0
_OLD_ERROR = timedelta(hours=1)
_OLD_ERROR_CHECK_SECONDS = 300.0
_TOUCHED_CHECK_SECONDS, _TOUCHED_BONUS_SECONDS = 30.0, 120.0

Difference = tuple[Hashable, Hashable]
"""What is known of a meeting, and what the list says instead."""


class Lists(Protocol):
    """Whoever can list livestreams."""

    async def livestreams(self, status: str, page_no: int, per_page: int = PAGE) -> LivestreamPage:
        """One page, counted from 1. Raises RealtimeKitError."""
        ...


@dataclass(slots=True)
class Listing:
    """The meetings whose livestreams do something."""

    livestreams: dict[UUID, Livestream] = field(default_factory=dict)
    """Of a meeting with several livestreams, the one that a lookup would choose."""
    whole: bool = True
    """Whether a meeting that is not in it has no such livestream."""
    pages: int = 0

    def add(self, livestream: Livestream) -> None:
        """Take in one livestream, whatever list it came in: Cloudflare need not heed the status that was asked for."""
        if livestream.status not in PHASE_OF:
            return
        try:
            meeting_id = UUID(livestream.meeting_id or "")
        except ValueError:
            # It may be that of any meeting.
            self.whole = False
            return
        known = self.livestreams.get(meeting_id)
        self.livestreams[meeting_id] = most_active([known, livestream] if known else [livestream])

    def status(self, meeting_id: UUID) -> Status | None:
        """Return how the meeting is listed; None if it is not."""
        livestream = self.livestreams.get(meeting_id)
        return livestream.status if livestream else None


async def read_listing(lists: Lists) -> Listing:
    """Ask for all pages, those of what is live first. Raises RealtimeKitError."""
    listing = Listing()
    for status in _LISTED:
        page_no, more = 1, True
        while more:
            if listing.pages == MOST_PAGES:
                listing.whole = False
                return listing
            page = await lists.livestreams(status, page_no, PAGE)
            listing.pages += 1
            for livestream in page.livestreams:
                listing.add(livestream)
            page_no, more = page_no + 1, page.more
    return listing


def agree(phase: str, listed: Status | None) -> bool:
    """Whether a meeting in this phase is to be expected in the list like this, None being not at all."""
    return phase in _NOT_LISTED if listed is None else phase == PHASE_OF[listed]


def differing(known: Mapping[UUID, Known], listing: Listing) -> dict[UUID, Difference]:
    """Return the meetings that the list shows in another phase, and how."""
    found = {meeting_id: (each.phase, listing.status(meeting_id)) for meeting_id, each in known.items()}
    return {
        meeting_id: (phase, listed)
        for meeting_id, (phase, listed) in found.items()
        if not agree(phase, listed) and (listing.whole or listed is not None)
    }


def changed(known: Mapping[UUID, Known], listing: Listing) -> dict[UUID, Difference]:
    """Return the meetings in the same phase whose livestream has another id, name or playback URL in the list."""
    found: dict[UUID, Difference] = {}
    for meeting_id, each, livestream in _in_both(known, listing):
        before, now = _content(each.episode.get("livestream")), _content(livestream.fingerprint)
        if before != now:
            found[meeting_id] = (before, now)
    return found


def due_for_check(known: Mapping[UUID, Known], listing: Listing, now: datetime, next_in: float) -> list[UUID]:
    """Return the meetings on air to check although the list confirms them, the most urgent first.

    A title, a session and the reason of an error are in no list. So each meeting is due a minute after its last check,
    earlier if its livestream was updated since, and later if it has been ERRORED for an hour. `next_in` is in how many
    seconds the list will be read again.
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


def _in_both(known: Mapping[UUID, Known], listing: Listing) -> Iterator[tuple[UUID, Known, Livestream]]:
    """Go through the meetings whose phase the list confirms."""
    for meeting_id, livestream in listing.livestreams.items():
        each = known.get(meeting_id)
        if each is not None and agree(each.phase, livestream.status):
            yield meeting_id, each, livestream


def _content(fingerprint: str | None) -> str:
    return (fingerprint or "").partition(" ")[0]


def _updated(fingerprint: str | None) -> str:
    """Return when the livestream was updated last, in a form that sorts; "" where that is not known."""
    updated = (fingerprint or "").partition(" ")[2]
    return "" if updated == "-" else updated


def _is_old_error(known: Known, now: datetime) -> bool:
    since = known.episode.get("phase_since")
    return known.phase == Phase.ERRORED and since is not None and now - datetime.fromisoformat(since) > _OLD_ERROR


class Doubts:
    """Which differences are worth a check now.

    Some stay: Cloudflare goes on listing as ERRORED what has long ended. So one that stays the same after a check is
    checked again after ever longer, up to five minutes, and at most `most_checks` times in all.
    """

    def __init__(self, most_checks: int | None = None) -> None:
        self._most_checks = most_checks
        self._known: dict[UUID, tuple[Difference, int, float]] = {}

    def worth_a_look(self, differences: Mapping[UUID, Difference], now: float) -> list[UUID]:
        """Those that are new, or have not been looked at for long. What is not among them any more is forgotten."""
        known, self._known = self._known, {}
        worth = []
        for meeting_id, difference in differences.items():
            before, times, again_at = known.get(meeting_id, (difference, 0, now))
            if before != difference:
                times, again_at = 0, now
            # Later than that was dated by a clock that has been set back.
            if times != self._most_checks and not now < again_at <= now + _LONGEST_DOUBT:
                worth.append(meeting_id)
                again_at = now + min(_FIRST_DOUBT * 2**times, _LONGEST_DOUBT)
                times = min(times + 1, _MOST_DOUBLINGS)
            self._known[meeting_id] = (difference, times, again_at)
        return worth
