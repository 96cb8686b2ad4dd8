"""The whole sandbox in one context manager: a local Slack, a local RealtimeKit, the real bot, and the page."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bot.uvicorn_server import listen, serving
from bot.wording import DEFAULT_COMMAND
from sandbox.bot_process import BotProcess, Mode, bot_process, settings_for
from sandbox.clock import Clock
from sandbox.page import BotView, Page
from sandbox.realtimekit import RealtimeKit
from sandbox.slack import Slack

GRACE_SECONDS = 10
"""The bot's grace period here: longer than the panel's drop, but short for a person waiting for the end."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox. `url` is its page's address."""

    slack: Slack
    kit: RealtimeKit
    kit_url: str
    clock: Clock
    bot: BotProcess
    page: Page
    url: str


@contextlib.asynccontextmanager
async def running_sandbox(
    mode: Mode = "http",
    sock: socket.socket | None = None,
    grace_seconds: int = GRACE_SECONDS,
    command: str = DEFAULT_COMMAND,
) -> AsyncIterator[Sandbox]:
    """Run everything until the block ends. Raises BotDidNotStart.

    The page listens on `sock` (default: a free port). `grace_seconds` is how long a livestream may be off air before
    the episode ends; `command` is the slash command's name.
    """
    clock = Clock()
    kit, slack = RealtimeKit(clock), Slack(clock, command=command)
    kit.seed()
    async with contextlib.AsyncExitStack() as stack:
        place = stack.enter_context(sock or listen())
        await stack.enter_async_context(slack.running())
        kit_url = await stack.enter_async_context(serving(kit.asgi, listen(), drain_seconds=1))
        settings = settings_for(slack, slack.base_url, kit, kit_url, mode)
        settings |= {"END_GRACE_PERIOD_SECONDS": str(grace_seconds), "SLACK_COMMAND": command}
        bot = await stack.enter_async_context(bot_process(settings))
        kit.add_webhook(f"{bot.url}/realtimekit/webhooks")
        await stack.enter_async_context(kit.delivering())
        slack.request_url = f"{bot.url}/slack/events" if mode == "http" else None
        page = Page(slack, kit, BotView(mode, bot.url))
        url = await stack.enter_async_context(serving(page.asgi, place, drain_seconds=1))
        stack.push_async_callback(page.close)
        await stack.enter_async_context(_watched(bot, page))
        yield Sandbox(slack, kit, kit_url, clock, bot, page, url)


@contextlib.asynccontextmanager
async def _watched(bot: BotProcess, page: Page) -> AsyncIterator[None]:
    """Notify the page when the bot's process ends."""

    async def watch() -> None:
        await bot.ended()
        page.bot_runs(running=False)

    watching = asyncio.create_task(watch(), name="watching the bot")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
