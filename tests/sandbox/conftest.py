"""A RealtimeKit and a Slack for each test, plain clients of them, and waiting for a bot in its own process."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import httpx
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

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


@contextlib.asynccontextmanager
async def request_url(slack: Slack, app: ASGIApp) -> AsyncIterator[None]:
    """Serve this as the app's request URL."""
    async with serving(app, listen(), drain_seconds=1) as url:
        slack.request_url = f"{url}/slack/events"
        yield


@dataclass
class App:
    """An app that records the commands, clicks and events that reach it, and responds with `status`."""

    status: int = 200
    payloads: list[dict[str, Any]] = field(default_factory=list)
    retries: list[tuple[str | None, str | None]] = field(default_factory=list)
    """The number and the reason of each payload's retry."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one delivery."""
        request = Request(scope, receive)
        body, headers = await request.body(), request.headers
        if headers["content-type"] != "application/json":
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            body = (form.get("payload") or json.dumps(form)).encode()
        self.payloads.append(json.loads(body))
        self.retries.append((headers.get("x-slack-retry-num"), headers.get("x-slack-retry-reason")))
        await Response(status_code=self.status)(scope, receive, send)

    async def events(self) -> list[dict[str, Any]]:
        """Return the events, without their time, when everything so far has been delivered."""
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("event ")))
        return [{**payload["event"], "event_ts": None} for payload in self.payloads]


@pytest.fixture
async def app(slack: Slack) -> AsyncIterator[App]:
    app = App()
    async with request_url(slack, app):
        yield app


async def error_of(call: Awaitable[Any]) -> str:
    """Return the error that a call of the Web API is rejected with."""
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


@pytest.fixture
def kit() -> RealtimeKit:
    """Return an empty RealtimeKit whose clock is stopped at noon."""
    return RealtimeKit(clock=Clock(start=NOON, speed=0))


@pytest.fixture
async def client(kit: RealtimeKit) -> AsyncIterator[httpx.AsyncClient]:
    """Yield an HTTP client of the kit's app, with its token."""
    headers = {"authorization": f"Bearer {kit.api_token}"}
    async with serving(kit.asgi, listen()) as url:
        base = f"{url}/client/v4/accounts/{kit.account_id}/realtime/kit/{kit.app_id}/"
        async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30) as client:
            yield client


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    """Yield a running Slack whose clock is stopped."""
    async with Slack(clock=Clock(speed=0)).running() as slack:
        yield slack


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def web_client(slack: Slack, session: aiohttp.ClientSession) -> AsyncWebClient:
    """Return a client of Slack's Web API with the bot's token and without retries."""
    return AsyncWebClient(BOT_TOKEN, base_url=slack.api_url, session=session, retry_handlers=[])
