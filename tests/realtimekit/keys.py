"""Keys that sign webhooks, made once for all tests, and a server that publishes one of them."""

import asyncio
import base64
import functools
import json
from collections.abc import Callable
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bot.realtimekit.http import HttpClient

URL = "http://cloudflare/.well-known/webhooks.json"


@functools.cache
def private_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the same key for the same name."""
    return rsa.generate_private_key(65537, bits)


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signature_headers(body: bytes, name: str = "first") -> dict[str, str]:
    """Return the headers of a webhook that this key signed."""
    signature = private_key(name).sign(body, padding.PKCS1v15(), SHA256())
    return {"rtk-signature": base64.b64encode(signature).decode(), "rtk-uuid": "1", "rtk-webhook-id": "2"}


def key_response(pem: Any) -> httpx.Response:
    return httpx.Response(200, json={"success": True, "data": {"publicKey": pem}, "message": ""})


class KeyServer:
    """Publishes a key, or sends any response that a test sets; counts its requests."""

    def __init__(self) -> None:
        self.requests = 0
        self.key = "first"
        self.answer: Callable[[], httpx.Response] | None = None
        self.hold: asyncio.Event | None = None
        self.headers: list[httpx.Headers] = []
        self.http = HttpClient(httpx.MockTransport(self._answer), URL)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        self.headers.append(request.headers)
        if self.hold:
            await self.hold.wait()
        return self.answer() if self.answer else key_response(public_pem(private_key(self.key)))


def status_update(meeting_id: Any = "bbb8940e-1b97-402a-97d6-2708b7feca41", **changes: Any) -> bytes:
    """Return a webhook about a livestream, as in Cloudflare's documentation."""
    body = {
        "event": "livestreaming.statusUpdate",
        "streamId": "d231d346-c422-43a6-a324-c0d65b79c8a7",
        "status": "LIVE",
        "playbackUrl": "https://example.com/live.m3u8",
        "ingestServer": "rtmps://example.com/live",
        "streamKey": "stream-key-of-the-webhook",
        "meeting": {"id": meeting_id, "title": "Weekly sync", "status": "LIVE"},
    }
    return json.dumps({**body, **changes}).encode()
