"""The time from a livestream going live to the reply in the thread, by webhook, when each answer takes 0.1 s."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.following.databases import database
from bot.uvicorn_server import listen, serving
from sandbox.bot_process import bot_process, settings_for
from sandbox.realtimekit import RealtimeKit, seeds
from sandbox.slack import Message, Slack

RESPONSE_SECONDS = 0.1
"""Seconds that each answer from Cloudflare or Slack takes."""
ROUND_TRIPS = 4
"""Round trips, one after another: the livestream, its session (which needs the livestream's ID), the new episode's
card, and the reply (which needs the card's ts)."""
_SETTLED = 4.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """Several measured times, in milliseconds."""

    times: int
    p50: float
    slowest: float

    @property
    def per_round_trip(self) -> float:
        """The time as a multiple of the required round trips."""
        return self.p50 / (ROUND_TRIPS * RESPONSE_SECONDS * 1000)


async def measure(times: int = 5) -> Webhook:
    """Let the meeting go live, fail, and go live again, `times` times."""
    kit, slack = RealtimeKit(), Slack()
    kit.seed()
    with database("sqlite") as url:
        async with _away(slack), serving(kit.asgi, listen(), drain_seconds=1) as kit_url:
            environment = settings_for(slack, slack.base_url, kit, kit_url, "http")
            environment |= {"DATABASE_URL": url, "END_GRACE_PERIOD_SECONDS": "0"}
            async with bot_process(environment) as bot, kit.delivering():
                slack.request_url = f"{bot.url}/slack/events"
                await slack.command(f"follow {seeds.NEVER_LIVE}")
                await slack.wait_for_message(lambda message: message.ephemeral_to is None)
                kit.add_webhook(f"{bot.url}/realtimekit/webhooks")
                kit.latency = RESPONSE_SECONDS
                waits = [await _once(kit, slack) for _ in range(times)]
    return Webhook(times, median(waits) * 1000, max(waits) * 1000)


async def _once(kit: RealtimeKit, slack: Slack) -> float:
    await asyncio.sleep(_SETTLED)  # a card is edited every three seconds at most
    known = {message.ts for message in slack.workspace.every_message()}
    began = time.perf_counter()
    kit.go_live(seeds.NEVER_LIVE)
    await slack.wait_for_message(lambda message: _tells(message, "live since") and message.ts not in known, 20)
    waited = time.perf_counter() - began
    await asyncio.sleep(_SETTLED)
    kit.end(seeds.NEVER_LIVE)
    await slack.wait_for_message(lambda message: _tells(message, "has ended") and message.ts not in known, 40)
    return waited


def _tells(message: Message, what: str) -> bool:
    """Return whether the message is a reply in a thread that contains these words."""
    return message.thread_ts is not None and what in message.text


@contextlib.asynccontextmanager
async def _away(slack: Slack) -> AsyncIterator[None]:
    """Serve the app with a delay before each answer."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(RESPONSE_SECONDS)
        await slack.asgi(scope, receive, send)

    async with serving(asgi, listen(), drain_seconds=1) as slack.base_url:
        yield
        await slack.close()
