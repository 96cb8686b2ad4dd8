"""Which requests are verified as Slack's."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.signature import RequestVerifier, SignatureError

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1_780_480_800
TIMESTAMP, SIGNATURE = "x-slack-request-timestamp", "x-slack-signature"
BODY = b"command=%2Flivestream&text=help"


class Clock:
    """A clock that is moved by hand."""

    time = float(NOW)

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def signatures(clock: Clock) -> RequestVerifier:
    return RequestVerifier(SECRET, clock)


def signed(body: bytes = BODY, timestamp: str = str(NOW), secret: str = SECRET) -> dict[str, str]:
    """Return the headers as Slack documents them, calculated without slack_sdk."""
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {TIMESTAMP: timestamp, SIGNATURE: f"v0={digest}"}


def reason(signatures: RequestVerifier, headers: dict[str, str], body: bytes = BODY) -> str:
    """Return why a request is rejected."""
    with pytest.raises(SignatureError) as raised:
        signatures.verify(headers, body)
    assert str(raised.value) == raised.value.reason
    return raised.value.reason


def test_example_of_slacks_documentation_is_believed() -> None:
    """Source: "Verifying requests from Slack"."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    headers = {TIMESTAMP: "1531420618", SIGNATURE: signature}

    believed = RequestVerifier(SECRET, lambda: 1531420618.5).verify(headers, body)

    assert believed == signature


@pytest.mark.parametrize("age", [-300, -1, 0, 1, 300])
def test_timestamp_may_differ_by_five_minutes(signatures: RequestVerifier, age: int) -> None:
    headers = signed(timestamp=str(NOW - age))

    assert signatures.verify(headers, BODY) == headers[SIGNATURE]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (signed(secret="another secret"), BODY),
        (signed(), BODY + b"&text=more"),
        (signed(), b""),
        (signed() | {TIMESTAMP: str(NOW + 1)}, BODY),
        (signed() | {SIGNATURE: "v0=" + "0" * 64}, BODY),
        (signed() | {SIGNATURE: "v0=" + signed()[SIGNATURE][3:].upper()}, BODY),
    ],
)
def test_wrong_signature_is_forged(signatures: RequestVerifier, headers: dict[str, str], body: bytes) -> None:
    """Another secret signed the request, or someone changed it afterwards."""
    assert reason(signatures, headers, body) == "forged"


@pytest.mark.parametrize("timestamp", [str(NOW - 301), str(NOW + 301), "0", "999999999999"])
def test_old_or_future_timestamp_is_stale_even_if_signed(signatures: RequestVerifier, timestamp: str) -> None:
    assert reason(signatures, signed(timestamp=timestamp)) == "stale"


@pytest.mark.parametrize(
    "headers",
    [
        *(signed() | {TIMESTAMP: number} for number in ("", " ", "now", "1.5", "-1", "+1", "1e9", " 1780480800")),
        *(signed() | {TIMESTAMP: number} for number in ("1780480800\n", "١٧٨٠٤٨٠٨٠٠", "²", "9" * 13, "9" * 5_000)),
        *(signed() | {SIGNATURE: f"v0={digest}"} for digest in ("", "é" + "0" * 63, "0" * 65, "0" * 63)),
        *(signed() | {SIGNATURE: signature} for signature in ("", "v1=" + "0" * 64, "0" * 67, "é" * 67)),
        {TIMESTAMP: signed()[TIMESTAMP]},
        {SIGNATURE: signed()[SIGNATURE]},
    ],
)
def test_header_of_another_form_is_malformed(signatures: RequestVerifier, headers: dict[str, str]) -> None:
    assert reason(signatures, headers) == "malformed"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"text=\xc3", b"\x80" * 100])
def test_body_that_is_not_text_is_malformed_even_if_signed(signatures: RequestVerifier, body: bytes) -> None:
    """Slack sends no bytes that are not UTF-8."""
    assert reason(signatures, signed(body), body) == "malformed"


@given(st.text(), st.text(), st.binary())
def test_any_unsigned_request_fails_verification(timestamp: str, signature: str, body: bytes) -> None:
    """It raises no other error."""
    headers = {TIMESTAMP: timestamp, SIGNATURE: signature}

    assert reason(RequestVerifier(SECRET, Clock()), headers, body) in ("malformed", "stale", "forged")


@pytest.mark.parametrize("ahead", [-300, 0, 300])
def test_replay_is_detected_while_the_timestamp_is_fresh(signatures: RequestVerifier, clock: Clock, ahead: int) -> None:
    headers = signed(timestamp=str(NOW + ahead))
    signatures.verify(headers, BODY)

    for clock.time in (NOW + ahead + 299.9, NOW + ahead + 300.0):
        assert reason(signatures, headers) == "replayed"
    clock.time += 0.1
    assert reason(signatures, headers) == "stale"


def test_same_text_at_another_second_is_another_request(signatures: RequestVerifier) -> None:
    signatures.verify(signed(), BODY)

    assert signatures.verify(signed(timestamp=str(NOW + 1)), BODY)


def test_allowed_replay_passes_verification_once(signatures: RequestVerifier) -> None:
    """Slack sends a request again that could not be handled. To allow an unknown one changes nothing."""
    signatures.allow_replay("v0=" + "0" * 64)
    signature = signatures.verify(signed(), BODY)
    signatures.allow_replay(signature)

    assert signatures.verify(signed(), BODY) == signature
    assert reason(signatures, signed()) == "replayed"


def test_cache_of_signatures_is_bounded_and_has_only_verified_requests(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.signature._REPLAY_CACHE_SIZE", 3)
    bounded = RequestVerifier(SECRET, clock)
    bodies = [b"text=%d" % number for number in range(4)]
    for body in bodies[:3]:
        bounded.verify(signed(body), body)
    for number in range(10):
        reason(bounded, signed(b"%d" % number, secret="another secret"), b"%d" % number)

    assert [reason(bounded, signed(body), body) for body in bodies[:3]] == ["replayed"] * 3
    bounded.verify(signed(bodies[3]), bodies[3])
    assert len(bounded._seen) == 3


def test_empty_secret_is_rejected() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        RequestVerifier("")
