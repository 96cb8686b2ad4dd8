"""Webhooks: whom to believe, and what to make of it."""

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
from tests.realtimekit.keys import URL, KeyServer, private_key, public_pem, published, signed, status_update

MEETING = UUID("bbb8940e-1b97-402a-97d6-2708b7feca41")
BODY = status_update()


class Timer:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> KeyServer:
    return KeyServer()


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def key(server: KeyServer, timer: Timer) -> WebhookVerifier:
    return WebhookVerifier(server.http, URL, timer=timer)


# Whom to believe


async def test_signed(key: WebhookVerifier, server: KeyServer) -> None:
    """What RealtimeKit signed is believed, with a key that is fetched once."""
    for _ in range(10):
        await key.verify(BODY, signed(BODY))

    assert server.asked == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"rtk-signature": ""},
        {"rtk-signature": "no base64!"},
        {"rtk-signature": "é"},
        {"rtk-signature": base64.b64encode(b"short").decode()},
        {"rtk-signature": base64.b64encode(b"x" * 256).decode()},
        {"rtk-signature": base64.b64encode(b"x" * 100_000).decode()},
        signed(BODY, "somebody else's"),
        signed(BODY + b" "),
        signed(json.dumps(json.loads(BODY), indent=1).encode()),
        {"rtk-signature": base64.b64encode(private_key("first").sign(BODY, padding.PKCS1v15(), SHA1())).decode()},
    ],
)
async def test_forged(key: WebhookVerifier, headers: dict[str, str]) -> None:
    """What RealtimeKit did not sign, byte for byte and as it signs, is forged."""
    with pytest.raises(InvalidSignature):
        await key.verify(BODY, headers)


async def test_unsigned_costs_nothing(key: WebhookVerifier, server: KeyServer) -> None:
    """What has no signature at all makes no traffic."""
    with pytest.raises(InvalidSignature):
        await key.verify(BODY, {})

    assert server.asked == 0


async def test_new_key(key: WebhookVerifier, server: KeyServer, timer: Timer) -> None:
    """When RealtimeKit signs with another key it is believed at once, and the old key no longer."""
    await key.verify(BODY, signed(BODY))
    server.key = "second"
    timer.now = 60

    await key.verify(BODY, signed(BODY, "second"))

    assert server.asked == 2
    with pytest.raises(InvalidSignature):
        await key.verify(BODY, signed(BODY, "first"))


async def test_many_forged(key: WebhookVerifier, server: KeyServer, timer: Timer) -> None:
    """A thousand forged webhooks make the key be fetched once a minute, and true ones are believed meanwhile."""
    for _ in range(120):
        timer.now += 1
        for _ in range(5):
            with pytest.raises(InvalidSignature):
                await key.verify(BODY, signed(BODY, "somebody else's"))
        await key.verify(BODY, signed(BODY))

    assert server.asked == 2


async def test_all_at_once(key: WebhookVerifier, server: KeyServer) -> None:
    """However many come before the key is there, it is fetched once."""
    server.hold = asyncio.Event()
    waiting = [asyncio.create_task(key.verify(BODY, signed(BODY))) for _ in range(50)]
    await asyncio.sleep(0)
    server.hold.set()

    await asyncio.gather(*waiting)

    assert server.asked == 1


# Without a key

UNREADABLE: dict[str, Any] = {
    "an error": lambda: httpx.Response(500),
    "not found": lambda: httpx.Response(404, json={"success": False, "error": {"code": 404, "message": "no"}}),
    "a page": lambda: httpx.Response(200, text="<html>"),
    "a redirect": lambda: httpx.Response(302, headers={"location": URL}),
    "a list": lambda: httpx.Response(200, json={"success": True, "data": ["key"]}),
    "at the top": lambda: httpx.Response(200, json={"publicKey": public_pem(private_key("first"))}),
    "no text": lambda: published(1),
    "no key": lambda: published("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
    "half of a character": lambda: httpx.Response(200, content=b'{"success": true, "data": {"publicKey": "\\ud800"}}'),
    "another kind": lambda: published(public_pem(ec.generate_private_key(ec.SECP256R1()))),
    "too short": lambda: published(public_pem(private_key("short", 1024))),
    "too much": lambda: httpx.Response(200, content=b" " * (5 * 1024 * 1024)),
}


@pytest.mark.parametrize("answer", UNREADABLE.values(), ids=UNREADABLE)
async def test_no_key(key: WebhookVerifier, server: KeyServer, answer: Any) -> None:
    """Where no key can be had, nobody is called a forger, and why is told in a line."""
    server.answer = answer

    with pytest.raises(PublicKeyUnavailable) as raised:
        await key.verify(BODY, signed(BODY))

    assert str(raised.value)
    assert "BEGIN" not in str(raised.value)


async def test_nothing_listens() -> None:
    """An address at which nothing listens has no key."""
    async with open_key_http() as http:
        with pytest.raises(PublicKeyUnavailable, match="for http://127"):
            await WebhookVerifier(http, "http://127.0.0.1:1/key").fetch()


async def test_no_key_in_time(server: KeyServer) -> None:
    """A server that does not answer is not waited for: RealtimeKit would not wait for us."""
    server.hold = asyncio.Event()

    with pytest.raises(PublicKeyUnavailable, match=r"no answer within 0\.01 s"):
        await WebhookVerifier(server.http, URL, key_seconds=0.01).fetch()


async def test_the_key_is_back(key: WebhookVerifier, server: KeyServer, timer: Timer) -> None:
    """A key that could not be fetched is asked for again a few seconds later, and not before."""
    server.answer = UNREADABLE["an error"]
    for _ in range(100):
        with pytest.raises(PublicKeyUnavailable):
            await key.verify(BODY, signed(BODY))
    asked = server.asked
    server.answer = None
    timer.now += 5

    await key.verify(BODY, signed(BODY))

    assert asked == 1


async def test_no_newer_key(key: WebhookVerifier, server: KeyServer, timer: Timer) -> None:
    """While a newer key cannot be looked for, what the old one signed is believed, and nothing else is refused."""
    await key.verify(BODY, signed(BODY))
    server.answer = UNREADABLE["an error"]
    timer.now = 60
    for _ in range(2):
        with pytest.raises(PublicKeyUnavailable):
            await key.verify(BODY, signed(BODY, "second"))

    await key.verify(BODY, signed(BODY))

    assert server.asked == 2


async def test_no_token_is_sent() -> None:
    """The key's server gets no token of ours, and the sandbox's key is read over a real socket."""
    cloudflare = Cloudflare(Clock())
    asked: list[list[bytes]] = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        asked.append([name for name, _ in scope["headers"]])
        await cloudflare.asgi(scope, receive, send)

    async with serving(noting, listen(), drain_seconds=1) as url, open_key_http() as http:
        await WebhookVerifier(http, f"{url}/.well-known/webhooks.json").fetch()

    [headers] = asked
    assert b"host" in headers
    assert b"authorization" not in headers


async def test_fetched_once(key: WebhookVerifier, server: KeyServer) -> None:
    """A key that is there is not fetched to see whether it can be."""
    await key.fetch()
    await key.fetch()

    assert server.asked == 1


# What to make of it


@pytest.mark.parametrize("event", ["livestreaming.statusUpdate", "meeting.started", "meeting.ended"])
def test_hint(event: str) -> None:
    """What may have changed a livestream is a hint to look at its meeting."""
    assert parse_event(status_update(event=event)) == WebhookEvent(event, MEETING)


@pytest.mark.parametrize("event", ["recording.statusUpdate", "meeting.participantJoined", "", None, ["x"], {"a": 1}])
def test_other_events(event: Any) -> None:
    """Any other event is no reason to look."""
    assert parse_event(status_update(event=event)) == WebhookEvent("other", None)


@pytest.mark.parametrize("meeting_id", ["", "no UUID", None, 1, ["x"], {}])
def test_no_meeting_id(meeting_id: Any) -> None:
    """An ID that is none leads to no meeting."""
    assert parse_event(status_update(meeting_id)).meeting_id is None


@pytest.mark.parametrize("meeting", [None, "x", [], {}, 1])
def test_no_meeting(meeting: Any) -> None:
    """A webhook without a meeting leads to none."""
    assert parse_event(status_update(meeting=meeting)).meeting_id is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'"text"', b"[" * 100_000, b"9" * 10_000])
def test_not_json(body: bytes) -> None:
    """What is no JSON object is told from what is one."""
    with pytest.raises(InvalidPayload):
        parse_event(body)


@given(
    st.binary()
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["event", "meeting", "id"]), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body_at_all(body: bytes) -> None:
    """Whatever is signed, it is a hint or no JSON object."""
    try:
        hint = parse_event(body)
    except InvalidPayload:
        return
    assert isinstance(hint, WebhookEvent)


def test_no_secret_in_a_hint() -> None:
    """The stream key goes nowhere."""
    assert b"stream-key" in BODY
    assert "stream-key" not in repr(parse_event(BODY))
