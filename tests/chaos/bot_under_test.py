"""The bot by a fast clock, with its patience towards Slack and Cloudflare shortened as time is.

    python -m tests.chaos.bot_under_test SANDBOX_TIME REAL_TIME SPEED OFFSET

OFFSET is by how many sandbox seconds its clock is ahead. The database's time is the right one: it stands for that of a
server, which all bots share.

What hangs is given up after real seconds. By a clock that runs thirty times as fast, ten of them are five minutes, in
which every lease would end; so here they are fewer.
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
from bot import app, logs
from bot.errors import ConfigurationError
from bot.realtimekit import lookup
from bot.realtimekit.lookup import Lookup
from bot.settings import Settings, load
from bot.store import database
from bot.store import store as opening
from bot.store.postgresql import Timeouts
from bot.store.store import Store
from sandbox.clock import Clock

SHORTER = 15.0
"""Half of the usual speed, since a machine has to keep up with it."""


async def main(sandbox_time: float, real_time: float, speed: float, offset: float) -> None:
    """Run until SIGTERM."""
    settings = load(Settings)
    logs.configure(level="DEBUG", style="json", secrets=settings.secrets())
    right, own = (Clock(sandbox_time + (time.time() - real_time) * speed + ahead, speed) for ahead in (0.0, offset))

    async def open_store(url: str, **options: Any) -> Store:
        return await opening.open_store(url, **{**options, "clock": right.now})

    app.open_store = open_store  # type: ignore[attr-defined]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with app.running(settings, clock=own):
        await stop.wait()


def be_impatient() -> None:
    """Shorten what is counted in real seconds."""
    answer = cloudflare.RESPONSE_SECONDS / SHORTER
    defaults = cloudflare.RealtimeKitClient.__init__.__kwdefaults__ or {}
    if "answer_seconds" not in defaults:
        raise LookupError("the client of RealtimeKit has another name for its patience now")
    defaults["answer_seconds"] = answer
    for module, name in (
        (cloudflare, "ATTEMPT_SECONDS"),
        (cloudflare, "CONNECT_SECONDS"),
        (lookup, "RESPONSE_SECONDS"),
        (lookup, "_DETAIL_SECONDS"),
        (slack, "TIMEOUT_SECONDS"),
        (slack, "FRESH_TIMEOUT_SECONDS"),
    ):
        setattr(module, name, getattr(module, name) / SHORTER)
    # Not by as much: a busy machine takes its time for a connection, as for what is written to its disk.
    timeouts = Timeouts(connect=2.0, ping=1.0, statement=2.0, pool=2.0, recycle=20.0)
    opening.connect = partial(database.connect, timeouts=timeouts)  # type: ignore[attr-defined]


def remember_no_names() -> None:
    """Take each name from the answer at hand. The judge tells by it of which moment a sentence is."""
    for name in ("_MEETING_SECONDS", "RealtimeKitClient"):
        if not hasattr(cloudflare, name):
            raise LookupError(f"the client of RealtimeKit has no {name} now")
    cloudflare._MEETING_SECONDS = 0.001
    cloudflare.RealtimeKitClient.last_title = lambda self, meeting_id: None  # type: ignore[method-assign]

    async def look_up(*args: Any) -> Lookup:
        return replace(await lookup.look_up(*args), name_is_certain=True)

    app.look_up = look_up  # type: ignore[assignment, attr-defined]


if __name__ == "__main__":
    be_impatient()
    remember_no_names()
    try:
        asyncio.run(main(*map(float, sys.argv[1:5])))
    except ConfigurationError as error:  # as `livestream-bot run` does, where its database is away
        sys.exit(str(error))
