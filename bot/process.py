"""The process: signals, the limit of open files, and garbage collection."""

import asyncio
import gc
import signal
import sys

import structlog

from bot.app import running
from bot.settings import Settings

MAX_OPEN_FILES = 65_536

log = structlog.get_logger(__name__)


async def run(settings: Settings) -> None:
    """Run the bot until SIGTERM, SIGINT or SIGHUP. Raises ConfigurationError like `app.running`.

    Further SIGTERMs and SIGHUPs have no effect, since supervisors send both; a second Ctrl-C ends the bot at once.
    """
    raise_fd_limit()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop_in_order() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop_in_order)
    async with running(settings):
        tune_gc()
        await stop.wait()
        log.info("bot_stopping")
    log.info("bot_stopped")


def raise_fd_limit() -> None:
    """Raise the limit of open files and sockets, which many systems set to 1,024 by default."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tune_gc() -> None:
    """Exempt permanent objects from garbage collection, and collect after 10,000 new objects instead of 700.

    A few running commands keep more than 700 objects alive, so that in a burst the default costs a third of the CPU
    time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
