"""Filtering, sorting and paging of lists. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, Field

from sandbox.realtimekit.envelopes import rotated
from sandbox.realtimekit.state import Livestream, Meeting

Item = TypeVar("Item")


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_with_zone)]


class SortOrder(StrEnum):
    """The values of `sort_order`; Cloudflare writes DSC, not DESC."""

    ASC = "ASC"
    DSC = "DSC"


class PageQuery(BaseModel):
    """The requested page of a list. Cloudflare documents no maximum page size; clients use 100."""

    page_no: int = Field(1, ge=1)
    per_page: int = Field(20, ge=1, le=100)
    start_time: Moment | None = None
    end_time: Moment | None = None

    def spans(self, moment: float) -> bool:
        """Return whether a time in epoch seconds lies between the requested times."""
        after = self.start_time is None or self.start_time.timestamp() <= moment
        return after and (self.end_time is None or moment <= self.end_time.timestamp())


class LivestreamsQuery(PageQuery):
    """The query of `GET livestreams`."""

    status: str | None = None
    sort_order: SortOrder = SortOrder.DSC
    exclude_meetings: bool = False


class MeetingsQuery(PageQuery):
    """The query of `GET meetings`."""

    search: str = ""
    status: str | None = None


def livestreams_of(meetings: Iterable[Meeting], query: LivestreamsQuery, turn: int = 0) -> list[Livestream]:
    """Return the requested livestreams by time of creation.

    All livestreams belong to meetings, so `exclude_meetings` leaves none. Each `turn` starts with another one of a
    meeting's livestreams.
    """
    found = [
        livestream
        for meeting in meetings
        for livestream in meeting.livestreams
        if not query.exclude_meetings
        and query.status in (None, livestream.status)
        and query.spans(livestream.created_at)
    ]
    found.sort(key=lambda each: (each.created_at, each.id), reverse=query.sort_order is SortOrder.DSC)
    return _turned(found, turn)


def _turned(found: list[Livestream], turn: int) -> list[Livestream]:
    """Rotate each meeting's livestreams among their own places in the list."""
    of_meeting: dict[str, list[int]] = {}
    for place, livestream in enumerate(found):
        of_meeting.setdefault(livestream.meeting_id, []).append(place)
    turned = [*found]
    for places in of_meeting.values():
        for place, livestream in zip(places, rotated([found[each] for each in places], turn), strict=True):
            turned[place] = livestream
    return turned


def meetings_of(meetings: Iterable[Meeting], query: MeetingsQuery) -> list[Meeting]:
    """Return the requested meetings, newest first. `search` matches parts of IDs and titles, ignoring case."""
    word = query.search.casefold()
    found = [
        meeting
        for meeting in meetings
        if (word in meeting.id or word in meeting.title.casefold())
        and query.status in (None, "ACTIVE" if meeting.joinable else "INACTIVE")
        and query.spans(meeting.created_at)
    ]
    return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)


def page_of(items: Sequence[Item], query: PageQuery) -> tuple[Sequence[Item], dict[str, int]]:
    """Return one page and its `paging`, whose offsets count from 1 and are 0 for an empty page."""
    skipped = (query.page_no - 1) * query.per_page
    page = items[skipped : skipped + query.per_page]
    first, last = (skipped + 1, skipped + len(page)) if page else (0, 0)
    return page, {"total_count": len(items), "start_offset": first, "end_offset": last}
