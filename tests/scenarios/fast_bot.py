"""The bot in a process of its own with a fast clock, which kills itself at a given call.

    python -m tests.scenarios.fast_bot SANDBOX_TIME REAL_TIME SPEED [before|after:Class.method:N]

The settings come from the environment, as for `livestream-bot run`. SIGKILL leaves no time to clean up.
"""

import asyncio
import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from bot import logs
from bot.app import running
from bot.following.poller import MeetingPoller
from bot.settings import Settings, load
from bot.slack.publisher import Publisher
from bot.store.card_queue import CardQueue
from bot.store.meeting_queue import MeetingQueue
from sandbox.clock import Clock

CLASSES = {kind.__name__: kind for kind in (CardQueue, Publisher, MeetingPoller, MeetingQueue)}


def method_at(step: str) -> Callable[..., Any]:
    """Return the method that a step names. Raises KeyError or AttributeError."""
    kind, method = step.split(":")[1].split(".")
    found: Callable[..., Any] = getattr(CLASSES[kind], method)
    return found


def die_at(step: str) -> None:
    """Kill the process before or after the Nth call of a method. After, calls that return nothing don't count."""
    when, name, count = step.split(":")
    kind, method = name.split(".")
    left, call = int(count), method_at(step)

    def die() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    @functools.wraps(call)
    async def deadly(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        result = await call(*args, **kwargs)
        if when == "after" and result != []:
            die()
        return result

    setattr(CLASSES[kind], method, deadly)


async def main(sandbox_time: float, real_time: float, speed: float) -> None:
    """Run until SIGTERM."""
    settings = load(Settings)
    logs.configure(level="DEBUG", style="json", secrets=settings.secrets())
    clock = Clock(sandbox_time + (time.time() - real_time) * speed, speed)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with running(settings, clock=clock):
        await stop.wait()


if __name__ == "__main__":
    if len(sys.argv) > 4:
        die_at(sys.argv[4])
    asyncio.run(main(*map(float, sys.argv[1:4])))
