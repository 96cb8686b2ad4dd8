"""The sandbox's RealtimeKit: the events that a change causes, and their contents."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.realtimekit import AfterEnd, Meeting, RealtimeKit, seeds
from sandbox.realtimekit.events import notices_of


class EventRecorder:
    """The bodies of all events, in order."""

    def __init__(self, kit: RealtimeKit) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._known: dict[str, Meeting] = {}
        self.stop = kit.changes.subscribe(self._note)

    def names(self) -> list[str]:
        """Return the events since the last call: the status, or the event's name if it has none."""
        names = [body.get("status") or body["event"] for body in self.bodies]
        self.bodies.clear()
        return names

    def _note(self, meeting: Meeting) -> None:
        notices = notices_of(self._known.get(meeting.id), meeting)
        self.bodies.extend(json.loads(notice.body) for notice in notices)
        self._known[meeting.id] = meeting


@pytest.fixture
def recorder(kit: RealtimeKit) -> Iterator[EventRecorder]:
    recorder = EventRecorder(kit)
    yield recorder
    recorder.stop()


def test_livestream_causes_its_events_from_start_to_end(kit: RealtimeKit, recorder: EventRecorder) -> None:
    """INVOKED appears only as the start of the meeting; the end causes two events."""
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
        assert recorder.names() == names, step


def test_end_after_a_drop_repeats_no_status_event(kit: RealtimeKit, recorder: EventRecorder) -> None:
    offline, idle = kit.add_meeting("one").id, kit.add_meeting("two").id
    for meeting in (offline, idle):
        kit.go_live(meeting)
        kit.drop(meeting)
    recorder.names()

    kit.end(offline)
    assert recorder.names() == ["meeting.ended"]
    kit.end(idle, AfterEnd.IDLE)
    assert recorder.names() == ["IDLE", "meeting.ended"]


def test_failure_causes_no_event_until_it_is_cleared(kit: RealtimeKit, recorder: EventRecorder) -> None:
    """ERRORED can only be polled."""
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id).id
    recorder.names()

    kit.fail(meeting, "The encoder sends no video")
    assert recorder.names() == []
    kit.go_live(meeting)
    assert recorder.names() == ["LIVE"]
    kit.fail(meeting, "The encoder sends no video")
    kit.end(meeting)
    assert recorder.names() == ["OFFLINE", "meeting.ended"]


def test_other_changes_cause_no_event(kit: RealtimeKit, recorder: EventRecorder) -> None:
    """Neither new meetings, nor titles, nor unknown statuses."""
    kit.seed()
    kit.change(seeds.LIVE, title="Another title")
    kit.change_livestream(seeds.LIVE, status="PAUSED")
    assert recorder.names() == []

    kit.change_livestream(seeds.NEVER_LIVE, status="LIVE", active=True)
    assert recorder.names() == ["LIVE"]
    kit.add_meeting("Replaced", seeds.LIVE)
    kit.change_livestream(seeds.UNKNOWN_STATUS, status="ERRORED")
    assert recorder.names() == []


def test_status_update_has_cloudflares_fields(kit: RealtimeKit, recorder: EventRecorder) -> None:
    """It contains the secrets, and nothing that identifies the session."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.start(meeting)
    recorder.names()
    livestream = kit.go_live(meeting).livestream
    assert livestream
    [first] = recorder.bodies
    kit.clock.advance(60)
    kit.drop(meeting)
    kit.go_live(meeting)

    assert recorder.bodies[-1] == first
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


def test_meeting_events_have_the_start_end_and_reason(kit: RealtimeKit, recorder: EventRecorder) -> None:
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id)
    kit.clock.advance(1800)
    kit.end(meeting.id)

    started, ended = recorder.bodies[0], recorder.bodies[-1]
    assert started["meeting"]["sessionId"] == ended["meeting"]["sessionId"] == meeting.sessions[-1].id
    assert started["meeting"]["startedAt"] == ended["meeting"]["startedAt"] == "2026-06-03T12:00:00.000Z"
    assert "endedAt" not in started["meeting"]
    assert ended["meeting"]["endedAt"] == "2026-06-03T12:30:00.000Z"
    assert (ended["meeting"]["status"], ended["reason"]) == ("LIVE", "HOST_ENDED_MEETING")
