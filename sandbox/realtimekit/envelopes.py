"""Cloudflare's answers as JSON: its two error envelopes, and its livestreams, sessions and meetings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

from sandbox.realtimekit.state import ZERO_TIME, Livestream, Meeting, Session, Shape

Body = dict[str, Any]
Item = TypeVar("Item")


class ListShape(Enum):
    """The forms of the list of livestreams: the documentation's example, its schema, and an unexpected one."""

    ARRAY = "data is an array, paging beside it"
    OBJECT = "data is one livestream, paging inside it"
    UNKNOWN = "data is an object of neither form"


@dataclass(frozen=True)
class Answer:
    """A status and a JSON body."""

    status: int
    body: Body


def ok(data: Any, status: int = 200) -> Answer:
    """Build a success of RealtimeKit's application."""
    return Answer(status, {"success": True, "data": data})


def refused(status: int, message: str) -> Answer:
    """Build an error of RealtimeKit's application: a single `error`, whose code repeats the HTTP status."""
    return Answer(status, {"success": False, "error": {"code": status, "message": message}})


def turned_away(status: int, code: int, message: str) -> Answer:
    """Build an error of Cloudflare's API gateway: a list of `errors` with the gateway's own codes.

    Such a request never reaches RealtimeKit.
    """
    errors = [{"code": code, "message": message}]
    return Answer(status, {"success": False, "errors": errors, "messages": [], "result": None})


NO_ROUTE = turned_away(404, 7000, "No route for that URI")


def active_livestream(meeting: Meeting, turn: int = 0) -> Answer:
    """Build the answer of the active-livestream endpoint, in the meeting's shape.

    Each `turn` starts with another one of several livestreams; only the list shape contains all of them.
    """
    nothing: dict[Shape, Any] = {Shape.NULL: None, Shape.EMPTY_OBJECT: {}, Shape.EMPTY_LIST: []}
    if meeting.shape in nothing:
        return ok(nothing[meeting.shape])
    if meeting.shape is Shape.UNSUCCESSFUL:
        return Answer(200, refused(500, "The livestream could not be read").body)
    views = [livestream_view(livestream) for livestream in meeting.livestreams if livestream.active]
    if not views:
        return refused(404, "No active livestream found for this meeting")
    views = rotated(views, turn)
    if meeting.shape is Shape.RESULT:
        return Answer(200, {"success": True, "result": views[0]})
    return ok(views if meeting.shape is Shape.LIST else views[0])


def started(livestream: Livestream) -> Answer:
    """Build the answer to the start of a session: not the whole livestream, but including its secrets."""
    view = livestream_view(livestream)
    return ok({name: view[name] for name in ("id", "status", "playback_url", "ingest_server", "stream_key")}, 201)


def livestreams_page(page: Sequence[Livestream], paging: Mapping[str, int], shape: ListShape) -> Answer:
    """Build the answer of the list of livestreams. The schema's form has room for the page's first one only."""
    views = [livestream_view(livestream) for livestream in page]
    match shape:
        case ListShape.ARRAY:
            return Answer(200, {**ok(views).body, "paging": dict(paging)})
        case ListShape.OBJECT:
            return ok({**(views[0] if views else {}), "paging": dict(paging)})
        case ListShape.UNKNOWN:
            return ok({"items": views, "cursor": None})


def meetings_page(page: Sequence[Meeting], paging: Mapping[str, int]) -> Answer:
    """Build the answer of the list of meetings."""
    views = [meeting_view(meeting) for meeting in page]
    return Answer(200, {**ok(views).body, "paging": dict(paging)})


def livestream_view(livestream: Livestream) -> Body:
    """Return a livestream as Cloudflare sends it, including the broadcaster's secrets."""
    return {
        "id": livestream.id,
        "name": livestream.name,
        "status": str(livestream.status),
        "meeting_id": livestream.meeting_id,
        "playback_url": livestream.playback_url,
        "ingest_server": livestream.ingest_server,
        "stream_key": livestream.stream_key,
        "disabled": livestream.disabled,
        "created_at": iso(livestream.created_at),
        "updated_at": iso(livestream.updated_at),
    }


def session_view(livestream: Livestream, session: Session, now: float) -> Body:
    """Return a session. The schema types its seconds as strings here and as integers elsewhere; this sends integers."""
    return {
        "id": session.id,
        "livestream_id": livestream.id,
        "err_message": session.err_message,
        "invoked_time": iso(session.invoked_time),
        "started_time": _iso_or_none(session.started_time),
        "stopped_time": _iso_or_none(session.stopped_time),
        "ingest_seconds": _ingest_seconds(session, now),
        "viewer_seconds": session.viewer_seconds,
        "created_at": iso(session.invoked_time),
        "updated_at": iso(livestream.updated_at),
    }


def meeting_view(meeting: Meeting) -> Body:
    """Return a meeting. ACTIVE means that people can join, not that the meeting is live."""
    return {
        "id": meeting.id,
        "title": meeting.title,
        "status": "ACTIVE" if meeting.joinable else "INACTIVE",
        "record_on_start": False,
        "live_stream_on_start": False,
        "persist_chat": False,
        "summarize_on_end": False,
        "created_at": iso(meeting.created_at),
        "updated_at": iso(meeting.created_at),
    }


def iso(moment: float) -> str:
    """Format epoch seconds as Cloudflare does: UTC, milliseconds, Z; ZERO_TIME without milliseconds."""
    if moment == ZERO_TIME:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rotated(items: Sequence[Item], turn: int) -> list[Item]:
    """Return the items rotated, so that each turn starts with another one."""
    first = turn % len(items) if items else 0
    return [*items[first:], *items[:first]]


def _iso_or_none(moment: float | None) -> str | None:
    return None if moment is None else iso(moment)


def _ingest_seconds(session: Session, now: float) -> int:
    """Return the seconds on air. Cloudflare's count reads 60 until 40-50 seconds have passed."""
    if session.started_time is None:
        return 0
    passed = (now if session.stopped_time is None else session.stopped_time) - session.started_time
    return int(passed) if passed >= 45 else 60
