"""What people asked for and have no reply to yet."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from bot.metrics import Metrics
from bot.slack.cards import ACTIONS
from bot.slack.requests import COMMAND, Request

BROKEN = "broken"
UNREAD = "unread"
"""The action of what could not be read."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Progress:
    """How serving someone went."""

    outcome: str = BROKEN
    """`ok`, or the name of the error that they were told of."""


class Work:
    """Knows each task that serves a person, so that none is cut off when the bot stops."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        for action in (COMMAND, UNREAD, *ACTIONS):
            self.expect(action)
        self._tasks: set[asyncio.Task[object]] = set()

    def expect(self, action: str) -> None:
        """Count what fails of this action from zero on: Prometheus sees no increase of a series that begins at 1."""
        self._metrics.requests.labels(action, BROKEN)

    def failed(self) -> None:
        """Count a payload that the bot failed to read."""
        self._metrics.requests.labels(UNREAD, BROKEN).inc()

    @contextlib.contextmanager
    def on(self, request: Request) -> Iterator[Progress]:
        """Serve this request in the current task: its log lines carry who asked for what, and its end is counted."""
        self._hold_current_task()
        _bind_to_log(request)
        started, progress = time.monotonic(), Progress()
        try:
            yield progress
        finally:
            seconds = time.monotonic() - started
            self._metrics.requests.labels(request.action, progress.outcome).inc()
            self._metrics.reply_seconds.labels(request.action).observe(seconds)
            log.info("served", outcome=progress.outcome, ms=round(seconds * 1000))

    async def drain(self, seconds: float) -> None:
        """Wait for what is being served, at most this long; what takes longer is cancelled and logged."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            log.warning("cut_off", requests=len(late))
            await asyncio.wait(late)

    def _hold_current_task(self) -> None:
        task = asyncio.current_task()
        if task is not None and task not in self._tasks:
            self._tasks.add(task)
            self._metrics.in_flight.inc()
            task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self._metrics.in_flight.dec()


def _bind_to_log(request: Request) -> None:
    """Bolt runs each listener in a task of its own, so this reaches no other request's lines."""
    meeting_id = request.meeting_id
    structlog.contextvars.bind_contextvars(
        command_id=secrets.token_hex(4),
        action=request.action,
        team=request.team_id,
        user=request.user_id,
        channel=request.channel_id,
        **({"meeting": str(meeting_id)} if meeting_id else {}),
    )
