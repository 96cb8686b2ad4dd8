"""What Cloudflare says, as JSON: its two error envelopes, and livestreams, sessions and meetings as it writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

from bot.sandbox.realtimekit.state import ZERO_TIME, Livestream, Meeting, Session, Shape

Body = dict[str, Any]
Item = TypeVar("Item")


class ListShape(Enum):
    """The forms of the list of livestreams: as the examples show it, as the schema says, and as nobody expects."""

    ARRAY = "data is an array, paging beside it"
    OBJECT = "data is one livestream, paging inside it"
    UNKNOWN = "data is an object of neither form"


@dataclass(frozen=True)
class Answer:
    """A status and a JSON body."""

    status: int
    body: Body


def ok(data: Any, status: int = 200) -> Answer:
    """A success of RealtimeKit's application."""
    return Answer(status, {"success": True, "data": data})


def refused(status: int, message: str) -> Answer:
    """An error of RealtimeKit's application: one `error`, whose code repeats the HTTP status."""
    return Answer(status, {"success": False, "error": {"code": status, "message": message}})


def turned_away(status: int, code: int, message: str) -> Answer:
    """An error of Cloudflare's API gateway, which RealtimeKit never saw: a list of `errors` with codes of their own."""
    errors = [{"code": code, "message": message}]
    return Answer(status, {"success": False, "errors": errors, "messages": [], "result": None})


NO_ROUTE = turned_away(404, 7000, "No route for that URI")


def active_livestream(meeting: Meeting, turn: int = 0) -> Answer:
    """The answer of the active-livestream endpoint, in the meeting's shape.

    Of several livestreams another one comes first each `turn`; all of them are told in the shape of a list only.
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
    """The answer to the start of a run: less than a livestream, but its secrets are in it."""
    view = livestream_view(livestream)
    return ok({name: view[name] for name in ("id", "status", "playback_url", "ingest_server", "stream_key")}, 201)


def livestreams_page(page: Sequence[Livestream], paging: Mapping[str, int], shape: ListShape) -> Answer:
    """The answer of the list of livestreams. The schema's form has room for the first of the page only."""
    views = [livestream_view(livestream) for livestream in page]
    match shape:
        case ListShape.ARRAY:
            return Answer(200, {**ok(views).body, "paging": dict(paging)})
        case ListShape.OBJECT:
            return ok({**(views[0] if views else {}), "paging": dict(paging)})
        case ListShape.UNKNOWN:
            return ok({"items": views, "cursor": None})


def meetings_page(page: Sequence[Meeting], paging: Mapping[str, int]) -> Answer:
    """The answer of the list of meetings."""
    views = [meeting_view(meeting) for meeting in page]
    return Answer(200, {**ok(views).body, "paging": dict(paging)})


def livestream_view(livestream: Livestream) -> Body:
    """A livestream with everything Cloudflare tells of it, the broadcaster's secrets too."""
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
    """A session. The schema calls its seconds strings here and integers elsewhere; integers are what is sent."""
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
    """A meeting. ACTIVE means that it can be joined, not that it is live."""
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
    """Epoch seconds as Cloudflare writes a time: UTC, milliseconds, Z; ZERO_TIME without milliseconds."""
    if moment == ZERO_TIME:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rotated(items: Sequence[Item], turn: int) -> list[Item]:
    """The same items, beginning with another one each turn."""
    first = turn % len(items) if items else 0
    return [*items[first:], *items[:first]]


def _iso_or_none(moment: float | None) -> str | None:
    return None if moment is None else iso(moment)


def _ingest_seconds(session: Session, now: float) -> int:
    """Cloudflare's count reads 60 until 40-50 seconds have passed."""
    if session.started_time is None:
        return 0
    passed = (now if session.stopped_time is None else session.stopped_time) - session.started_time
    return int(passed) if passed >= 45 else 60
