"""The bot in its own process, with a faster clock: `python -m bench.following.fast_bot TIME AT SPEED`.

TIME is what the bot's clock shows AT a real time. A second of the bot's time is a fraction of a real second, and its
work costs the same.
"""

import asyncio
import signal
import sys
import time

import uvloop

from bot import logs
from bot.app import running
from bot.process import tune_gc
from bot.settings import Settings, load
from sandbox.clock import Clock


async def main(clock_time: float, real_time: float, speed: float) -> None:
    """Run until SIGTERM."""
    settings = load(Settings)
    logs.configure(level="WARNING", style="json", secrets=settings.secrets())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    clock = Clock(clock_time + (time.time() - real_time) * speed, speed)
    async with running(settings, clock=clock):
        tune_gc()
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(main(*map(float, sys.argv[1:])))
