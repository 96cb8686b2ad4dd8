"""What RealtimeKit tells webhooks when a meeting changes. Pure."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bot.sandbox.realtimekit.envelopes import iso
from bot.sandbox.realtimekit.state import Livestream, Meeting, Session, Status

_TOLD_STATUSES = (Status.LIVE, Status.OFFLINE, Status.IDLE)
_ORGANISATION = {"id": "c94c437b-592a-4a39-b9e2-47ef1451e43b", "name": "Example organization"}


class Event(StrEnum):
    """The events that a webhook can ask for. What the sandbox never sends is here to be asked for all the same."""

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
    """An event of one meeting. The body has the broadcaster's secrets in it, as Cloudflare's has: no repr shows it."""

    event: Event
    meeting_id: str
    body: bytes = field(repr=False)


def notices_of(before: Meeting | None, after: Meeting) -> list[Notice]:
    """What is told of the step from `before` to `after`: nothing of a meeting that was not there before.

    A meeting is on from the start of a run until the host ends it, be the run failed meanwhile.
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
    """What somebody writes who wants it believed that a meeting is live."""
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
    """No time and no run is in it: LIVE, OFFLINE, LIVE is the same bytes twice."""
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
    """The `status` is LIVE whatever happens to the livestream, and in `meeting.ended` too."""
    return {
        "id": meeting.id,
        "title": meeting.title,
        "status": "LIVE",
        "createdAt": iso(meeting.created_at),
        "organizedBy": _ORGANISATION,
    }


def _run(session: Session) -> dict[str, str]:
    return {"sessionId": session.id, "startedAt": iso(session.invoked_time)}


def _notice(meeting: Meeting, body: dict[str, Any]) -> Notice:
    return Notice(body["event"], meeting.id, _encoded(body))


def _encoded(body: dict[str, Any]) -> bytes:
    """JSON as JavaScript writes it, which Python would not write again by itself."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
