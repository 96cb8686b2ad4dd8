"""Webhook signatures, and the events parsed from webhooks."""

import asyncio
import base64
import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA1
from hypothesis import given
from hypothesis import strategies as st

from bot.realtimekit.webhook_events import (
    InvalidPayload,
    InvalidSignature,
    PublicKeyUnavailable,
    WebhookEvent,
    WebhookVerifier,
    open_key_http,
    parse_event,
)
from bot.uvicorn_server import listen, serving
from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit as Cloudflare
from tests.realtimekit.conftest import Timer
from tests.realtimekit.keys import (
    URL,
    KeyServer,
    key_response,
    private_key,
    public_pem,
    signature_headers,
    status_update,
)
from tests.strategies import json_values

MEETING = UUID("bbb8940e-1b97-402a-97d6-2708b7feca41")
BODY = status_update()


@pytest.fixture
def server() -> KeyServer:
    return KeyServer()


@pytest.fixture
def key(server: KeyServer, timer: Timer) -> WebhookVerifier:
    return WebhookVerifier(server.http, timer=timer)


# Signatures


async def test_valid_signatures_are_accepted_with_one_key_request(key: WebhookVerifier, server: KeyServer) -> None:
    await key.fetch()
    for _ in range(3):
        await key.verify(BODY, signature_headers(BODY))
    await key.fetch()

    assert server.requests == 1


UNSIGNED = [{}, {"rtk-signature": "no base64!"}, {"rtk-signature": "é"}]


@pytest.mark.parametrize(
    "headers",
    [
        *UNSIGNED,
        {"rtk-signature": ""},
        {"rtk-signature": base64.b64encode(b"short").decode()},
        {"rtk-signature": base64.b64encode(b"x" * 256).decode()},
        {"rtk-signature": base64.b64encode(b"x" * 100_000).decode()},
        signature_headers(BODY, "other"),
        signature_headers(BODY + b" "),
        signature_headers(json.dumps(json.loads(BODY), indent=1).encode()),
        {"rtk-signature": base64.b64encode(private_key("first").sign(BODY, padding.PKCS1v15(), SHA1())).decode()},
    ],
)
async def test_invalid_signature_is_rejected_without_a_key_request_if_it_is_none(
    key: WebhookVerifier, server: KeyServer, headers: dict[str, str]
) -> None:
    with pytest.raises(InvalidSignature):
        await key.verify(BODY, headers)

    assert headers not in UNSIGNED or server.requests == 0


async def test_rotated_key_is_accepted_at_once_and_the_old_one_rejected(
    key: WebhookVerifier, server: KeyServer, timer: Timer
) -> None:
    await key.verify(BODY, signature_headers(BODY))
    server.key = "second"
    timer.now += 60

    await key.verify(BODY, signature_headers(BODY, "second"))

    assert server.requests == 2
    with pytest.raises(InvalidSignature):
        await key.verify(BODY, signature_headers(BODY, "first"))


async def test_forged_webhooks_request_the_key_once_a_minute(
    key: WebhookVerifier, server: KeyServer, timer: Timer
) -> None:
    forged, genuine = signature_headers(BODY, "other"), signature_headers(BODY)
    for _ in range(120):
        timer.now += 1
        for _ in range(2):
            with pytest.raises(InvalidSignature):
                await key.verify(BODY, forged)
        await key.verify(BODY, genuine)

    assert server.requests == 2


async def test_concurrent_webhooks_share_one_key_request(key: WebhookVerifier, server: KeyServer) -> None:
    server.hold = asyncio.Event()
    headers = signature_headers(BODY)
    waiting = [asyncio.create_task(key.verify(BODY, headers)) for _ in range(50)]
    await asyncio.sleep(0)
    server.hold.set()

    await asyncio.gather(*waiting)

    assert server.requests == 1


# Without a key

UNREADABLE: dict[str, Any] = {
    "an error": lambda: httpx.Response(500),
    "not found": lambda: httpx.Response(404, json={"success": False, "error": {"code": 404, "message": "no"}}),
    "a page": lambda: httpx.Response(200, text="<html>"),
    "a redirect": lambda: httpx.Response(302, headers={"location": URL}),
    "a list": lambda: httpx.Response(200, json={"success": True, "data": ["key"]}),
    "at the top": lambda: httpx.Response(200, json={"publicKey": public_pem(private_key("first"))}),
    "no text": lambda: key_response(1),
    "no key": lambda: key_response("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
    "half of a character": lambda: httpx.Response(200, content=b'{"success": true, "data": {"publicKey": "\\ud800"}}'),
    "another kind": lambda: key_response(public_pem(ec.generate_private_key(ec.SECP256R1()))),
    "too short": lambda: key_response(public_pem(private_key("short", 1024))),
    "too much": lambda: httpx.Response(200, content=b" " * (5 * 1024 * 1024)),
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE)
async def test_unreadable_key_response_makes_the_key_unavailable(
    key: WebhookVerifier, server: KeyServer, answer: Any
) -> None:
    """The error must not call an honest sender a forger."""
    server.answer = answer

    with pytest.raises(PublicKeyUnavailable) as raised:
        await key.verify(BODY, signature_headers(BODY))

    assert str(raised.value)
    assert "BEGIN" not in str(raised.value)


async def test_refused_connection_makes_the_key_unavailable() -> None:
    async with open_key_http("http://127.0.0.1:1/key") as http:
        with pytest.raises(PublicKeyUnavailable, match="for http://127"):
            await WebhookVerifier(http).fetch()


async def test_key_request_times_out(server: KeyServer) -> None:
    server.hold = asyncio.Event()

    with pytest.raises(PublicKeyUnavailable, match=r"no answer within 0\.01 s"):
        await WebhookVerifier(server.http, key_seconds=0.01).fetch()


async def test_failed_key_request_is_retried_after_five_seconds(
    key: WebhookVerifier, server: KeyServer, timer: Timer
) -> None:
    server.answer = UNREADABLE["an error"]
    for _ in range(100):
        with pytest.raises(PublicKeyUnavailable):
            await key.verify(BODY, signature_headers(BODY))
    requests = server.requests
    server.answer = None
    timer.now += 5

    await key.verify(BODY, signature_headers(BODY))

    assert requests == 1


async def test_known_key_stays_valid_while_a_newer_one_is_unavailable(
    key: WebhookVerifier, server: KeyServer, timer: Timer
) -> None:
    await key.verify(BODY, signature_headers(BODY))
    server.answer = UNREADABLE["an error"]
    timer.now += 60
    for _ in range(2):
        with pytest.raises(PublicKeyUnavailable):
            await key.verify(BODY, signature_headers(BODY, "second"))

    await key.verify(BODY, signature_headers(BODY))

    assert server.requests == 2


async def test_key_request_carries_no_token() -> None:
    cloudflare = Cloudflare(Clock())
    requests: list[list[bytes]] = []

    async def recording(scope: Any, receive: Any, send: Any) -> None:
        requests.append([name for name, _ in scope["headers"]])
        await cloudflare.asgi(scope, receive, send)

    async with (
        serving(recording, listen(), drain_seconds=1) as url,
        open_key_http(f"{url}/.well-known/webhooks.json") as http,
    ):
        await WebhookVerifier(http).fetch()

    [headers] = requests
    assert b"host" in headers
    assert b"authorization" not in headers


# Events


@pytest.mark.parametrize("event", ["livestreaming.statusUpdate", "meeting.started", "meeting.ended"])
def test_livestream_event_names_its_meeting(event: str) -> None:
    assert parse_event(status_update(event=event)) == WebhookEvent(event, MEETING)


@pytest.mark.parametrize("event", ["recording.statusUpdate", "meeting.participantJoined", "", None, ["x"], {"a": 1}])
def test_other_event_names_no_meeting(event: Any) -> None:
    assert parse_event(status_update(event=event)) == WebhookEvent("other", None)


ODD: list[Any] = [None, "x", [], {}, 1]


@pytest.mark.parametrize("meeting", [*ODD, *({"id": odd} for odd in ["", *ODD])])
def test_event_without_a_valid_meeting_has_no_meeting_id(meeting: Any) -> None:
    assert parse_event(status_update(meeting=meeting)).meeting_id is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"text"', b"[" * 100_000, b"9" * 10_000])
def test_body_that_is_no_json_object_is_rejected(body: bytes) -> None:
    with pytest.raises(InvalidPayload):
        parse_event(body)


JSON = json_values()
MEETING_JSON = JSON | st.fixed_dictionaries({"id": JSON | st.just(str(MEETING))})
EVENTS = st.fixed_dictionaries({}, optional={"event": st.just("meeting.ended") | JSON, "meeting": MEETING_JSON})


@given(st.binary() | (EVENTS | JSON).map(lambda value: json.dumps(value).encode()))
def test_any_body_is_an_event_or_an_invalid_payload(body: bytes) -> None:
    try:
        event = parse_event(body)
    except InvalidPayload:
        return
    assert isinstance(event, WebhookEvent)


def test_event_contains_no_stream_key() -> None:
    assert b"stream-key" in BODY
    assert "stream-key" not in repr(parse_event(BODY))
