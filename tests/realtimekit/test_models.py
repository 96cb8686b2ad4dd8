"""Livestreams, meetings and sessions parsed from Cloudflare's JSON."""

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
from tests.strategies import json_values

MEETING_ID = "50c8940e-1b97-402a-97d6-2708b7feca41"
STREAM_KEY = "sk-f1e2d3c4b5a6"
INGEST = "rtmps://ingest.example.com:443/live/0a1b2c"


def livestream(**fields: Any) -> Livestream:
    return Livestream.model_validate(fields)


@pytest.mark.parametrize(
    ("raw_status", "status"),
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
def test_every_documented_status_is_known_and_any_other_is_unknown(raw_status: Any, status: Status) -> None:
    assert livestream(status=raw_status).status is status


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
def test_disabled_is_read_from_a_boolean_or_its_word(sent: Any, disabled: bool | None) -> None:
    assert livestream(disabled=sent).disabled is disabled


@pytest.mark.parametrize(
    ("sent", "parsed"),
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
        ("2000-01-01T00:00:00Z", None),
        ("2001-01-01T00:00:00Z", None),
        ("2019-12-31T23:59:59Z", None),
        ("2020-01-01T00:00:00Z", datetime(2020, 1, 1, tzinfo=UTC)),
        ("1970-01-01T01:00:00+01:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("yesterday", None),
        ("", None),
        (1780480800, None),
        (None, None),
    ],
)
def test_time_is_parsed_as_utc_and_dropped_if_implausible(sent: Any, parsed: datetime | None) -> None:
    assert livestream(created_at=sent).created_at == parsed


@pytest.mark.parametrize(
    "address",
    [
        "https://customer-abc.cloudflarestream.com/0123456789abcdef0123456789abcdef/manifest/video.m3u8",
        "https://a1b2.eu-west-1.playback.live-video.net/api/video/v1/x.m3u8?token=1",
        "http://127.0.0.1:8000/video.m3u8",
    ],
)
def test_web_playback_url_is_kept(address: str) -> None:
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
def test_unsafe_playback_url_is_dropped(sent: Any) -> None:
    assert livestream(playback_url=sent).playback_url is None


@pytest.mark.parametrize(
    "sent",
    ["", "  ", "\n\t", "\u200b", "\ud800", "\0", "null", "undefined", "<nil>", "NaN", None, 7, ["x"]],
)
def test_text_without_a_visible_character_is_dropped(sent: Any) -> None:
    assert livestream(name=sent).name is None


@pytest.mark.parametrize("sent", ["", "none", "None", "N/A", "-", "null", "\0"])
def test_placeholder_error_message_is_dropped(sent: str) -> None:
    assert Session.model_validate({"err_message": sent}).err_message is None


def test_placeholder_word_is_a_valid_meeting_title() -> None:
    assert Meeting.model_validate({"id": MEETING_ID, "title": "None"}).title == "None"


def test_nil_uuid_is_dropped() -> None:
    nil = "00000000-0000-0000-0000-000000000000"

    assert livestream(id=nil, meeting_id=nil) == livestream()


def test_control_characters_are_dropped_from_every_text() -> None:
    """PostgreSQL does not store a NUL, a terminal obeys an escape sequence, and some characters reverse the text."""
    sent = "All\0 \x1b[2Jhands\u202e\x9b\x7f,\r\npart\ttwo\u2028now"
    read = "All [2Jhands,  part two now"

    assert livestream(id=sent, name=sent, status=sent, meeting_id=sent) == livestream(
        id=read, name=read, status=read, meeting_id=read
    )
    assert livestream(name=sent).name == read
    assert Meeting.model_validate({"id": MEETING_ID, "title": sent}).title == read
    assert Session.model_validate({"err_message": sent}).err_message == read


def test_ingest_url_with_a_hidden_character_is_redacted() -> None:
    assert redact_ingest_urls(livestream(name="rtm\0ps://ingest.example.com/live/key").name or "") == "[ingest address]"


@pytest.mark.parametrize(
    "message",
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
def test_stream_key_in_an_error_message_is_redacted(message: str) -> None:
    """Anyone who has the key can broadcast."""
    assert "KEY-0123456789" not in (Session.model_validate({"err_message": message}).err_message or "")


@pytest.mark.parametrize("title", ["How to reset a stream key", "https://example.com/webrtc/play", "SRT: a history"])
def test_harmless_text_is_not_redacted(title: str) -> None:
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
def test_future_and_reversed_session_times_are_dropped(
    started: str, stopped: str | None, known: tuple[bool, bool]
) -> None:
    session = Session.model_validate({"started_time": started, "stopped_time": stopped}).as_of(NOON)

    assert (session.started_time is not None, session.stopped_time is not None) == known


def test_text_is_truncated_to_1000_characters() -> None:
    assert livestream(name="x" * 5_000).name == "x" * 1_000


def test_lone_surrogate_becomes_a_question_mark() -> None:
    """JSON can hold one, UTF-8 cannot."""
    name = Livestream.model_validate(json.loads(r'{"name": "a\ud800b \ud83d\ude00"}')).name

    assert name == "a?b 😀"


@pytest.mark.parametrize("scheme", ["rtmps", "rtmp", "RTMPS", "srt", "rtsp", "whip"])
def test_ingest_url_in_an_error_message_is_redacted(scheme: str) -> None:
    reason = f"Could not read {scheme}://ingest.example.com:443/live/{STREAM_KEY}?streamid={STREAM_KEY} in time"

    assert Session.model_validate({"err_message": reason}).err_message == "Could not read [ingest address] in time"


def test_livestream_ignores_stream_key_and_ingest_server() -> None:
    read = livestream(id="1", status="LIVE", stream_key=STREAM_KEY, ingest_server=INGEST)

    for shown in (repr(read), str(read), read.model_dump_json(), str(read.model_dump()), str(vars(read))):
        assert STREAM_KEY not in shown
        assert INGEST not in shown


@pytest.mark.parametrize("model", [Livestream, Meeting, Session])
@pytest.mark.parametrize("sent", [[STREAM_KEY], STREAM_KEY, {"id": [STREAM_KEY]}, {"id": STREAM_KEY}])
def test_validation_errors_never_quote_the_input(model: type[BaseModel], sent: Any) -> None:
    try:
        read = str(model.model_validate(sent).model_fields_set)
    except ValidationError as error:
        read = f"{error} {error!r}"

    assert STREAM_KEY not in read


def test_meeting_without_an_id_is_rejected() -> None:
    with pytest.raises(ValidationError):
        Meeting.model_validate({"title": "Weekly sync"})


def test_every_field_of_livestream_and_session_is_optional() -> None:
    assert livestream().status is Status.UNKNOWN
    assert Session.model_validate({}).started_time is None


def test_models_are_immutable() -> None:
    answer = NotLive(meeting=Meeting.model_validate({"id": MEETING_ID, "title": "Weekly sync"}))

    with pytest.raises(ValidationError, match="frozen"):
        answer.meeting.title = "Other"  # type: ignore[misc]


ANYTHING = json_values(st.just({"stream_key": STREAM_KEY}))
FIELDS = [*Livestream.model_fields, *Session.model_fields, "status"]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_any_field_value_is_readable_and_never_a_secret(fields: dict[str, Any]) -> None:
    fields |= {"stream_key": STREAM_KEY, "ingest_server": INGEST}

    read = Livestream.model_validate(fields)

    assert read.status in Status
    for answer in (read, Session.model_validate(fields)):
        assert STREAM_KEY not in f"{answer!r} {answer} {answer.model_dump()} {answer.model_dump_json()}"


ISO_PARTS = st.sampled_from(
    ["2026", "-06", "-03", "T10", ":00", ":00", ".123", "Z", "+02:00", "-W23", "0000", "٣", "24"]
)


@settings(deadline=None)
@given(st.text() | st.lists(ISO_PARTS, max_size=9).map("".join) | st.datetimes().map(datetime.isoformat))
def test_any_time_text_gives_utc_or_none(sent: str) -> None:
    parsed = livestream(created_at=sent).created_at

    assert parsed is None or parsed.tzinfo is UTC


@settings(deadline=None)
@given(
    st.text() | st.text().map("https://".__add__) | st.text(st.characters(max_codepoint=127)).map("http://h".__add__)
)
def test_any_playback_url_kept_is_a_safe_web_url(sent: str) -> None:
    address = livestream(playback_url=sent).playback_url

    if address is not None:
        assert urlsplit(address).scheme in ("http", "https")
        assert not set(address) & set(" <>|\n")


@settings(deadline=None)
@given(st.text(st.characters(codec=None, categories=None)))
def test_any_redacted_text_can_be_encoded(sent: str) -> None:
    redact_ingest_urls(sent).encode()
