"""The webhook events that RealtimeKit sends when a meeting changes. Pure."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sandbox.realtimekit.envelopes import iso
from sandbox.realtimekit.state import Livestream, Meeting, Session, Status

_TOLD_STATUSES = (Status.LIVE, Status.OFFLINE, Status.IDLE)
_ORGANIZATION = {"id": "c94c437b-592a-4a39-b9e2-47ef1451e43b", "name": "Example organization"}


class Event(StrEnum):
    """The events that a webhook can subscribe to, including those that the sandbox never sends."""

    MEETING_STARTED = "meeting.started"
    MEETING_ENDED = "meeting.ended"
    PARTICIPANT_JOINED = "meeting.participantJoined"
    PARTICIPANT_LEFT = "meeting.participantLeft"
    CHAT_SYNCED = "meeting.chatSynced"
    RECORDING_STATUS = "recording.statusUpdate"
    LIVESTREAM_STATUS = "livestreaming.statusUpdate"
    TRANSCRIPT = "meeting.transcript"
    SUMMARY = "meeting.summary"


SENT = (Event.LIVESTREAM_STATUS, Event.MEETING_STARTED, Event.MEETING_ENDED)
"""The events that the sandbox sends."""


@dataclass(frozen=True)
class Notice:
    """A meeting's event. Its repr omits the body, which contains the broadcaster's secrets, as Cloudflare's does."""

    event: Event
    meeting_id: str
    body: bytes = field(repr=False)


def notices_of(before: Meeting | None, after: Meeting) -> list[Notice]:
    """Return the events for the step from `before` to `after`; none if the meeting is new.

    A meeting counts as on from the start of a session until the host ends it, even if the session has failed.
    """
    livestream = after.livestream
    if before is None or livestream is None:
        return []
    notices = []
    if _is_on(after) and not _is_on(before):
        notices.append(_started(after))
    if _status(before) != livestream.status and livestream.status in _TOLD_STATUSES:
        notices.append(_status_update(after, livestream))
    if _is_on(before) and not _is_on(after):
        notices.append(_ended(after, livestream))
    return notices


def invented(meeting_id: str) -> Notice:
    """Return a forged event that claims that a meeting is live."""
    body = {"event": Event.LIVESTREAM_STATUS, "status": Status.LIVE, "meeting": {"id": meeting_id, "status": "LIVE"}}
    return Notice(Event.LIVESTREAM_STATUS, meeting_id, _encoded(body))


def _is_on(meeting: Meeting) -> bool:
    livestream = meeting.livestream
    if livestream is None or livestream.session is None:
        return False
    return livestream.running or (livestream.active and livestream.status == Status.ERRORED)


def _status(meeting: Meeting) -> str | None:
    return meeting.livestream.status if meeting.livestream else None


def _status_update(meeting: Meeting, livestream: Livestream) -> Notice:
    """Build a status event. It names no time and no session, so in LIVE, OFFLINE, LIVE the same bytes come twice."""
    return _notice(
        meeting,
        {
            "event": Event.LIVESTREAM_STATUS,
            "streamId": livestream.id,
            "status": livestream.status,
            "manualIngest": False,
            "playbackUrl": livestream.playback_url,
            "ingestServer": livestream.ingest_server,
            "streamKey": livestream.stream_key,
            "meeting": _meeting(meeting),
        },
    )


def _started(meeting: Meeting) -> Notice:
    session = meeting.sessions[-1]
    return _notice(meeting, {"event": Event.MEETING_STARTED, "meeting": {**_meeting(meeting), **_run(session)}})


def _ended(meeting: Meeting, livestream: Livestream) -> Notice:
    times = {**_run(meeting.sessions[-1]), "endedAt": iso(livestream.updated_at)}
    body = {"event": Event.MEETING_ENDED, "meeting": {**_meeting(meeting), **times}, "reason": "HOST_ENDED_MEETING"}
    return _notice(meeting, body)


def _meeting(meeting: Meeting) -> dict[str, Any]:
    """Return the event's meeting. Its `status` is always LIVE, even in `meeting.ended`."""
    return {
        "id": meeting.id,
        "title": meeting.title,
        "status": "LIVE",
        "createdAt": iso(meeting.created_at),
        "organizedBy": _ORGANIZATION,
    }


def _run(session: Session) -> dict[str, str]:
    return {"sessionId": session.id, "startedAt": iso(session.invoked_time)}


def _notice(meeting: Meeting, body: dict[str, Any]) -> Notice:
    return Notice(body["event"], meeting.id, _encoded(body))


def _encoded(body: dict[str, Any]) -> bytes:
    """Encode JSON as JavaScript does, so that parsing and re-encoding it in Python yields other bytes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
