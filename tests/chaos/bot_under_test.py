"""The bot with a fast clock, and with its timeouts towards Slack and Cloudflare shortened accordingly.

    python -m tests.chaos.bot_under_test SANDBOX_TIME REAL_TIME SPEED OFFSET

OFFSET is by how many sandbox seconds its clock is ahead. The database's clock is the correct one: it stands for that of
a server, which all bots share.

Timeouts are in real seconds. With a clock that runs thirty times as fast, ten of them are five minutes, in which every
lease would end; so here they are shorter.
"""

import asyncio
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from typing import Any

import bot.realtimekit.client as cloudflare
import bot.slack.api_client as slack
from bot import app, livestream_sources, logs
from bot.errors import ConfigurationError
from bot.realtimekit import lookup
from bot.realtimekit.lookup import Lookup
from bot.settings import Settings, load
from bot.store import database
from bot.store import store as opening
from bot.store.postgresql import Timeouts
from bot.store.store import Store
from sandbox.clock import Clock

TIMEOUT_DIVISOR = 15.0
"""Half of the usual speed, since the machine has to keep up."""


async def main(sandbox_time: float, real_time: float, speed: float, offset: float) -> None:
    """Run until SIGTERM."""
    settings = load(Settings)
    logs.configure(level="DEBUG", style="json", secrets=settings.secrets())
    server_clock, own_clock = (
        Clock(sandbox_time + (time.time() - real_time) * speed + ahead, speed) for ahead in (0.0, offset)
    )

    async def open_store(url: str, **options: Any) -> Store:
        return await opening.open_store(url, **{**options, "clock": server_clock.now})

    app.open_store = open_store  # type: ignore[attr-defined]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with app.running(settings, clock=own_clock):
        await stop.wait()


def shorten_timeouts() -> None:
    """Shorten every timeout in real seconds."""
    answer = cloudflare.RESPONSE_SECONDS / TIMEOUT_DIVISOR
    defaults = cloudflare.RealtimeKitClient.__init__.__kwdefaults__ or {}
    if "answer_seconds" not in defaults:
        raise LookupError("the RealtimeKit client has another name for this timeout now")
    defaults["answer_seconds"] = answer
    for module, name in (
        (cloudflare, "ATTEMPT_SECONDS"),
        (cloudflare, "CONNECT_SECONDS"),
        (lookup, "RESPONSE_SECONDS"),
        (lookup, "_DETAIL_SECONDS"),
        (slack, "TIMEOUT_SECONDS"),
        (slack, "FRESH_TIMEOUT_SECONDS"),
    ):
        setattr(module, name, getattr(module, name) / TIMEOUT_DIVISOR)
    # Not by as much: on a busy machine connections and disk writes take their time.
    timeouts = Timeouts(connect=2.0, ping=1.0, statement=2.0, pool=2.0, recycle=20.0)
    opening.connect = partial(database.connect, timeouts=timeouts)  # type: ignore[attr-defined]


def disable_name_caches() -> None:
    """Take each name from the current response. The checker recognizes by it which moment an announcement is about."""
    for name in ("_MEETING_SECONDS", "RealtimeKitClient"):
        if not hasattr(cloudflare, name):
            raise LookupError(f"the RealtimeKit client has no {name} now")
    cloudflare._MEETING_SECONDS = 0.001
    cloudflare.RealtimeKitClient.last_title = lambda self, meeting_id: None  # type: ignore[method-assign]

    async def look_up(*args: Any) -> Lookup:
        return replace(await lookup.look_up(*args), name_is_certain=True)

    livestream_sources.look_up = look_up  # type: ignore[assignment, attr-defined]


if __name__ == "__main__":
    shorten_timeouts()
    disable_name_caches()
    try:
        asyncio.run(main(*map(float, sys.argv[1:5])))
    except ConfigurationError as error:  # as `livestream-bot run` does when its database is unreachable
        sys.exit(str(error))
