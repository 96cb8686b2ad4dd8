"""The wrapping of RealtimeKit's answers."""

import json
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import AuthenticationFailed, BotError, InvalidResponse, RateLimited, RealtimeKitError, ServerError
from bot.realtimekit.responses import MAX_RETRY_AFTER, parse_data, parse_retry_after

NOW = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
STREAM_KEY = "sk-f1e2d3c4b5a6"
INGEST = "rtmps://ingest.example.com:443/live/0a1b2c"
A_MINUTE = 60.0


def refused(code: int, message: str = "refused") -> dict[str, Any]:
    """As the application says it."""
    return {"success": False, "error": {"code": code, "message": message}}


def turned_away(code: int, message: str = "turned away") -> dict[str, Any]:
    """As the gateway says it."""
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


def read(status: int, body: Any, headers: dict[str, str] | None = None) -> Any:
    return parse_data(status, headers or {}, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    ("envelope", "data"),
    [
        ({"success": True, "data": {"id": "1"}}, {"id": "1"}),
        ({"success": True, "data": [{"id": "1"}]}, [{"id": "1"}]),
        ({"success": True, "result": {"id": "1"}}, {"id": "1"}),
        ({"success": True, "data": None, "result": {"id": "1"}}, {"id": "1"}),
        ({"success": True, "result": {"id": "1"}, "errors": [], "messages": []}, {"id": "1"}),
        ({"data": {"id": "1"}}, {"id": "1"}),
    ],
)
def test_what_was_asked_for(status: int, envelope: dict[str, Any], data: Any) -> None:
    """It is under `data`, or under `result`, be it an object or a list."""
    assert read(status, envelope) == data


@pytest.mark.parametrize("nothing", [None, {}, []])
@pytest.mark.parametrize("where", ["data", "result"])
def test_nothing_there(where: str, nothing: Any) -> None:
    """A success with nothing in it says that there is none."""
    assert read(200, {"success": True, where: nothing}) is None


@pytest.mark.parametrize("status", [200, 404])
def test_not_found(status: int) -> None:
    """The application's 404 says that there is none, also where only the envelope has the number."""
    assert read(status, refused(404, "No active livestream found")) is None


@pytest.mark.parametrize("odd", ["", 0, False, "text", 7])
def test_what_is_no_payload_is_not_taken_for_nothing(odd: Any) -> None:
    """Only null, {} and [] are known ways to say none; anything else odd is left to the parser to refuse."""
    assert read(200, {"success": True, "data": odd}) == odd


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, turned_away(10000, "Authentication error"), AuthenticationFailed),
        (403, turned_away(10000), AuthenticationFailed),
        (401, refused(401), AuthenticationFailed),
        (403, b"<html>Forbidden</html>", InvalidResponse),
        (200, turned_away(10000), AuthenticationFailed),
        (200, turned_away(7003), AuthenticationFailed),
        (404, turned_away(7003, "Could not route to ..."), AuthenticationFailed),
        (404, turned_away(7000, "No route for that URI"), AuthenticationFailed),
        (400, turned_away(6003, "Invalid request headers"), AuthenticationFailed),
        (200, refused(403), AuthenticationFailed),
        (429, turned_away(971), RateLimited),
        (429, refused(429), RateLimited),
        (429, b"<html>Too many requests</html>", RateLimited),
        (200, refused(429), RateLimited),
        (500, refused(500), ServerError),
        (502, b"<html>Bad gateway</html>", ServerError),
        (503, b"", ServerError),
        (500, turned_away(10000), ServerError),
        (503, {"success": True, "data": {"id": "1"}}, ServerError),
        (200, refused(500), ServerError),
        (200, {"success": False}, InvalidResponse),
        (200, {"success": False, "error": "broken"}, InvalidResponse),
        (200, {"success": False, "errors": "broken"}, InvalidResponse),
        (200, {"success": False, "errors": ["broken"]}, AuthenticationFailed),
        (200, {"success": "yes", "data": {"id": "1"}}, InvalidResponse),
        (200, {"success": True}, InvalidResponse),
        (200, [], InvalidResponse),
        (200, b"<html>All is well</html>", InvalidResponse),
        (200, b"", InvalidResponse),
        (200, b'{"success": true, "data": {"id', InvalidResponse),
        (200, b"\xff\xfe\x00", InvalidResponse),
        (200, b"[" * 100_000, InvalidResponse),
        (200, b'{"success": true, "data": ' + b"9" * 5_000 + b"}", InvalidResponse),
        (204, b"", InvalidResponse),
        (301, {"success": True, "data": {"id": "1"}}, InvalidResponse),
        (400, refused(400, "meeting_id must be a valid UUID"), InvalidResponse),
        (404, b"<html>Not found</html>", InvalidResponse),
        (404, {}, InvalidResponse),
        (405, turned_away(7001), InvalidResponse),
        (418, refused(404), InvalidResponse),
    ],
)
def test_what_says_nothing_about_the_meeting(status: int, body: Any, error: type[BotError]) -> None:
    """Each way of not answering has its own error, and none of them reads as "there is none"."""
    with pytest.raises(RealtimeKitError) as raised:
        read(status, body)

    assert type(raised.value) is error


def test_detail_for_the_log() -> None:
    """Status, code and message are kept for the log, on one line of bounded length."""
    with pytest.raises(AuthenticationFailed) as raised:
        read(403, turned_away(10000, "Authentication\n\x1b[31merror" + "!" * 1_000))

    assert raised.value.detail.startswith("HTTP 403, 10000, Authentication  [31merror!!!")
    assert raised.value.detail.isprintable()
    assert len(raised.value.detail) == 200


@pytest.mark.parametrize("secret", ["sk/f1e2 d3c4+b5a6", "live.ingest.example.com"])
@pytest.mark.parametrize("field", ["stream_key", "streamKey", "ingest_server"])
def test_the_livestreams_own_secrets_are_in_no_other_text(field: str, secret: str) -> None:
    """Neither plain, nor percent-encoded, nor JSON-escaped, wherever in the answer they are said."""
    forms = [secret, quote(secret, safe=""), quote(secret, safe="").lower(), secret.replace("/", r"\/"), f"{secret}\0x"]
    playback = "https://live.ingest.example.com/video.m3u8"
    livestream = {field: secret, "name": f"with {secret}", "playback_url": playback}
    data = {"livestream": livestream, "session": [{"err_message": f"no ({form})!"} for form in forms]}

    answer = read(200, {"success": True, "data": data})

    assert answer["livestream"]["name"] == "with [stream key]"
    assert answer["livestream"]["playback_url"] == playback
    assert [each["err_message"] for each in answer["session"][:4]] == ["no ([stream key])!"] * 4
    assert secret not in answer["session"][4]["err_message"]


@pytest.mark.parametrize("place", ["code", "message"])
def test_detail_never_quotes_objects(place: str) -> None:
    """Where a text belongs, an object could hold anything, secrets too."""
    error = {"code": 500, "message": "broken", place: {"stream_key": STREAM_KEY}}

    with pytest.raises(RealtimeKitError) as raised:
        read(500, {"success": False, "error": error})

    assert STREAM_KEY not in raised.value.detail


def test_detail_never_quotes_an_ingest_address() -> None:
    """A message may name where the broadcaster sends to; the log does not."""
    with pytest.raises(ServerError) as raised:
        read(500, refused(500, f"cannot pull {INGEST}/{STREAM_KEY} now"))

    assert raised.value.detail == "HTTP 500, 500, cannot pull [ingest address] now"


def test_a_rate_limit_says_how_long() -> None:
    """The error carries the seconds of `retry-after`."""
    with pytest.raises(RateLimited) as raised:
        read(429, b"", {"retry-after": "7"})

    assert raised.value.retry_after == 7


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("300", 300),
        ("999999", MAX_RETRY_AFTER),
        ("9" * 5_000, MAX_RETRY_AFTER),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=400), usegmt=True), MAX_RETRY_AFTER),
        ("Wed, 03 Jun 2026 10:00:30 -0000", 30),
        ("Wed, 03 Jun 2026 12:00:30 +0200", 30),
        ("", A_MINUTE),
        ("-5", A_MINUTE),
        ("1.5", A_MINUTE),
        ("²", A_MINUTE),
        ("soon", A_MINUTE),
    ],
)
def test_seconds_to_wait(value: str, seconds: float) -> None:
    """A number of seconds or an HTTP date, at most five minutes; a minute where it is neither."""
    assert parse_retry_after({"retry-after": value}, NOW) == seconds


def test_seconds_to_wait_unsaid() -> None:
    """Without the header it is a minute."""
    assert parse_retry_after({}) == A_MINUTE


def test_seconds_to_wait_by_the_clock() -> None:
    """A date is compared with the present."""
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=200), usegmt=True)

    assert 100 < parse_retry_after({"retry-after": until}) <= 200


DATE_WORDS = st.sampled_from(
    ["Wed,", "3", "31", "Jun", "2026", "0000", "99999", "10:00:00", "24:60:61", "-0000", "+9999", "GMT", "-", "٣"]
)


@settings(deadline=None)
@given(st.text() | st.lists(DATE_WORDS, max_size=7).map(" ".join) | st.datetimes().map(format_datetime))
def test_any_wait(value: str) -> None:
    """Whatever the header says, the wait is between nothing and five minutes."""
    assert 0 <= parse_retry_after({"retry-after": value}, NOW) <= MAX_RETRY_AFTER


SECRETS = st.fixed_dictionaries({"stream_key": st.just(STREAM_KEY)}, optional={"ingest_server": st.just(INGEST)})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | SECRETS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ERROR = st.fixed_dictionaries(
    {}, optional={"code": st.sampled_from([404, 429, 500, 7003, 10000]) | JSON, "message": JSON}
)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "success": st.booleans() | JSON,
        "data": JSON,
        "result": JSON,
        "error": ERROR | JSON,
        "errors": st.lists(ERROR, max_size=2) | JSON,
    },
)


@settings(deadline=None)
@given(
    status=st.integers(100, 999) | st.sampled_from([200, 404, 429, 500]),
    body=st.binary() | (ENVELOPES | JSON).map(lambda value: json.dumps(value).encode()),
    retry_after=st.text(max_size=5),
)
def test_any_answer(status: int, body: bytes, retry_after: str) -> None:
    """Whatever is answered, it is a payload, or nothing, or an error of ours that tells no secret."""
    try:
        parse_data(status, {"retry-after": retry_after}, body)
    except RealtimeKitError as error:
        told = f"{error!r} {error} {error.detail} {error.sentence} {''.join(traceback.format_exception(error))}"
        assert STREAM_KEY not in told
        assert INGEST not in told
