"""All livestreams of the app that do anything, and what that says about meetings that are followed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from bot.following.state import Phase
from bot.realtimekit.models import Livestream, Status
from bot.realtimekit.paging import LivestreamPage

PAGE = 100
MOST_PAGES = 100
"""Of one listing. Ten thousand livestreams, and half of what is kept of the budget for people."""
PHASE_OF = {Status.LIVE: Phase.LIVE, Status.STARTING: Phase.STARTING, Status.ERRORED: Phase.ERRORED}
_LISTED = ("LIVE", "INVOKED", "ERRORED")
_NOT_LISTED = (Phase.WAITING, Phase.INTERRUPTED, Phase.ENDED)
_FIRST_DOUBT, _LONGEST_DOUBT, _MOST_DOUBLINGS = 15.0, 300.0, 5

Difference = tuple[str, Status | None]
"""The phase of a meeting, and how it is listed."""


class Lists(Protocol):
    """Whoever can list livestreams."""

    async def livestreams(self, status: str, page_no: int, per_page: int = PAGE) -> LivestreamPage:
        """One page, counted from 1. Raises RealtimeKitError."""
        ...


@dataclass(slots=True)
class Listing:
    """The meetings whose livestreams do something."""

    statuses: dict[UUID, Status] = field(default_factory=dict)
    """Of a meeting with several livestreams, that of the most active one."""
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
        self.statuses.setdefault(meeting_id, livestream.status)


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


def differing(phases: Mapping[UUID, str], listing: Listing) -> dict[UUID, Difference]:
    """Those of these meetings of which the list says something else, and what."""
    found = {meeting_id: (phase, listing.statuses.get(meeting_id)) for meeting_id, phase in phases.items()}
    return {
        meeting_id: (phase, listed)
        for meeting_id, (phase, listed) in found.items()
        if not agree(phase, listed) and (listing.whole or listed is not None)
    }


class Doubts:
    """Which differences are worth a look now.

    Some stay: Cloudflare goes on listing as ERRORED what has long ended. So one that stays the same after it was looked
    at is looked at again after ever longer, up to five minutes.
    """

    def __init__(self) -> None:
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
            if not now < again_at <= now + _LONGEST_DOUBT:
                worth.append(meeting_id)
                again_at = now + min(_FIRST_DOUBT * 2**times, _LONGEST_DOUBT)
                times = min(times + 1, _MOST_DOUBLINGS)
            self._known[meeting_id] = (difference, times, again_at)
        return worth
