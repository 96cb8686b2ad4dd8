"""The envelope of RealtimeKit's responses."""

import json
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
EMPTY: list[Any] = [None, {}, []]


def application_error(code: int, message: str = "rejected") -> dict[str, Any]:
    """Return an error in the application's format."""
    return {"success": False, "error": {"code": code, "message": message}}


def gateway_error(code: int, message: str = "rejected") -> dict[str, Any]:
    """Return an error in the gateway's format."""
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


def read(status: int, body: Any) -> Any:
    return parse_data(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


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
        *(({"success": True, "data": odd}, odd) for odd in ("", 0, False, "text", 7)),
        *(({"success": True, where: empty}, None) for where in ("data", "result") for empty in EMPTY),
    ],
)
def test_payload_is_read_from_data_or_result_and_none_if_empty(
    status: int, envelope: dict[str, Any], data: Any
) -> None:
    assert read(status, envelope) == data


@pytest.mark.parametrize("status", [200, 404])
def test_application_404_is_none(status: int) -> None:
    assert read(status, application_error(404, "No active livestream found")) is None


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, gateway_error(10000, "Authentication error"), AuthenticationFailed),
        (403, gateway_error(10000), AuthenticationFailed),
        (401, application_error(401), AuthenticationFailed),
        (403, b"<html>Forbidden</html>", InvalidResponse),
        (200, gateway_error(10000), AuthenticationFailed),
        (200, gateway_error(7003), AuthenticationFailed),
        (404, gateway_error(7003, "Could not route to ..."), AuthenticationFailed),
        (404, gateway_error(7000, "No route for that URI"), AuthenticationFailed),
        (400, gateway_error(6003, "Invalid request headers"), AuthenticationFailed),
        (200, application_error(403), AuthenticationFailed),
        (429, gateway_error(971), RateLimited),
        (429, application_error(429), RateLimited),
        (429, b"<html>Too many requests</html>", RateLimited),
        (200, application_error(429), RateLimited),
        (500, application_error(500), ServerError),
        (502, b"<html>Bad gateway</html>", ServerError),
        (503, b"", ServerError),
        (500, gateway_error(10000), ServerError),
        (503, {"success": True, "data": {"id": "1"}}, ServerError),
        (200, application_error(500), ServerError),
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
        (400, application_error(400, "meeting_id must be a valid UUID"), InvalidResponse),
        (404, b"<html>Not found</html>", InvalidResponse),
        (404, {}, InvalidResponse),
        (405, gateway_error(7001), InvalidResponse),
        (418, application_error(404), InvalidResponse),
    ],
)
def test_each_failure_raises_its_own_error(status: int, body: Any, error: type[BotError]) -> None:
    """None of them may mean that there is no livestream."""
    with pytest.raises(RealtimeKitError) as raised:
        read(status, body)

    assert type(raised.value) is error


def test_error_detail_is_one_bounded_line_of_status_code_and_message() -> None:
    with pytest.raises(AuthenticationFailed) as raised:
        read(403, gateway_error(10000, "Authentication\n\x1b[31merror" + "!" * 1_000))

    assert raised.value.detail.startswith("HTTP 403, 10000, Authentication  [31merror!!!")
    assert raised.value.detail.isprintable()
    assert len(raised.value.detail) == 200


@pytest.mark.parametrize("secret", ["sk/f1e2 d3c4+b5a6", "live.ingest.example.com"])
@pytest.mark.parametrize("field", ["stream_key", "streamKey", "ingest_server"])
def test_a_livestreams_secrets_are_redacted_in_other_texts(field: str, secret: str) -> None:
    """Plain, percent-encoded or JSON-escaped, anywhere in the response."""
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
def test_error_detail_never_quotes_objects(place: str) -> None:
    error = {"code": 500, "message": "broken", place: {"stream_key": STREAM_KEY}}

    with pytest.raises(RealtimeKitError) as raised:
        read(500, {"success": False, "error": error})

    assert STREAM_KEY not in raised.value.detail


def test_error_detail_redacts_ingest_urls() -> None:
    with pytest.raises(ServerError) as raised:
        read(500, application_error(500, f"cannot pull {INGEST}/{STREAM_KEY} now"))

    assert raised.value.detail == "HTTP 500, 500, cannot pull [ingest address] now"


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
def test_retry_after_is_seconds_or_a_date_capped_at_five_minutes(value: str, seconds: float) -> None:
    assert parse_retry_after({"retry-after": value}, NOW) == seconds


def test_retry_after_date_is_compared_with_the_current_time() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=200), usegmt=True)

    assert 100 < parse_retry_after({"retry-after": until}) <= 200


DATE_WORDS = st.sampled_from(
    ["Wed,", "3", "31", "Jun", "2026", "0000", "99999", "10:00:00", "24:60:61", "-0000", "+9999", "GMT", "-", "٣"]
)


@settings(deadline=None)
@given(st.text() | st.lists(DATE_WORDS, max_size=7).map(" ".join) | st.datetimes().map(format_datetime))
def test_any_retry_after_is_between_zero_and_five_minutes(value: str) -> None:
    assert 0 <= parse_retry_after({"retry-after": value}, NOW) <= MAX_RETRY_AFTER
