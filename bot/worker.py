"""What the background workers of one process share: their context, their wake-ups, and the loop that runs each."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn

import structlog

from bot.clock import Clock, wait
from bot.errors import DatabaseUnavailable
from bot.metrics import Metrics
from bot.wording import Wording

RETRY_SECONDS = 5.0
"""How long a worker waits after a failed run."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WakeUps:
    """One event for each worker. Setting it ends the worker's wait, because work has just become due."""

    announcer: asyncio.Event = field(default_factory=asyncio.Event)
    poller: asyncio.Event = field(default_factory=asyncio.Event)
    maintenance: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What all workers of one process need."""

    worker_id: str
    """This process's name in leases."""
    clock: Clock
    metrics: Metrics
    grace: timedelta = timedelta(seconds=60)
    """How long a livestream may be gone before it counts as ended."""
    wording: Callable[[], Wording] = Wording
    """Returns the command's and the bot's names, which Slack reports only after the start."""
    jitter: Callable[[], float] = random.random
    wake_ups: WakeUps = field(default_factory=WakeUps)


async def supervise(
    name: str,
    run_once: Callable[[], Awaitable[float]],
    clock: Clock,
    wake_up: asyncio.Event | None = None,
) -> NoReturn:
    """Call `run_once` until cancelled. It returns how many seconds to wait before the next run, unless woken earlier.

    A failed run is logged and repeated, since the failure may be transient, and a worker that ended would never do
    its work again.
    """
    wake_up = wake_up or asyncio.Event()
    while True:
        try:
            seconds = await run_once()
        except DatabaseUnavailable as error:
            log.warning("database_unavailable", worker=name, detail=error.detail)
            seconds = RETRY_SECONDS
        except Exception:
            log.exception("worker_failed", worker=name)
            seconds = RETRY_SECONDS
        await wait(wake_up, seconds, clock)
