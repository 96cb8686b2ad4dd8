"""A seeded Cloudflare, clients without sockets and without delays between attempts, and a clock that tests set."""

import asyncio
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from bot.realtimekit.client import RealtimeKitClient
from bot.realtimekit.http import HttpClient
from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit as Cloudflare


class Timer:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> Timer:
    return Timer()


class Direct(httpx.AsyncBaseTransport):
    """One of httpx's transports without sockets, which read the URL instead of the extension `target`."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(raw_path=request.extensions["target"])
        return await self._transport.handle_async_request(request)


async def no_delay(seconds: float) -> None:
    """Let others run instead of waiting."""
    await asyncio.sleep(0)


@pytest.fixture
def cloudflare(clock: Clock) -> Cloudflare:
    cloudflare = Cloudflare(clock)
    cloudflare.seed()
    return cloudflare


def connect(cloudflare: Cloudflare, asgi: ASGIApp | None = None, **options: Any) -> RealtimeKitClient:
    """Return a client for the sandbox's app, in this process; `asgi` is what it reaches instead of the sandbox."""
    http = HttpClient(
        Direct(httpx.ASGITransport(asgi or cloudflare.asgi)),
        "http://cloudflare/client/v4",
        headers={"Authorization": f"Bearer {cloudflare.api_token}"},
    )
    ids = {"account_id": cloudflare.account_id, "app_id": cloudflare.app_id}
    return RealtimeKitClient(http, **{"sleep": no_delay, **ids, **options})


@pytest.fixture
def kit(cloudflare: Cloudflare) -> RealtimeKitClient:
    return connect(cloudflare)


def http_answering(data: Any = None, *, status: int = 200, json: Any = None) -> HttpClient:
    """Return a connection to a Cloudflare whose every response has this payload, or this JSON."""
    body = {"success": True, "data": data} if json is None else json
    return HttpClient(httpx.MockTransport(lambda _: httpx.Response(status, json=body)), "http://cloudflare")


def kit_answering(data: Any = None, *, status: int = 200, json: Any = None) -> RealtimeKitClient:
    """Return a client for a Cloudflare whose every response has this payload, or this JSON."""
    return RealtimeKitClient(http_answering(data, status=status, json=json), account_id="a", app_id="b")
