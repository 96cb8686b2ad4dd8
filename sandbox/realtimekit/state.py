"""Meetings, their livestreams and sessions, and the transitions between their states. Pure: time comes in as `now`.

A livestream belongs to its meeting permanently: every session reuses its ID and playback URL.
"""

import dataclasses
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any


class Status(StrEnum):
    """The statuses that Cloudflare is known to use. A livestream may have any other string, too."""

    INVOKED = "INVOKED"
    LIVE = "LIVE"
    OFFLINE = "OFFLINE"
    IDLE = "IDLE"
    ERRORED = "ERRORED"


class AfterEnd(Enum):
    """The active-livestream endpoint's answer once a session has ended, which Cloudflare does not document."""

    NOT_FOUND = "404"
    OFFLINE = "OFFLINE"
    IDLE = "IDLE"


class Shape(Enum):
    """The forms of the active-livestream endpoint's answer for a meeting.

    From NULL on, the forms say nothing about the livestream, in any state.
    """

    OBJECT = "data is an object"
    LIST = "data is a list"
    RESULT = "under result instead of data"
    NULL = "data is null"
    EMPTY_OBJECT = "data is {}"
    EMPTY_LIST = "data is []"
    UNSUCCESSFUL = "200 with success false"


ZERO_TIME = -62_135_596_800.0
"""Go's value for a time that was never set: 0001-01-01T00:00:00Z."""


class ImpossibleError(ValueError):
    """A step that is impossible in the meeting's current state; the message says why."""


@dataclass(frozen=True)
class Session:
    """A livestream's session: one run on air. Times are epoch seconds."""

    id: str
    invoked_time: float
    started_time: float | None = None
    stopped_time: float | None = None
    err_message: str | None = None
    viewer_seconds: int = 0

    @property
    def open(self) -> bool:
        """Whether the session has not stopped; it may be interrupted."""
        return self.stopped_time is None


@dataclass(frozen=True)
class Livestream:
    """A meeting's livestream. Its repr omits the broadcaster's secrets, `stream_key` and `ingest_server`."""

    id: str
    meeting_id: str
    playback_url: str | None
    ingest_server: str = field(repr=False)
    stream_key: str = field(repr=False)
    created_at: float
    updated_at: float
    name: str | None = None
    status: str = Status.OFFLINE
    disabled: str | bool | None = False
    active: bool = False
    """Whether the active-livestream endpoint returns it."""
    sessions: tuple[Session, ...] = ()

    @property
    def session(self) -> Session | None:
        """The latest session, open or not."""
        return self.sessions[-1] if self.sessions else None

    @property
    def running(self) -> bool:
        """Whether a session is open."""
        return self.session is not None and self.session.open


@dataclass(frozen=True)
class Meeting:
    """A meeting, with the switches for its answers."""

    id: str
    title: str
    created_at: float
    livestream: Livestream | None = None
    shape: Shape = Shape.OBJECT
    after_end: AfterEnd = AfterEnd.NOT_FOUND
    joinable: bool = True
    others: tuple[Livestream, ...] = ()
    """Further livestreams of the meeting, which Cloudflare returns besides the first, in changing order."""

    @property
    def livestreams(self) -> tuple[Livestream, ...]:
        """All livestreams of the meeting."""
        return (self.livestream, *self.others) if self.livestream else self.others

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All sessions of the meeting's livestream, oldest first."""
        return self.livestream.sessions if self.livestream else ()

    @property
    def running(self) -> bool:
        """Whether a session is open."""
        return self.livestream is not None and self.livestream.running


def start(meeting: Meeting, session_id: str, now: float) -> Meeting:
    """Start a new session of the meeting's livestream (INVOKED)."""
    livestream = livestream_of(meeting)
    if livestream.running:
        raise ImpossibleError("The meeting is already being livestreamed")
    sessions = (*livestream.sessions, Session(session_id, invoked_time=now))
    return _moved(meeting, now, status=Status.INVOKED, active=True, sessions=sessions)


def go_live(meeting: Meeting, now: float) -> Meeting:
    """Let media arrive, for the first time in this session or again after a drop (LIVE)."""
    session = _running_session(meeting)
    started = now if session.started_time is None else session.started_time
    session = dataclasses.replace(session, started_time=started)
    return _moved(meeting, now, status=Status.LIVE, sessions=_with_latest(meeting, session))


def drop(meeting: Meeting, now: float) -> Meeting:
    """Let media stop arriving (OFFLINE); the session stays open so that the broadcaster can come back."""
    _running_session(meeting)
    return _moved(meeting, now, status=Status.OFFLINE)


def fail(meeting: Meeting, reason: str, now: float) -> Meeting:
    """Let the session fail for good (ERRORED); only the session carries the reason."""
    session = dataclasses.replace(_running_session(meeting), stopped_time=now, err_message=reason)
    return _moved(meeting, now, status=Status.ERRORED, sessions=_with_latest(meeting, session))


def end(meeting: Meeting, now: float) -> Meeting:
    """End the session, or clear a failed one, as the host does; later answers follow the meeting's `after_end`."""
    if not livestream_of(meeting).active:
        raise ImpossibleError("The meeting is not being livestreamed")
    sessions = meeting.sessions
    if meeting.running:
        sessions = _with_latest(meeting, dataclasses.replace(sessions[-1], stopped_time=now))
    status = Status.IDLE if meeting.after_end is AfterEnd.IDLE else Status.OFFLINE
    found = meeting.after_end is not AfterEnd.NOT_FOUND
    return _moved(meeting, now, status=status, active=found, sessions=sessions)


def restart(meeting: Meeting, session_id: str, now: float) -> Meeting:
    """Replace the open session by a new one without changing the status in between."""
    stopped = dataclasses.replace(_running_session(meeting), stopped_time=now)
    begun = Session(session_id, invoked_time=now, started_time=None if stopped.started_time is None else now)
    return _moved(meeting, now, sessions=(*_with_latest(meeting, stopped), begun))


def livestream_of(meeting: Meeting) -> Livestream:
    """Return the meeting's livestream. Raises ImpossibleError if it never had one."""
    if meeting.livestream is None:
        raise ImpossibleError("The meeting was never livestreamed")
    return meeting.livestream


def _running_session(meeting: Meeting) -> Session:
    session = livestream_of(meeting).session
    if session is None or not session.open:
        raise ImpossibleError("The meeting is not being livestreamed")
    return session


def _with_latest(meeting: Meeting, session: Session) -> tuple[Session, ...]:
    return (*meeting.sessions[:-1], session)


def _moved(meeting: Meeting, now: float, **changes: Any) -> Meeting:
    livestream = dataclasses.replace(livestream_of(meeting), updated_at=now, **changes)
    return dataclasses.replace(meeting, livestream=livestream)
