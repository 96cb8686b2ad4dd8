"""A seeded Cloudflare, clients without sockets, a clock that tests set, and retries without delays."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import stamina
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


@pytest.fixture(autouse=True)
def _no_delay_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def cloudflare(clock: Clock) -> Cloudflare:
    cloudflare = Cloudflare(clock)
    cloudflare.seed()
    return cloudflare


def connect(cloudflare: Cloudflare, asgi: ASGIApp | None = None, **options: Any) -> RealtimeKitClient:
    """Return a client for the sandbox's app, in this process; `asgi` is what it reaches instead of the sandbox."""
    http = HttpClient(
        httpx.ASGITransport(asgi or cloudflare.asgi),
        "http://cloudflare/client/v4",
        headers={"Authorization": f"Bearer {cloudflare.api_token}"},
    )
    return RealtimeKitClient(http, account_id=cloudflare.account_id, app_id=cloudflare.app_id, **options)


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
