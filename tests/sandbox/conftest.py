"""A RealtimeKit and a Slack for each test, plain clients of them, and waiting for a bot in its own process."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.uvicorn_server import listen, serving
from sandbox.bot_process import BotProcess
from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit
from sandbox.slack import BOT_TOKEN, Slack

NOON = 1_780_488_000.0


async def logged(bot: BotProcess, text: str) -> None:
    """Wait until the bot has logged this text: it may be a moment behind."""
    async with asyncio.timeout(30):
        while text not in bot.last_words():  # noqa: ASYNC110 - a file has no event to wait for
            await asyncio.sleep(0.01)


async def get_active_livestream(client: httpx.AsyncClient, meeting_id: str) -> httpx.Response:
    return await client.get(f"meetings/{meeting_id}/active-livestream")


async def get_session(client: httpx.AsyncClient, kit: RealtimeKit, meeting_id: str) -> Any:
    livestream = kit.meetings[meeting_id].livestream
    assert livestream
    response = await client.get(f"livestreams/{livestream.id}/active-livestream-session")
    return response.json()["data"]["session"]


@pytest.fixture
def kit() -> RealtimeKit:
    """An empty RealtimeKit whose clock is stopped at noon."""
    return RealtimeKit(clock=Clock(start=NOON, speed=0))


@pytest.fixture
async def client(kit: RealtimeKit) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the kit's app, with its token."""
    headers = {"authorization": f"Bearer {kit.api_token}"}
    async with serving(kit.asgi, listen()) as url:
        base = f"{url}/client/v4/accounts/{kit.account_id}/realtime/kit/{kit.app_id}/"
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as client:
            yield client


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    """A running Slack whose clock is stopped."""
    async with Slack(clock=Clock(speed=0)).running() as slack:
        yield slack


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def web_client(slack: Slack, session: aiohttp.ClientSession) -> AsyncWebClient:
    """A client of Slack's Web API with the bot's token and without retries."""
    return AsyncWebClient(BOT_TOKEN, base_url=slack.api_url, session=session, retry_handlers=[])
