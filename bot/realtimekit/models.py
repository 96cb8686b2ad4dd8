"""Models of RealtimeKit's JSON, in which every field is optional and some come in two types.

With `stream_key` and `ingest_server` anyone could broadcast in the host's name. So the models never read them,
validation errors never quote their input, and both values, as well as ingest addresses, are removed from other texts,
such as an error's reason.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any
from urllib.parse import quote, urlsplit
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bot.domain.observation import Status

_MAX_TEXT_LENGTH = 1_000
_MAX_URL_LENGTH = 2_000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""Earlier times stand for missing values, such as year 1, the epoch or 2000: RealtimeKit's predecessor is younger."""
_CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far Cloudflare's clocks may be ahead of the bot's."""
_NOT_A_TEXT = frozenset({"null", "undefined", "nan", "<nil>", "<null>", "(null)", "[object object]"})
_NOT_A_REASON = _NOT_A_TEXT | {"none", "nil", "n/a", "na", "-", "--"}
_NIL_UUID = UUID(int=0)
_DELIMITER = re.compile(r'[ <>|"]')
_DROPPED = re.compile(r"[\u202a-\u202e\u2066-\u2069\ufeff]")
"""Marks that change the direction of text, and the byte order mark."""
_COLON, _SLASH = r"(?::|%(?:25)*3A)", r"(?:\\*/|%(?:25)*2F)"
_INGEST_ADDRESS = re.compile(
    rf"\b(?:rtmps?|rtsps?|srt|whip){_COLON}{_SLASH}{{2}}(?:\S*{_SLASH}\s+\S+|\S+)"
    rf"|\bhttps?{_COLON}{_SLASH}{{2}}\S{{0,2000}}?{_SLASH}webrtc{_SLASH}publish\S*"
    r"|\b(?:stream[ _-]?key|streamid|passphrase)\b[^\w=:]{0,5}[=:]\s*\S+",
    re.IGNORECASE,
)
"""An address to broadcast to, plain, percent-encoded or JSON-escaped. After a slash and a space the key may follow."""
_SECRET_FIELDS = frozenset({"streamkey", "ingestserver"})
_MIN_SECRET_LENGTH = 8
"""Shorter values are no keys, and may occur in any text."""


_STATUS_OF = {
    "LIVE": Status.LIVE,
    "INVOKED": Status.STARTING,
    "IDLE": Status.NOT_BROADCASTING,
    "OFFLINE": Status.NOT_BROADCASTING,
    "ERRORED": Status.ERRORED,
}


def redact_ingest_urls(text: str) -> str:
    """Return the text without ingest addresses, and without lone surrogates, which UTF-8 cannot encode."""
    return _INGEST_ADDRESS.sub("[ingest address]", text.encode("utf-8", "replace").decode())


def without_secret_values(answer: Any) -> Any:
    """Return Cloudflare's parsed JSON without the values of its secret fields in all other fields.

    Playback URLs keep the ingest server's name, which they may share.
    """
    secrets = set(_secrets_in(answer))
    if not secrets:
        return answer
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""), secret.replace("/", r"\/"))}
    return _without(re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))), re.IGNORECASE), answer)


def _is_secret(name: str) -> bool:
    return name.replace("_", "").lower() in _SECRET_FIELDS


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if not _is_secret(name):
                yield from _secrets_in(each)
            elif isinstance(each, str) and len(each.strip()) >= _MIN_SECRET_LENGTH:
                yield each.strip()
    elif isinstance(value, list):
        for each in value:
            yield from _secrets_in(each)


def _without(secret: re.Pattern[str], value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: each if _is_secret(name) or name == "playback_url" else _without(secret, each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_without(secret, each) for each in value]
    if not isinstance(value, str):
        return value
    # Whole addresses first: what follows the ingest server's name in them may be a key.
    return secret.sub("[stream key]", redact_ingest_urls(without_control_characters(value)))


def without_control_characters(text: str) -> str:
    """Return the text as one line, without control characters that a terminal, a database or Slack would act on."""
    # Fast path: a list has thousands of texts, nearly all printable.
    if text.isprintable():
        return text
    spaced = "".join(" " if c.isspace() else c for c in _DROPPED.sub("", text))
    return "".join(c for c in spaced if unicodedata.category(c) != "Cc")


def _text(value: Any) -> str | None:
    """Read a text; None for placeholders of a missing one."""
    if not isinstance(value, str):
        return None
    text = without_control_characters(value).strip()
    if text.lower() in _NOT_A_TEXT or not any(c.isprintable() and not c.isspace() for c in text):
        return None
    return redact_ingest_urls(text)[:_MAX_TEXT_LENGTH]


def _reason(value: Any) -> str | None:
    """Read an error's reason; None for words that mean "none"."""
    text = _text(value)
    return None if text is None or text.lower() in _NOT_A_REASON else text


def _id(value: Any) -> str | None:
    """Read an ID; None for the nil UUID."""
    text = _text(value)
    try:
        return None if text is None or UUID(text) == _NIL_UUID else text
    except ValueError:
        return text


def _timestamp(value: Any) -> datetime | None:
    """Read a time; None if it is impossible. Times are details, so a bad one must not invalidate the whole answer."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time if time >= _EARLIEST else None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _http_url(value: Any) -> str | None:
    """Read an http(s) URL; None for anything else, since only these become links."""
    if not isinstance(value, str) or len(value) > _MAX_URL_LENGTH or not _is_plain(value):
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
Timestamp = Annotated[datetime | None, BeforeValidator(_timestamp)]
Boolean = Annotated[bool | None, BeforeValidator(_boolean)]
HttpUrl = Annotated[str | None, BeforeValidator(_http_url)]


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Livestream(_Response):
    """A meeting's livestream. The meeting's next session may reuse its ID and playback URL."""

    id: Id = None
    name: Text = None
    raw_status: Annotated[Text, Field(alias="status")] = None
    """The status exactly as Cloudflare sent it."""
    meeting_id: Id = None
    playback_url: HttpUrl = None
    disabled: Boolean = None
    created_at: Timestamp = None
    updated_at: Timestamp = None
    also_live: Annotated[frozenset[str], BeforeValidator(lambda _: frozenset())] = frozenset()
    """The IDs of the meeting's other livestreams that are LIVE in the same answer; set by `beside`, never parsed."""

    def beside(self, livestreams: Iterable["Livestream"]) -> "Livestream":
        """Return the livestream with the others of its meeting in `also_live`."""
        others = {each.id for each in livestreams if each.id and each.id != self.id and each.status is Status.LIVE}
        return self.model_copy(update={"also_live": frozenset(others)})

    @property
    def status(self) -> Status:
        """The meaning of the raw status; UNKNOWN if the bot does not know it."""
        return _STATUS_OF.get((self.raw_status or "").strip().upper(), Status.UNKNOWN)

    @property
    def fingerprint(self) -> str:
        """A digest of what both a lookup and the list contain, except the status: `<hash of the content> <updated_at>`.

        The parts are separate because a newer `updated_at` alone need not mean a visible change.
        """
        content = json.dumps([self.id, self.name, self.playback_url])
        updated = self.updated_at.isoformat() if self.updated_at else "-"
        return f"{sha256(content.encode()).hexdigest()[:16]} {updated}"


class Meeting(_Response):
    """A meeting. Its status is not read: it says whether people can join, never whether the meeting is live."""

    id: UUID
    title: Text = None


class Session(_Response):
    """A livestream's session: one period on air."""

    id: Id = None
    err_message: Reason = None
    started_time: Timestamp = None
    stopped_time: Timestamp = None

    def as_of(self, checked_at: datetime) -> "Session":
        """Return the session without impossible times: a start or stop in the future, or a stop before the start."""
        started = self.started_time if self.started_time and self.started_time <= checked_at else None
        stopped = self.stopped_time if self.stopped_time and self.stopped_time <= checked_at else None
        if started is not None and stopped is not None and stopped < started:
            stopped = None
        return self.model_copy(update={"started_time": started, "stopped_time": stopped})


class NotLive(_Response):
    """A meeting that exists but has no active livestream."""

    meeting: Meeting


_BY_ACTIVITY = [Status.LIVE, Status.STARTING, Status.ERRORED, Status.UNKNOWN, Status.NOT_BROADCASTING]


def most_active(livestreams: Iterable[Livestream], now: datetime) -> Livestream:
    """Return the livestream that represents its meeting, independent of the order in which Cloudflare lists them.

    The most active status wins, then the latest creation; one in the future counts as unknown. The other fields only
    make the choice deterministic.
    """
    latest = now + _CLOCK_TOLERANCE

    def rank(livestream: Livestream) -> tuple[int, datetime, str, str, str]:
        activity = -_BY_ACTIVITY.index(livestream.status)
        texts = (livestream.id or "", livestream.playback_url or "", livestream.name or "")
        created_at = livestream.created_at or _LONG_AGO
        return activity, created_at if created_at <= latest else _LONG_AGO, *texts

    return max(livestreams, key=rank)
