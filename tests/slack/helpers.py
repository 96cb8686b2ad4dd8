"""A client of Slack, what it counts, and a server that stands in Slack's place."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from prometheus_client import Counter

from bot.metrics import Metrics
from bot.slack.api_client import SlackClient
from bot.slack.messages.message import Message as BotMessage
from bot.uvicorn_server import listen, url_of
from sandbox.slack import BOT, BOT_TOKEN, Message


def make_client(
    base_url: str,
    session: aiohttp.ClientSession,
    metrics: Metrics | None = None,
    *,
    token: str = BOT_TOKEN,
    fresh: aiohttp.ClientSession | None = None,
) -> SlackClient:
    return SlackClient(token=token, base_url=base_url, session=session, metrics=metrics or Metrics(), fresh=fresh)


def counts(counter: Counter) -> dict[tuple[str, ...], float]:
    """Return a counter's values by the values of its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in counter.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def is_public(message: Message) -> bool:
    return message.ephemeral_to is None and message.author == BOT


def elements(message: Message | BotMessage) -> list[dict[str, Any]]:
    """Return the buttons of a message."""
    return [element for block in message.blocks if block["type"] == "actions" for element in block["elements"]]


def labels(message: Message | BotMessage) -> list[str]:
    return [element["text"]["text"] for element in elements(message)]


@dataclass
class Stranger:
    """A server that answers in Slack's place, always the same."""

    response: dict[str, Any]
    url: str = ""
    connections: list[Any] = field(default_factory=list)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.connections.append(request.transport)
        return web.Response(**self.response)


@contextlib.asynccontextmanager
async def answering(**response: Any) -> AsyncIterator[Stranger]:
    """Run a server that gives every request this `web.Response`."""
    stranger = Stranger(response)
    runner, sock = web.ServerRunner(web.Server(stranger)), listen()
    await runner.setup()
    await web.SockSite(runner, sock).start()
    stranger.url = f"{url_of(sock)}/"
    try:
        yield stranger
    finally:
        await runner.cleanup()
