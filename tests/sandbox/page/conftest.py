"""A client of the sandbox page's server that behaves like the page's script."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from bot.uvicorn_server import listen, serving
from sandbox.page import BotView, Page
from sandbox.slack import ANN
from tests.conftest import World

SECONDS = 30


@dataclass
class Changes:
    """The changes received on one open stream."""

    response: aiohttp.ClientResponse
    comments: list[str] = field(default_factory=list)

    async def next(self, kind: str | None = None) -> dict[str, Any]:
        """Return the subject of the next change of that kind, skipping others."""
        async with asyncio.timeout(SECONDS):
            while True:
                line = (await self.response.content.readline()).decode()
                assert line, "the stream has ended"
                if line.startswith(":"):
                    self.comments.append(line)
                if line.startswith("data: "):
                    change = json.loads(line.removeprefix("data: "))
                    if kind in (None, change["kind"]):
                        subject: dict[str, Any] = change["subject"]
                        return subject


@dataclass
class Browser:
    """Sends requests as the page's script does."""

    page: Page
    url: str
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, dict[str, Any]]:
        """Return status and JSON of a response."""
        options = {"json": body} | options if body is not None else options
        async with self.session.request(method, self.url + path, **options) as response:
            return response.status, await response.json()

    async def state(self, user: str = ANN) -> dict[str, Any]:
        """Return what a person sees."""
        status, state = await self.ask("GET", f"/api/state?user={user}")
        assert status == 200
        return state

    async def texts(self, channel: str, user: str = ANN) -> list[str]:
        """Return the texts of the messages that a person sees in a channel."""
        return [message["text"] for message in (await self.state(user))["messages"][channel]]

    @contextlib.asynccontextmanager
    async def stream(self, user: str = ANN) -> AsyncIterator[Changes]:
        """Open a stream."""
        async with self.session.get(f"{self.url}/api/stream?user={user}") as response:
            assert response.status == 200
            yield Changes(response)


@pytest.fixture
async def page(world: World) -> AsyncIterator[Page]:
    page = Page(world.slack, world.kit, BotView("http", "http://127.0.0.1:1"))
    yield page
    await page.close()


@pytest.fixture
async def browser(page: Page) -> AsyncIterator[Browser]:
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with serving(page.asgi, listen(), drain_seconds=1) as url:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Browser(page, url, session)
        await page.close()
