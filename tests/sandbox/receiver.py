"""A server that receives RealtimeKit's webhooks: it records the requests and responds as a test says."""

import asyncio
import base64
import json
from collections import deque
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.clock import Clock

PATH = "/realtimekit/webhooks"


@dataclass(frozen=True)
class Received:
    """A request, with the sandbox's time of its arrival."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.body)
        return fields

    @property
    def event(self) -> str:
        return str(self.json["event"])


class Receiver:
    """Responds with the `statuses`, one each, and then with 200; 0 means no response."""

    def __init__(self, clock: Clock) -> None:
        self.received: list[Received] = []
        self.statuses: deque[int] = deque()
        self.asgi = Starlette(routes=[Route(PATH, self._receive, methods=["POST"])])
        self._clock = clock
        self._arrived = asyncio.Event()

    async def got(self, count: int) -> None:
        """Wait for so many requests."""
        while len(self.received) < count:
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), 30)

    @property
    def events(self) -> list[str]:
        """Return the event of each request, with its status if it has one."""
        return sorted(" ".join(filter(None, (each.event, each.json.get("status")))) for each in self.received)

    async def _receive(self, request: Request) -> Response:
        headers = dict(request.headers)
        self.received.append(Received(headers, await request.body(), self._clock.now()))
        self._arrived.set()
        status = self.statuses.popleft() if self.statuses else 200
        if not status:
            while (await request.receive())["type"] != "http.disconnect":
                pass
        return Response(status_code=status)


def is_signed(received: Received, key: str) -> bool:
    """Return whether the signature is of this key, given in PEM."""
    public = serialization.load_pem_public_key(key.encode())
    assert isinstance(public, rsa.RSAPublicKey)
    signature = base64.b64decode(received.headers["rtk-signature"], validate=True)
    try:
        public.verify(signature, received.body, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


async def published_key(http: httpx.AsyncClient) -> str:
    """Return the key as anyone can read it, without a token."""
    request = http.build_request("GET", http.base_url.copy_with(path="/.well-known/webhooks.json"))
    del request.headers["authorization"]
    response = await http.send(request)
    assert response.status_code == 200
    return str(response.json()["data"]["publicKey"])
