"""The list of all livestreams, and what it says of meetings that are followed."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bot.domain.episode import Phase
from bot.domain.observation import Status
from bot.errors import Unreachable
from bot.following.livestream_list import (
    MAX_PAGES,
    PAGE_SIZE,
    LivestreamSnapshot,
    MismatchBackoff,
    find_mismatches,
    read_snapshot,
)
from bot.realtimekit.models import Livestream
from bot.realtimekit.responses import LivestreamPage
from bot.store.meetings import Known

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))
NOW = datetime(2026, 6, 3, 12, tzinfo=UTC)


def livestream(status: str, meeting: UUID | str | None) -> Livestream:
    return Livestream.model_validate({"status": status, "meeting_id": None if meeting is None else str(meeting)})


WORD_FOR = {Status.STARTING: "INVOKED", Status.LIVE: "LIVE", Status.ERRORED: "ERRORED"}


def statuses(snapshot: LivestreamSnapshot) -> dict[UUID, Status]:
    return {meeting_id: each.status for meeting_id, each in snapshot.livestreams.items()}


@dataclass
class Lists:
    """Livestreams by the requested status."""

    livestreams_in: dict[str, list[Livestream]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    endless: str = ""

    async def livestreams(self, status: str, page_no: int, per_page: int = PAGE_SIZE) -> LivestreamPage:
        self.asked.append((status, page_no))
        if status == self.endless:
            return LivestreamPage((livestream(status, UUID(int=page_no)),), more=True)
        there = self.livestreams_in.get(status, [])
        page = there[(page_no - 1) * per_page : page_no * per_page]
        return LivestreamPage(tuple(page), more=page_no * per_page < len(there))


async def test_livestream_created_in_the_future_does_not_replace_the_current_one() -> None:
    """A time after now is no time at all, unless Cloudflare's clock is just a little ahead."""

    async def chosen(ahead: timedelta) -> str | None:
        times = {"odd": NOW + ahead, "current": NOW - timedelta(hours=1)}
        both = [livestream("LIVE", ONE).model_copy(update={"id": name, "created_at": at}) for name, at in times.items()]
        return (await read_snapshot(Lists({"LIVE": both}), NOW)).livestreams[ONE].id

    assert await chosen(timedelta(days=365)) == "current"
    assert await chosen(timedelta(minutes=6)) == "current"
    assert await chosen(timedelta(minutes=4)) == "odd"


async def test_snapshot_has_every_page_of_each_status() -> None:
    lists = Lists(
        {
            "LIVE": [livestream("LIVE", UUID(int=number)) for number in range(10, 10 + 2 * PAGE_SIZE + 1)],
            "INVOKED": [livestream("INVOKED", ONE)],
            "ERRORED": [livestream("ERRORED", TWO)],
        }
    )

    snapshot = await read_snapshot(lists, NOW)

    assert lists.asked == [("LIVE", 1), ("LIVE", 2), ("LIVE", 3), ("INVOKED", 1), ("ERRORED", 1)]
    assert len(snapshot.livestreams) == 2 * PAGE_SIZE + 3
    assert (snapshot.status(ONE), snapshot.status(TWO)) == (Status.STARTING, Status.ERRORED)
    assert snapshot.is_complete
    assert snapshot.pages == 5


async def test_another_status_than_was_asked_for() -> None:
    """Each livestream counts by its own."""
    snapshot = await read_snapshot(Lists({"LIVE": [livestream("ERRORED", ONE), livestream("OFFLINE", TWO)]}), NOW)

    assert statuses(snapshot) == {ONE: Status.ERRORED}
    assert snapshot.is_complete


async def test_several_livestreams_of_a_meeting() -> None:
    """The most active one counts."""
    lists = Lists({"LIVE": [livestream("LIVE", ONE)], "ERRORED": [livestream("ERRORED", ONE)]})

    assert statuses(await read_snapshot(lists, NOW)) == {ONE: Status.LIVE}


@pytest.mark.parametrize("meeting", [None, "not an id"])
async def test_a_livestream_of_nobody_knows_which_meeting(meeting: str | None) -> None:
    """Then no meeting is known to have none."""
    snapshot = await read_snapshot(Lists({"LIVE": [livestream("LIVE", ONE), livestream("LIVE", meeting)]}), NOW)

    assert statuses(snapshot) == {ONE: Status.LIVE}
    assert not snapshot.is_complete


async def test_a_page_that_is_not_whole() -> None:
    """Then no meeting is known to have none either, and what can be read counts."""

    class Partly(Lists):
        async def livestreams(self, status: str, page_no: int, per_page: int = PAGE_SIZE) -> LivestreamPage:
            return replace(await super().livestreams(status, page_no, per_page), is_complete=status != "LIVE")

    snapshot = await read_snapshot(
        Partly({"LIVE": [livestream("LIVE", ONE)], "ERRORED": [livestream("ERRORED", TWO)]}), NOW
    )

    assert statuses(snapshot) == {ONE: Status.LIVE, TWO: Status.ERRORED}
    assert not snapshot.is_complete


async def test_too_many_pages() -> None:
    """Neither is one that does not end, or ignores the requested page."""
    lists = Lists(endless="LIVE")

    snapshot = await read_snapshot(lists, NOW)

    assert len(lists.asked) == snapshot.pages == MAX_PAGES
    assert not snapshot.is_complete


async def test_list_that_cannot_be_read_raises() -> None:
    class Broken(Lists):
        async def livestreams(self, status: str, page_no: int, per_page: int = PAGE_SIZE) -> LivestreamPage:
            raise Unreachable

    with pytest.raises(Unreachable):
        await read_snapshot(Broken(), NOW)


@pytest.mark.parametrize(
    ("phase", "agreeing"),
    [
        (Phase.WAITING, None),
        (Phase.ENDED, None),
        (Phase.INTERRUPTED, None),
        (Phase.STARTING, Status.STARTING),
        (Phase.LIVE, Status.LIVE),
        (Phase.ERRORED, Status.ERRORED),
    ],
)
def test_mismatch_is_any_other_status_than_the_phase_allows(phase: Phase, agreeing: Status | None) -> None:
    for listed in (None, Status.STARTING, Status.LIVE, Status.ERRORED):
        livestreams = {} if listed is None else {ONE: livestream(WORD_FOR[listed], ONE)}
        known = {ONE: Known(phase, {}, 0.0)}

        found = find_mismatches(known, LivestreamSnapshot(livestreams))
        part = find_mismatches(known, LivestreamSnapshot(livestreams, is_complete=False))

        assert found == ({} if listed is agreeing else {ONE: (phase, listed)})
        assert part == ({} if listed is None else found)


def test_a_difference_that_stays() -> None:
    """It is checked again at ever longer intervals."""
    doubts = MismatchBackoff()
    stays = {ONE: ("ended", Status.ERRORED)}

    last_checked_at = [now for now in range(0, 2000, 15) if doubts.due(stays, float(now))]

    assert last_checked_at == [0, 15, 45, 105, 225, 465, 765, 1065, 1365, 1665, 1965]


def test_a_difference_that_is_new() -> None:
    """It is checked at once: after another one of the same meeting, or after none."""
    doubts = MismatchBackoff()
    for now in range(0, 600, 15):
        doubts.due({ONE: ("ended", Status.ERRORED)}, float(now))

    assert doubts.due({ONE: ("ended", Status.LIVE), TWO: ("live", None)}, 601.0) == [ONE, TWO]
    assert doubts.due({}, 602.0) == []
    assert doubts.due({ONE: ("ended", Status.LIVE)}, 603.0) == [ONE]


def test_the_clock_is_set_back() -> None:
    """An hour back does not mean an hour of belief."""
    doubts = MismatchBackoff()
    doubts.due({ONE: ("ended", Status.ERRORED)}, 3600.0)

    assert doubts.due({ONE: ("ended", Status.ERRORED)}, 0.0) == [ONE]
