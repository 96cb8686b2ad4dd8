"""A RealtimeKit of its own for each test, a plain HTTP client of it, and waiting for a bot in its own process."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from bot.uvicorn_server import listen, serving
from sandbox.bot_process import BotProcess
from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit

NOON = 1_780_488_000.0


async def logged(bot: BotProcess, words: str) -> None:
    """Wait until the bot has logged these words: it is ready a moment before it says so."""
    async with asyncio.timeout(30):
        while words not in bot.last_words():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.01)


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
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as client:
            yield client
