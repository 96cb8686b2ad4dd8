"""Livestreams, meetings and sessions, read from what Cloudflare sends."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from bot.domain.observation import Status
from bot.realtimekit.models import Livestream, Meeting, NotLive, Session, redact_ingest_urls

MEETING_ID = "50c8940e-1b97-402a-97d6-2708b7feca41"
STREAM_KEY = "sk-f1e2d3c4b5a6"
INGEST = "rtmps://ingest.example.com:443/live/0a1b2c"


def livestream(**fields: Any) -> Livestream:
    return Livestream.model_validate(fields)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("LIVE", Status.LIVE),
        ("live", Status.LIVE),
        (" Live ", Status.LIVE),
        ("INVOKED", Status.STARTING),
        ("IDLE", Status.NOT_BROADCASTING),
        ("OFFLINE", Status.NOT_BROADCASTING),
        ("ERRORED", Status.ERRORED),
        ("PAUSED", Status.UNKNOWN),
        ("", Status.UNKNOWN),
        (None, Status.UNKNOWN),
        (7, Status.UNKNOWN),
        (["LIVE"], Status.UNKNOWN),
    ],
)
def test_status(word: Any, status: Status) -> None:
    """Each documented word has its meaning, and any other is unknown, never an error."""
    assert livestream(status=word).status is status


def test_raw_status_is_kept() -> None:
    """The word itself is there to be shown."""
    assert livestream(status="PAUSED").raw_status == "PAUSED"


@pytest.mark.parametrize(
    ("sent", "disabled"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("false", False),
        (" True ", True),
        ("yes", None),
        ("", None),
        (None, None),
        (1, None),
        ({}, None),
    ],
)
def test_disabled(sent: Any, disabled: bool | None) -> None:
    """A boolean or its word; anything else is as good as unsaid."""
    assert livestream(disabled=sent).disabled is disabled


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("2026-06-03T10:00:00.000Z", datetime(2026, 6, 3, 10, tzinfo=UTC)),
        ("2026-06-03T10:00:00Z", datetime(2026, 6, 3, 10, tzinfo=UTC)),
        ("2026-06-03T12:00:00+02:00", datetime(2026, 6, 3, 10, tzinfo=UTC)),
        ("2026-06-03T10:00:00", datetime(2026, 6, 3, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("0000-00-00T00:00:00Z", None),
        ("1900-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00.000Z", None),
        ("1970-01-01T01:00:00+01:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("yesterday", None),
        ("", None),
        (1780480800, None),
        (None, None),
    ],
)
def test_times(sent: Any, moment: datetime | None) -> None:
    """ISO 8601, in UTC if it says no zone; one that cannot be read is left out."""
    assert livestream(created_at=sent).created_at == moment


@pytest.mark.parametrize(
    "address",
    [
        "https://customer-abc.cloudflarestream.com/0123456789abcdef0123456789abcdef/manifest/video.m3u8",
        "https://a1b2.eu-west-1.playback.live-video.net/api/video/v1/x.m3u8?token=1",
        "http://127.0.0.1:8000/video.m3u8",
    ],
)
def test_playback_url(address: str) -> None:
    """Web addresses are kept as they are."""
    assert livestream(playback_url=address).playback_url == address


@pytest.mark.parametrize(
    "sent",
    [
        "https://undefined/manifest/video.m3u8",
        "https://null/video.m3u8",
        "javascript:alert(1)",
        "data:text/html,x",
        "rtmps://ingest.example.com/live",
        "//example.com/x.m3u8",
        "https://",
        "https:///video.m3u8",
        "https://[::1/video.m3u8",
        "https://example.com/|label",
        "https://example.com/>x",
        'https://example.com/"x',
        "https://example.com/a b",
        "https://example.com/\u202ex",
        "https://example.com/\nx",
        "https://example.com/" + "x" * 2_000,
        "",
        None,
        7,
    ],
)
def test_no_playback_url(sent: Any) -> None:
    """What is no plain web address does not become a link."""
    assert livestream(playback_url=sent).playback_url is None


@pytest.mark.parametrize(
    "sent",
    ["", "  ", "\n\t", "\u200b", "\ud800", "\0", "null", "undefined", "<nil>", "NaN", None, 7, ["x"]],
)
def test_no_text(sent: Any) -> None:
    """A text without a character to see is none."""
    assert livestream(name=sent).name is None


@pytest.mark.parametrize("sent", ["", "none", "None", "N/A", "-", "null", "\0"])
def test_a_word_for_no_reason_is_no_reason(sent: str) -> None:
    assert Session.model_validate({"err_message": sent}).err_message is None


def test_a_meeting_may_be_called_what_is_no_reason() -> None:
    assert Meeting.model_validate({"id": MEETING_ID, "title": "None"}).title == "None"


def test_the_nil_uuid_is_no_id() -> None:
    nil = "00000000-0000-0000-0000-000000000000"

    assert livestream(id=nil, meeting_id=nil) == livestream()


def test_control_characters_are_dropped_from_every_text() -> None:
    """PostgreSQL does not store a NUL, a terminal obeys an escape sequence, and some turn the text around."""
    sent = "All\0 \x1b[2Jhands\u202e\x9b\x7f,\r\npart\ttwo\u2028now"
    read = "All [2Jhands,  part two now"

    assert livestream(id=sent, name=sent, status=sent, meeting_id=sent) == livestream(
        id=read, name=read, status=read, meeting_id=read
    )
    assert livestream(name=sent).name == read
    assert Meeting.model_validate({"id": MEETING_ID, "title": sent}).title == read
    assert Session.model_validate({"err_message": sent}).err_message == read


def test_an_ingest_address_is_taken_out_whatever_is_hidden_in_it() -> None:
    assert redact_ingest_urls(livestream(name="rtm\0ps://ingest.example.com/live/key").name or "") == "[ingest address]"


@pytest.mark.parametrize(
    "said",
    [
        "rtmps://ingest.example.com:443/live/ KEY-0123456789 failed",
        r"{\"url\": \"rtmps:\/\/ingest.example.com:443\/live\/KEY-0123456789\"}",
        "rtmps%3A%2F%2Fingest.example.com%2Flive%2FKEY-0123456789",
        "rtmps%253a%252f%252fingest.example.com%252flive%252fKEY-0123456789",
        "https://live.example.com/KEY-0123456789/webRTC/publish",
        "srt://live.example.com:778?passphrase=KEY-0123456789&streamid=x",
        "stream_key=KEY-0123456789 is invalid",
        'streamKey": "KEY-0123456789"',
    ],
)
def test_no_ingest_address_in_a_reason(said: str) -> None:
    """However it is written: whoever has it can broadcast."""
    assert "KEY-0123456789" not in (Session.model_validate({"err_message": said}).err_message or "")


@pytest.mark.parametrize("title", ["How to reset a stream key", "https://example.com/webrtc/play", "SRT: a history"])
def test_words_are_no_secret(title: str) -> None:
    assert livestream(name=title).name == title


NOON = datetime(2026, 6, 3, 12, tzinfo=UTC)
BEFORE, AFTER = "2026-06-03T11:00:00Z", "2026-06-03T12:00:01Z"


@pytest.mark.parametrize(
    ("started", "stopped", "known"),
    [
        (BEFORE, None, (True, False)),
        (BEFORE, "2026-06-03T11:30:00Z", (True, True)),
        (BEFORE, "2026-06-03T10:30:00Z", (True, False)),
        (BEFORE, "0001-01-01T00:00:00Z", (True, False)),
        (BEFORE, AFTER, (True, False)),
        (AFTER, None, (False, False)),
        (AFTER, BEFORE, (False, True)),
        ("1970-01-01T00:00:00Z", None, (False, False)),
    ],
)
def test_times_that_cannot_be_true_are_absent(started: str, stopped: str | None, known: tuple[bool, bool]) -> None:
    """A start or a stop to come, and a stop before the start."""
    session = Session.model_validate({"started_time": started, "stopped_time": stopped}).as_of(NOON)

    assert (session.started_time is not None, session.stopped_time is not None) == known


def test_long_text() -> None:
    """A text is cut at a thousand characters."""
    assert livestream(name="x" * 5_000).name == "x" * 1_000


def test_half_characters() -> None:
    """Half a surrogate pair, which JSON can hold and UTF-8 cannot, becomes a question mark."""
    name = Livestream.model_validate(json.loads(r'{"name": "a\ud800b \ud83d\ude00"}')).name

    assert name == "a?b 😀"


@pytest.mark.parametrize("scheme", ["rtmps", "rtmp", "RTMPS", "srt", "rtsp", "whip"])
def test_ingest_address_in_a_text(scheme: str) -> None:
    """A reason may name where the broadcaster sends to, with the key in it: that part is taken out."""
    reason = f"Could not read {scheme}://ingest.example.com:443/live/{STREAM_KEY}?streamid={STREAM_KEY} in time"

    assert Session.model_validate({"err_message": reason}).err_message == "Could not read [ingest address] in time"


def test_secrets_are_not_read() -> None:
    """Neither stream key nor ingest server is in anything that a livestream shows of itself."""
    read = livestream(id="1", status="LIVE", stream_key=STREAM_KEY, ingest_server=INGEST)

    for shown in (repr(read), str(read), read.model_dump_json(), str(read.model_dump()), str(vars(read))):
        assert STREAM_KEY not in shown
        assert INGEST not in shown


@pytest.mark.parametrize("model", [Livestream, Meeting, Session])
@pytest.mark.parametrize("sent", [[STREAM_KEY], STREAM_KEY, {"id": [STREAM_KEY]}, {"id": STREAM_KEY}])
def test_errors_never_quote_their_input(model: type[BaseModel], sent: Any) -> None:
    """A validation error says where, not what."""
    try:
        read = str(model.model_validate(sent).model_fields_set)
    except ValidationError as error:
        read = f"{error} {error!r}"

    assert STREAM_KEY not in read


def test_meeting_without_id() -> None:
    """A meeting that does not say which it is, is none."""
    with pytest.raises(ValidationError):
        Meeting.model_validate({"title": "Weekly sync"})


def test_everything_is_optional() -> None:
    """A livestream and a session may say nothing at all."""
    assert livestream().status is Status.UNKNOWN
    assert Session.model_validate({}).started_time is None


def test_frozen() -> None:
    """An answer is a value."""
    answer = NotLive(meeting=Meeting.model_validate({"id": MEETING_ID, "title": "Weekly sync"}))

    with pytest.raises(ValidationError, match="frozen"):
        answer.meeting.title = "Other"  # type: ignore[misc]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.just({"stream_key": STREAM_KEY}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [*Livestream.model_fields, *Session.model_fields, "status"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_any_fields(fields: dict[str, Any]) -> None:
    """No field, whatever is in it, makes a livestream or a session unreadable, or tells a secret."""
    fields |= {"stream_key": STREAM_KEY, "ingest_server": INGEST}

    read: list[BaseModel] = [Livestream.model_validate(fields), Session.model_validate(fields)]

    for answer in read:
        assert STREAM_KEY not in f"{answer!r} {answer} {answer.model_dump()} {answer.model_dump_json()}"


@settings(deadline=None)
@given(st.text())
def test_any_status(word: str) -> None:
    """Any word has a status."""
    assert livestream(status=word).status in Status


ISO_PARTS = st.sampled_from(
    ["2026", "-06", "-03", "T10", ":00", ":00", ".123", "Z", "+02:00", "-W23", "0000", "٣", "24"]
)


@settings(deadline=None)
@given(st.text() | st.lists(ISO_PARTS, max_size=9).map("".join) | st.datetimes().map(datetime.isoformat))
def test_any_time(sent: str) -> None:
    """Any text is a moment in UTC, or none."""
    moment = livestream(created_at=sent).created_at

    assert moment is None or moment.tzinfo is UTC


@settings(deadline=None)
@given(
    st.text() | st.text().map("https://".__add__) | st.text(st.characters(max_codepoint=127)).map("http://h".__add__)
)
def test_any_address(sent: str) -> None:
    """What is kept as a web address is one, and cannot break out of a link."""
    address = livestream(playback_url=sent).playback_url

    if address is not None:
        assert urlsplit(address).scheme in ("http", "https")
        assert not set(address) & set(" <>|\n")


@settings(deadline=None)
@given(st.text(st.characters(codec=None, categories=None)))
def test_any_text(sent: str) -> None:
    """Any text can be written as UTF-8 afterwards."""
    redact_ingest_urls(sent).encode()
