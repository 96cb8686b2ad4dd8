"""Meetings, their livestreams and the sessions of those, and how one becomes the next. Pure: time comes in as `now`.

One livestream belongs to a meeting for good: its id and its playback URL are reused by every run. A run is a session.
"""

import dataclasses
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any


class Status(StrEnum):
    """The status words that Cloudflare is known to use. A livestream may carry any other string too."""

    INVOKED = "INVOKED"
    LIVE = "LIVE"
    OFFLINE = "OFFLINE"
    IDLE = "IDLE"
    ERRORED = "ERRORED"


class AfterEnd(Enum):
    """What the active-livestream endpoint says once a run has ended. Cloudflare does not document it."""

    NOT_FOUND = "404"
    OFFLINE = "OFFLINE"
    IDLE = "IDLE"


class Shape(Enum):
    """The forms in which the active-livestream endpoint answers for a meeting.

    The forms from NULL on say nothing about the livestream, whatever its state.
    """

    OBJECT = "data is an object"
    LIST = "data is a list"
    RESULT = "under result instead of data"
    NULL = "data is null"
    EMPTY_OBJECT = "data is {}"
    EMPTY_LIST = "data is []"
    UNSUCCESSFUL = "200 with success false"


ZERO_TIME = -62_135_596_800.0
"""What Go writes for a time that was never set: 0001-01-01T00:00:00Z."""


class ImpossibleError(ValueError):
    """A meeting cannot make this step from where it is; the message says why."""


@dataclass(frozen=True)
class Session:
    """One run of a livestream. Times are epoch seconds."""

    id: str
    invoked_time: float
    started_time: float | None = None
    stopped_time: float | None = None
    err_message: str | None = None
    viewer_seconds: int = 0

    @property
    def open(self) -> bool:
        """Whether the run is still under way, be it interrupted."""
        return self.stopped_time is None


@dataclass(frozen=True)
class Livestream:
    """A meeting's livestream. `stream_key` and `ingest_server` are the broadcaster's secrets: no repr shows them."""

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
    """Whether the active-livestream endpoint finds it."""
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
    """A meeting, with what is switchable about how it is answered for."""

    id: str
    title: str
    created_at: float
    livestream: Livestream | None = None
    shape: Shape = Shape.OBJECT
    after_end: AfterEnd = AfterEnd.NOT_FOUND
    joinable: bool = True
    others: tuple[Livestream, ...] = ()
    """Further livestreams of the meeting, which Cloudflare answers with beside the first, in changing order."""

    @property
    def livestreams(self) -> tuple[Livestream, ...]:
        """All livestreams of the meeting."""
        return (self.livestream, *self.others) if self.livestream else self.others

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Every run of the meeting's livestream, oldest first."""
        return self.livestream.sessions if self.livestream else ()

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self.livestream is not None and self.livestream.running


def start(meeting: Meeting, session_id: str, now: float) -> Meeting:
    """Invoke a new run of the meeting's livestream."""
    livestream = livestream_of(meeting)
    if livestream.running:
        raise ImpossibleError("The meeting is already being livestreamed")
    sessions = (*livestream.sessions, Session(session_id, invoked_time=now))
    return _moved(meeting, now, status=Status.INVOKED, active=True, sessions=sessions)


def go_live(meeting: Meeting, now: float) -> Meeting:
    """Media arrives: for the first time in this run, or again after a drop."""
    session = _running_session(meeting)
    started = now if session.started_time is None else session.started_time
    session = dataclasses.replace(session, started_time=started)
    return _moved(meeting, now, status=Status.LIVE, sessions=_with_latest(meeting, session))


def drop(meeting: Meeting, now: float) -> Meeting:
    """Media stops arriving; the session stays open for the broadcaster to come back."""
    _running_session(meeting)
    return _moved(meeting, now, status=Status.OFFLINE)


def fail(meeting: Meeting, reason: str, now: float) -> Meeting:
    """The run breaks for good, for a reason that only its session tells."""
    session = dataclasses.replace(_running_session(meeting), stopped_time=now, err_message=reason)
    return _moved(meeting, now, status=Status.ERRORED, sessions=_with_latest(meeting, session))


def end(meeting: Meeting, now: float) -> Meeting:
    """The host stops the run, or clears one that failed; what is answered afterwards is the meeting's `after_end`."""
    if not livestream_of(meeting).active:
        raise ImpossibleError("The meeting is not being livestreamed")
    sessions = meeting.sessions
    if meeting.running:
        sessions = _with_latest(meeting, dataclasses.replace(sessions[-1], stopped_time=now))
    status = Status.IDLE if meeting.after_end is AfterEnd.IDLE else Status.OFFLINE
    found = meeting.after_end is not AfterEnd.NOT_FOUND
    return _moved(meeting, now, status=status, active=found, sessions=sessions)


def restart(meeting: Meeting, session_id: str, now: float) -> Meeting:
    """Another session in place of the one under way, without a word in between: the status stays as it is."""
    stopped = dataclasses.replace(_running_session(meeting), stopped_time=now)
    begun = Session(session_id, invoked_time=now, started_time=None if stopped.started_time is None else now)
    return _moved(meeting, now, sessions=(*_with_latest(meeting, stopped), begun))


def livestream_of(meeting: Meeting) -> Livestream:
    """The meeting's livestream; raises ImpossibleError if it never had one."""
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
