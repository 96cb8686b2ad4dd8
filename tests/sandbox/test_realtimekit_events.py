"""The sandbox's RealtimeKit: which events a change of a meeting causes, and what is in them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.realtimekit import AfterEnd, Meeting, RealtimeKit, seeds
from sandbox.realtimekit.events import notices_of


class Told:
    """The bodies of all events, in order."""

    def __init__(self, kit: RealtimeKit) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._known: dict[str, Meeting] = {}
        self.stop = kit.changes.subscribe(self._note)

    def names(self) -> list[str]:
        """What was told since the last call: the status, or the event where it has none."""
        names = [body.get("status") or body["event"] for body in self.bodies]
        self.bodies.clear()
        return names

    def _note(self, meeting: Meeting) -> None:
        notices = notices_of(self._known.get(meeting.id), meeting)
        self.bodies.extend(json.loads(notice.body) for notice in notices)
        self._known[meeting.id] = meeting


@pytest.fixture
def told(kit: RealtimeKit) -> Iterator[Told]:
    told = Told(kit)
    yield told
    told.stop()


def test_a_run_from_start_to_end(kit: RealtimeKit, told: Told) -> None:
    """INVOKED is told as the start of the meeting only; the end is told twice."""
    meeting = kit.add_meeting("Weekly sync").id

    for step, names in (
        (kit.start, ["meeting.started"]),
        (kit.go_live, ["LIVE"]),
        (kit.drop, ["OFFLINE"]),
        (kit.go_live, ["LIVE"]),
        (kit.end, ["OFFLINE", "meeting.ended"]),
        (kit.go_live, ["meeting.started", "LIVE"]),
    ):
        step(meeting)
        assert told.names() == names, step


def test_an_end_after_a_drop_changes_no_status(kit: RealtimeKit, told: Told) -> None:
    """OFFLINE is not told again, and IDLE is."""
    offline, idle = kit.add_meeting("one").id, kit.add_meeting("two").id
    for meeting in (offline, idle):
        kit.go_live(meeting)
        kit.drop(meeting)
    told.names()

    kit.end(offline)
    assert told.names() == ["meeting.ended"]
    kit.end(idle, AfterEnd.IDLE)
    assert told.names() == ["IDLE", "meeting.ended"]


def test_a_failure_is_not_told_until_it_is_cleared(kit: RealtimeKit, told: Told) -> None:
    """ERRORED is seen by asking only; people are still in the meeting, be it run again or ended."""
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id).id
    told.names()

    kit.fail(meeting, "The encoder sends no video")
    assert told.names() == []
    kit.go_live(meeting)
    assert told.names() == ["LIVE"]
    kit.fail(meeting, "The encoder sends no video")
    kit.end(meeting)
    assert told.names() == ["OFFLINE", "meeting.ended"]


def test_what_is_no_step_of_a_run_is_not_told(kit: RealtimeKit, told: Told) -> None:
    """Neither new meetings, whatever their state, nor titles, nor words that nobody knows."""
    kit.seed()
    kit.change(seeds.LIVE, title="Another title")
    kit.change_livestream(seeds.LIVE, status="PAUSED")
    assert told.names() == []

    kit.change_livestream(seeds.NEVER_LIVE, status="LIVE", active=True)
    assert told.names() == ["LIVE"]
    kit.add_meeting("Replaced", seeds.LIVE)
    kit.change_livestream(seeds.UNKNOWN_STATUS, status="ERRORED")
    assert told.names() == []


def test_a_status_update_is_as_cloudflare_writes_it(kit: RealtimeKit, told: Told) -> None:
    """The secrets are in it, and nothing that tells one run from another."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.start(meeting)
    told.names()
    livestream = kit.go_live(meeting).livestream
    assert livestream
    [first] = told.bodies
    kit.clock.advance(60)
    kit.drop(meeting)
    kit.go_live(meeting)

    assert told.bodies[-1] == first
    assert first == {
        "event": "livestreaming.statusUpdate",
        "streamId": livestream.id,
        "status": "LIVE",
        "manualIngest": False,
        "playbackUrl": livestream.playback_url,
        "ingestServer": livestream.ingest_server,
        "streamKey": livestream.stream_key,
        "meeting": {
            "id": meeting,
            "title": "Weekly sync",
            "status": "LIVE",
            "createdAt": "2026-06-03T12:00:00.000Z",
            "organizedBy": first["meeting"]["organizedBy"],
        },
    }
    assert set(first["meeting"]["organizedBy"]) == {"id", "name"}


def test_a_meeting_tells_its_times(kit: RealtimeKit, told: Told) -> None:
    """The end of a meeting calls the meeting LIVE, as Cloudflare does, and says when it was over and why."""
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id)
    kit.clock.advance(1800)
    kit.end(meeting.id)

    started, ended = told.bodies[0], told.bodies[-1]
    assert started["meeting"]["sessionId"] == ended["meeting"]["sessionId"] == meeting.sessions[-1].id
    assert started["meeting"]["startedAt"] == ended["meeting"]["startedAt"] == "2026-06-03T12:00:00.000Z"
    assert "endedAt" not in started["meeting"]
    assert ended["meeting"]["endedAt"] == "2026-06-03T12:30:00.000Z"
    assert (ended["meeting"]["status"], ended["reason"]) == ("LIVE", "HOST_ENDED_MEETING")
