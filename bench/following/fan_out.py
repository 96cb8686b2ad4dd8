"""A livestream that many channels follow goes live: how long the last of them waits because of Slack's limits."""

import asyncio
import sys
import time
from dataclasses import dataclass
from uuid import UUID

from bench.following.databases import Followed, announced, database, fill, open_second_engine
from bench.usage import cpu_seconds
from bot.uvicorn_server import listen, serving
from sandbox.bot_process import bot_process, settings_for
from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit, seeds
from sandbox.slack import GENERAL, Message, Slack

SPEED = 10.0
_MAX_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class FanOut:
    """The results, in sandbox seconds from when the change was recorded."""

    channels: int
    announced: int
    first: float
    last: float
    """The age of the oldest announcement when it was sent."""
    rate_limited: int
    """How often Slack answered 429."""
    cpu: float
    """Milliseconds of CPU time per channel."""


async def measure(channels: int = 1_000) -> FanOut:
    """Measure once."""
    clock = Clock(speed=SPEED)
    kit, slack = RealtimeKit(clock), Slack(clock)
    kit.seed()
    followed = [_channel(slack, n) for n in range(channels)]
    with database("sqlite") as url:
        await fill(url, followed, clock.now())
        async with slack.running(), serving(kit.asgi, listen(), drain_seconds=1) as kit_url:
            environment = settings_for(slack, slack.base_url, kit, kit_url, "http") | {"DATABASE_URL": url}
            environment["PYTHONPATH"] = ":".join(sys.path)
            arguments = ["-m", "bench.following.fast_bot", str(clock.now()), str(time.time()), str(SPEED)]
            async with bot_process(environment, arguments) as bot:
                before = cpu_seconds(bot.pid)
                kit.go_live(seeds.NEVER_LIVE)
                await _drained(url, clock, channels)
                used = cpu_seconds(bot.pid) - before
        async with open_second_engine(url) as into:
            sent = [row[4] - row[3] for row in await announced(into) if row[4] is not None]
    rate_limited = sum(1 for call in slack.calls if call.status == 429)
    return FanOut(channels, len(sent), min(sent), max(sent), rate_limited, used * 1000 / channels)


def _channel(slack: Slack, number: int) -> Followed:
    general = slack.workspace.channels[GENERAL]
    channel = f"C{number:010}"
    slack.workspace.put_channel(type(general)(channel, f"channel-{number}", general.members, has_bot=True))
    card = Message(channel, slack.workspace.next_ts(slack.clock.now()), slack.app.user_id, "A card")
    return Followed(UUID(seeds.NEVER_LIVE), channel, slack.workspace.post(card).ts)


async def _drained(url: str, clock: Clock, channels: int) -> None:
    deadline = clock.now() + _MAX_SECONDS
    async with open_second_engine(url) as into:
        while clock.now() < deadline:
            rows = await announced(into)
            if len(rows) == channels and all(row[4] is not None for row in rows):
                return
            await asyncio.sleep(0.2)
