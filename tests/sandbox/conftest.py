"""A RealtimeKit of its own for each test, and a plain HTTP client of it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from bot.sandbox.clock import Clock
from bot.sandbox.realtimekit import RealtimeKit
from bot.serving import listen, serving

NOON = 1_780_488_000.0


@pytest.fixture
def kit() -> RealtimeKit:
    """Empty, with a clock that stands still at noon."""
    return RealtimeKit(clock=Clock(start=NOON, speed=0))


@pytest.fixture
async def client(kit: RealtimeKit) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the kit's app with its token."""
    headers = {"authorization": f"Bearer {kit.api_token}"}
    async with serving(kit.asgi, listen()) as url:
        base = f"{url}/client/v4/accounts/{kit.account_id}/realtime/kit/{kit.app_id}/"
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=5) as client:
            yield client
