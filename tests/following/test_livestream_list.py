"""The list of all livestreams, and what it says of meetings that are followed."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
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
    due_for_check,
    find_changed,
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


RAW_STATUS = {Status.STARTING: "INVOKED", Status.LIVE: "LIVE", Status.ERRORED: "ERRORED"}


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


async def test_livestream_counts_by_its_own_status_not_the_requested_one() -> None:
    snapshot = await read_snapshot(Lists({"LIVE": [livestream("ERRORED", ONE), livestream("OFFLINE", TWO)]}), NOW)

    assert statuses(snapshot) == {ONE: Status.ERRORED}
    assert snapshot.is_complete


async def test_most_active_livestream_of_a_meeting_counts() -> None:
    lists = Lists({"LIVE": [livestream("LIVE", ONE)], "ERRORED": [livestream("ERRORED", ONE)]})

    assert statuses(await read_snapshot(lists, NOW)) == {ONE: Status.LIVE}


@pytest.mark.parametrize("meeting", [None, "not an id"])
async def test_list_with_a_livestream_of_an_unknown_meeting_is_incomplete(meeting: str | None) -> None:
    snapshot = await read_snapshot(Lists({"LIVE": [livestream("LIVE", ONE), livestream("LIVE", meeting)]}), NOW)

    assert statuses(snapshot) == {ONE: Status.LIVE}
    assert not snapshot.is_complete


async def test_list_with_an_incomplete_page_is_incomplete_but_counts() -> None:
    class Partly(Lists):
        async def livestreams(self, status: str, page_no: int, per_page: int = PAGE_SIZE) -> LivestreamPage:
            return replace(await super().livestreams(status, page_no, per_page), is_complete=status != "LIVE")

    snapshot = await read_snapshot(
        Partly({"LIVE": [livestream("LIVE", ONE)], "ERRORED": [livestream("ERRORED", TWO)]}), NOW
    )

    assert statuses(snapshot) == {ONE: Status.LIVE, TWO: Status.ERRORED}
    assert not snapshot.is_complete


async def test_list_without_an_end_is_incomplete() -> None:
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
        livestreams = {} if listed is None else {ONE: livestream(RAW_STATUS[listed], ONE)}
        known = {ONE: Known(phase, {}, 0.0)}

        found = find_mismatches(known, LivestreamSnapshot(livestreams))
        part = find_mismatches(known, LivestreamSnapshot(livestreams, is_complete=False))

        assert found == ({} if listed is agreeing else {ONE: (phase, listed)})
        assert part == ({} if listed is None else found)


USUAL = {"id": "l1", "name": "Keynote", "playback_url": "https://example.com/a", "updated_at": "2026-06-03T10:00:00Z"}


def known(phase: Phase, unchecked_for: float = 0.0, **fields: Any) -> Known:
    """Return a meeting whose last check saw the usual livestream, with these fields instead."""
    fingerprint = Livestream.model_validate({"status": RAW_STATUS[Status(phase)], **USUAL, **fields}).fingerprint
    return Known(phase, {"livestream": fingerprint, "phase_since": "2026-06-03T09:00:00+00:00"}, unchecked_for)


def usual(phase: Phase, *meetings: UUID) -> LivestreamSnapshot:
    raw = {"status": RAW_STATUS[Status(phase)], **USUAL}
    return LivestreamSnapshot({each: Livestream.model_validate({**raw, "meeting_id": str(each)}) for each in meetings})


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.LIVE, Phase.ERRORED])
@pytest.mark.parametrize(
    ("field", "is_change"), [("id", True), ("name", True), ("playback_url", True), ("updated_at", False)]
)
def test_another_id_name_or_url_in_the_same_phase_is_a_change(phase: Phase, field: str, is_change: bool) -> None:
    fields: dict[str, Any] = {field: None}
    before = {ONE: known(phase, **fields), TWO: known(phase)}

    assert list(find_changed(before, usual(phase, ONE, TWO, THREE))) == ([ONE] if is_change else [])


def test_another_phase_is_no_change_but_a_mismatch() -> None:
    assert find_changed({ONE: known(Phase.LIVE, id="l2")}, usual(Phase.ERRORED, ONE)) == {}


OLDER, NEWER = {"updated_at": "2026-06-03T09:59:00Z"}, {"updated_at": "2026-06-03T10:01:00Z"}


@pytest.mark.parametrize(
    ("before", "hours", "is_due"),
    [
        pytest.param(known(Phase.LIVE, 45), 0, False, id="not yet a minute at the next list"),
        pytest.param(known(Phase.LIVE, 46), 0, True, id="more than a minute at the next list"),
        pytest.param(known(Phase.STARTING, 46), 0, True, id="starting for a minute"),
        pytest.param(known(Phase.ERRORED, 46), 0, True, id="errored for an hour"),
        pytest.param(known(Phase.ERRORED, 46), 1, False, id="errored for more than an hour"),
        pytest.param(known(Phase.ERRORED, 286), 1, True, id="errored for long and unchecked for five minutes"),
        pytest.param(known(Phase.LIVE, 46), 1, True, id="live for more than an hour"),
        pytest.param(known(Phase.LIVE, 16, **OLDER), 0, True, id="updated since, and unchecked for half a minute"),
        pytest.param(known(Phase.LIVE, 15, **OLDER), 0, False, id="updated since, and just checked"),
        pytest.param(known(Phase.LIVE, 16, updated_at=None), 0, True, id="not known when it was updated before"),
        pytest.param(known(Phase.LIVE, 45, **NEWER), 0, False, id="list older than the check"),
        pytest.param(known(Phase.ERRORED, 16, **OLDER), 1, True, id="errored for long and updated since"),
        pytest.param(known(Phase.LIVE, -3600), 0, True, id="clock set back"),
        pytest.param(known(Phase.ERRORED, -3600), 1, True, id="clock set back while errored for long"),
    ],
)
def test_confirmed_meeting_is_due_a_minute_after_its_check(before: Known, hours: int, is_due: bool) -> None:
    now = datetime(2026, 6, 3, 10 + hours, tzinfo=UTC)

    assert due_for_check({ONE: before}, usual(Phase(before.phase), ONE), now, 15.0) == ([ONE] if is_due else [])


def test_most_urgent_confirmed_meeting_is_first() -> None:
    """An updated one precedes those that have waited for less than two minutes longer."""
    before = {ONE: known(Phase.LIVE, 100), TWO: known(Phase.LIVE, 200), THREE: known(Phase.LIVE, 60, **OLDER)}
    listed = usual(Phase.LIVE, ONE, TWO, THREE)
    now = datetime(2026, 6, 3, 10, tzinfo=UTC)

    assert due_for_check(before, listed, now, 15.0) == [THREE, TWO, ONE]
    assert due_for_check({**before, TWO: known(Phase.LIVE, 211)}, listed, now, 15.0) == [TWO, THREE, ONE]
    assert due_for_check({ONE: known(Phase.LIVE, 100)}, usual(Phase.ERRORED, ONE), now, 15.0) == []


def test_lasting_difference_is_due_at_growing_intervals() -> None:
    backoff = MismatchBackoff()
    stays = {ONE: ("ended", Status.ERRORED)}

    last_checked_at = [now for now in range(0, 2000, 15) if backoff.due(stays, float(now))]

    assert last_checked_at == [0, 15, 45, 105, 225, 465, 765, 1065, 1365, 1665, 1965]


def test_new_difference_is_due_at_once_after_another_or_none() -> None:
    backoff = MismatchBackoff()
    for now in range(0, 600, 15):
        backoff.due({ONE: ("ended", Status.ERRORED)}, float(now))

    assert backoff.due({ONE: ("ended", Status.LIVE), TWO: ("live", None)}, 601.0) == [ONE, TWO]
    assert backoff.due({}, 602.0) == []
    assert backoff.due({ONE: ("ended", Status.LIVE)}, 603.0) == [ONE]


def test_difference_is_due_at_once_if_the_clock_is_set_back() -> None:
    backoff = MismatchBackoff()
    backoff.due({ONE: ("ended", Status.ERRORED)}, 3600.0)

    assert backoff.due({ONE: ("ended", Status.ERRORED)}, 0.0) == [ONE]
