"""What RealtimeKit says, read from its JSON. Every field is optional there, and some come in two types.

`stream_key` and `ingest_server` let whoever has them broadcast in the host's name. They are not read at all, and
a validation error never quotes its input. An ingest address in the middle of a text, as in the reason of an error,
is taken out.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_LONGEST_TEXT = 1_000
_LONGEST_ADDRESS = 2_000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Earlier times are absent values in disguise: year 1, the epoch, 1900."""
_NOT_A_TEXT = frozenset({"null", "undefined", "nan", "<nil>", "<null>", "(null)", "[object object]"})
_NOT_A_REASON = _NOT_A_TEXT | {"none", "nil", "n/a", "na", "-", "--"}
_NIL_UUID = UUID(int=0)
_DELIMITER = re.compile(r'[ <>|"]')
_DROPPED = re.compile(r"[\u202a-\u202e\u2066-\u2069\ufeff]")
"""Marks that turn the direction of text; control characters besides, of which those for space become one."""
_INGEST_ADDRESS = re.compile(r"\b(?:rtmps?|rtsps?|srt|whip)://\S+", re.IGNORECASE)


class Status(StrEnum):
    """What a livestream does, in this program's words."""

    LIVE = "live"
    STARTING = "starting"
    NOT_BROADCASTING = "not live"
    ERRORED = "errored"
    UNKNOWN = "unknown"


_STATUS_OF = {
    "LIVE": Status.LIVE,
    "INVOKED": Status.STARTING,
    "IDLE": Status.NOT_BROADCASTING,
    "OFFLINE": Status.NOT_BROADCASTING,
    "ERRORED": Status.ERRORED,
}


def without_secrets(text: str) -> str:
    """One text of Cloudflare's, without ingest addresses and without the half characters that no UTF-8 can hold."""
    return _INGEST_ADDRESS.sub("[ingest address]", text.encode("utf-8", "replace").decode())


def without_control_characters(text: str) -> str:
    """Return the text as one line, without characters that a terminal, a database or Slack would act on."""
    # Nearly every text, and a list has thousands.
    if text.isprintable():
        return text
    spaced = "".join(" " if c.isspace() else c for c in _DROPPED.sub("", text))
    return "".join(c for c in spaced if unicodedata.category(c) != "Cc")


def _text(value: Any) -> str | None:
    """Read a text; None for what only stands for an absent one."""
    if not isinstance(value, str):
        return None
    text = without_control_characters(value).strip()
    if text.lower() in _NOT_A_TEXT or not any(c.isprintable() and not c.isspace() for c in text):
        return None
    return without_secrets(text)[:_LONGEST_TEXT]


def _reason(value: Any) -> str | None:
    """Read the reason of an error, which is never just a word for "none"."""
    text = _text(value)
    return None if text is None or text.lower() in _NOT_A_REASON else text


def _id(value: Any) -> str | None:
    """Read an ID; the nil UUID is none."""
    text = _text(value)
    try:
        return None if text is None or UUID(text) == _NIL_UUID else text
    except ValueError:
        return text


def _moment(value: Any) -> datetime | None:
    """Read a time. It only decorates an answer, so one that cannot be true is left out instead of failing the whole."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment >= _EARLIEST else None


def _yes_or_no(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _web_address(value: Any) -> str | None:
    """Only http(s) addresses become links; anything else is as good as none."""
    if not isinstance(value, str) or len(value) > _LONGEST_ADDRESS or not _is_plain(value):
        return None
    try:
        parts = urlsplit(value)
        known = parts.scheme in ("http", "https") and (parts.hostname or "") not in ("", *_NOT_A_TEXT)
    except ValueError:
        return None
    return value if known else None


def _is_plain(address: str) -> bool:
    return address.isascii() and address.isprintable() and not _DELIMITER.search(address)


Id = Annotated[str | None, BeforeValidator(_id)]
Reason = Annotated[str | None, BeforeValidator(_reason)]
Text = Annotated[str | None, BeforeValidator(_text)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
YesOrNo = Annotated[bool | None, BeforeValidator(_yes_or_no)]
WebAddress = Annotated[str | None, BeforeValidator(_web_address)]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Livestream(_Answer):
    """A meeting's livestream. Its id and playback URL may be reused by the meeting's next run."""

    id: Id = None
    name: Text = None
    raw_status: Annotated[Text, Field(alias="status")] = None
    """The word as Cloudflare sent it."""
    meeting_id: Id = None
    playback_url: WebAddress = None
    disabled: YesOrNo = None
    created_at: Moment = None
    updated_at: Moment = None

    @property
    def status(self) -> Status:
        """What the raw word means; any word that is not known is UNKNOWN."""
        return _STATUS_OF.get((self.raw_status or "").strip().upper(), Status.UNKNOWN)

    @property
    def fingerprint(self) -> str:
        """A short text of what both a lookup and the list say, except the status: `<hash of the content> <updated_at>`.

        The two parts are separate because a newer `updated_at` alone need not mean that anything visible has changed.
        """
        content = json.dumps([self.id, self.name, self.playback_url])
        updated = self.updated_at.isoformat() if self.updated_at else "-"
        return f"{sha256(content.encode()).hexdigest()[:16]} {updated}"


class Meeting(_Answer):
    """A meeting. Its own status says whether people can join, never whether it is live, so it is not read."""

    id: UUID
    title: Text = None


class Session(_Answer):
    """One run of a livestream, from going on air to going off."""

    err_message: Reason = None
    started_time: Moment = None
    stopped_time: Moment = None

    def as_of(self, checked_at: datetime) -> "Session":
        """Return the session without times that cannot be true: a start or a stop to come, a stop before the start."""
        started = self.started_time if self.started_time and self.started_time <= checked_at else None
        stopped = self.stopped_time if self.stopped_time and self.stopped_time <= checked_at else None
        if started is not None and stopped is not None and stopped < started:
            stopped = None
        return self.model_copy(update={"started_time": started, "stopped_time": stopped})


class NotLive(_Answer):
    """The meeting exists, and has no active livestream."""

    meeting: Meeting


_MOST_ACTIVE_FIRST = [Status.LIVE, Status.STARTING, Status.ERRORED, Status.UNKNOWN, Status.NOT_BROADCASTING]


def most_active(livestreams: Iterable[Livestream]) -> Livestream:
    """Choose the livestream that stands for its meeting, whatever order Cloudflare lists them in.

    The most active status wins, then the latest creation. The rest only makes the choice the same every time.
    """

    def rank(livestream: Livestream) -> tuple[int, datetime, str, str, str]:
        activity = -_MOST_ACTIVE_FIRST.index(livestream.status)
        texts = (livestream.id or "", livestream.playback_url or "", livestream.name or "")
        return activity, livestream.created_at or _LONG_AGO, *texts

    return max(livestreams, key=rank)
