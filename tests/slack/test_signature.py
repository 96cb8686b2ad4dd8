"""Which requests are verified as Slack's."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.signature import RequestVerifier, SignatureError

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1_780_480_800
BODY = b"command=%2Flivestream&text=help"


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = float(NOW)

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
    return {"x-slack-request-timestamp": timestamp, "x-slack-signature": f"v0={digest}"}


def reason(signatures: RequestVerifier, headers: dict[str, str], body: bytes = BODY) -> str:
    """Return why a request is rejected."""
    with pytest.raises(SignatureError) as raised:
        signatures.verify(headers, body)
    assert str(raised.value) == raised.value.reason
    return raised.value.reason


def test_slacks_own_example() -> None:
    """The example of Slack's documentation, "Verifying requests from Slack", is verified."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    headers = {"x-slack-request-timestamp": "1531420618", "x-slack-signature": signature}

    believed = RequestVerifier(SECRET, lambda: 1531420618.5).verify(headers, body)

    assert believed == signature


@pytest.mark.parametrize("age", [-300, -1, 0, 1, 300])
def test_timestamp_may_differ_by_five_minutes(signatures: RequestVerifier, age: int) -> None:
    """Clocks differ."""
    headers = signed(timestamp=str(NOW - age))

    assert signatures.verify(headers, BODY) == headers["x-slack-signature"]


@pytest.mark.parametrize("timestamp", [str(NOW - 301), str(NOW + 301), "0", "999999999999"])
def test_old_or_future_timestamp_is_stale(signatures: RequestVerifier, timestamp: str) -> None:
    """Even if the signature is valid."""
    assert reason(signatures, signed(timestamp=timestamp)) == "stale"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (signed(secret="another secret"), BODY),
        (signed(), BODY + b"&text=more"),
        (signed(), b""),
        (signed() | {"x-slack-request-timestamp": str(NOW + 1)}, BODY),
        (signed() | {"x-slack-signature": "v0=" + "0" * 64}, BODY),
        (signed() | {"x-slack-signature": "v0=" + signed()["x-slack-signature"][3:].upper()}, BODY),
    ],
)
def test_wrong_signature_is_forged(signatures: RequestVerifier, headers: dict[str, str], body: bytes) -> None:
    """Another secret signed the request, or someone changed it afterwards."""
    assert reason(signatures, headers, body) == "forged"


@pytest.mark.parametrize(
    "timestamp",
    ["", " ", "now", "1.5", "-1", "+1", "1e9", " 1780480800", "1780480800\n", "١٧٨٠٤٨٠٨٠٠", "²", "9" * 13, "9" * 5_000],
)
def test_timestamp_that_is_no_number_is_malformed(signatures: RequestVerifier, timestamp: str) -> None:
    assert reason(signatures, signed() | {"x-slack-request-timestamp": timestamp}) == "malformed"


@pytest.mark.parametrize(
    "signature",
    ["", "v0=", "v0=é" + "0" * 63, "v1=" + "0" * 64, "0" * 67, "v0=" + "0" * 65, "v0=" + "0" * 63, "é" * 67],
)
def test_signature_of_another_form_is_malformed(signatures: RequestVerifier, signature: str) -> None:
    assert reason(signatures, signed() | {"x-slack-signature": signature}) == "malformed"


@pytest.mark.parametrize("missing", ["x-slack-request-timestamp", "x-slack-signature"])
def test_missing_header_fails_verification(signatures: RequestVerifier, missing: str) -> None:
    headers = signed()
    del headers[missing]

    assert reason(signatures, headers) == "malformed"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"text=\xc3", b"\x80" * 100])
def test_body_that_is_no_text(signatures: RequestVerifier, body: bytes) -> None:
    """Bytes that are not UTF-8 are nothing that Slack sends, even with a signature of the right secret."""
    assert reason(signatures, signed(body), body) == "malformed"


@given(st.text(), st.text(), st.binary())
def test_any_unsigned_request_fails_verification(timestamp: str, signature: str, body: bytes) -> None:
    """It raises no other error."""
    headers = {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature}

    assert reason(RequestVerifier(SECRET, Clock()), headers, body) in ("malformed", "stale", "forged")


def test_replayed_request_fails_verification(signatures: RequestVerifier) -> None:
    signatures.verify(signed(), BODY)

    assert reason(signatures, signed()) == "replayed"


@pytest.mark.parametrize("ahead", [-300, 0, 300])
def test_replay_is_detected_while_the_timestamp_is_fresh(signatures: RequestVerifier, clock: Clock, ahead: int) -> None:
    headers = signed(timestamp=str(NOW + ahead))
    signatures.verify(headers, BODY)

    for clock.time in (NOW + ahead + 299.9, NOW + ahead + 300.0):
        assert reason(signatures, headers) == "replayed"
    clock.time += 0.1
    assert reason(signatures, headers) == "stale"


def test_same_text_twice(signatures: RequestVerifier) -> None:
    """Two requests that say the same at another second are two."""
    signatures.verify(signed(), BODY)

    assert signatures.verify(signed(timestamp=str(NOW + 1)), BODY)


def test_allowed_replay_passes_verification(signatures: RequestVerifier) -> None:
    """Slack sends a request again that could not be handled."""
    signature = signatures.verify(signed(), BODY)
    signatures.allow_replay(signature)

    assert signatures.verify(signed(), BODY) == signature
    assert reason(signatures, signed()) == "replayed"


def test_forget_the_unknown(signatures: RequestVerifier) -> None:
    """Allowing the replay of an unknown signature changes nothing."""
    signatures.allow_replay("v0=" + "0" * 64)

    assert signatures.verify(signed(), BODY)


def test_strangers_fill_no_memory(signatures: RequestVerifier, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of signatures is bounded, and only verified requests are in it."""
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
