"""In-flight requests, tracked so that shutdown can drain them."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from bot.metrics import Metrics
from bot.slack.messages.lookup_card import ACTIONS
from bot.slack.payloads import COMMAND, Request

ERROR = "error"
MALFORMED = "malformed"
"""The `action` label of payloads that the bot failed to parse."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RequestOutcome:
    """The outcome of one request, set by its handler."""

    outcome: str = ERROR
    """`ok`, the code of the error reported to the person, or `error`."""


class InFlightRequests:
    """The tasks that handle requests, so that shutdown waits for them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        for action in (COMMAND, MALFORMED, *ACTIONS):
            self.expect(action)
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[object]] = set()

    def expect(self, action: str) -> None:
        """Start this action's failure count at zero, since Prometheus sees no increase in a series that begins at 1."""
        self._metrics.requests.labels(action, ERROR)

    def count_malformed(self) -> None:
        """Count a payload that the bot failed to parse."""
        self._metrics.requests.labels(MALFORMED, ERROR).inc()

    @contextlib.contextmanager
    def track(self, request: Request, *, needs_reply: bool = True) -> Iterator[RequestOutcome]:
        """Track this request in the current task: bind its context to the log, and count its outcome.

        The time until the reply is measured only if the request `needs_reply`.
        """
        self.hold()
        _bind_to_log(request)
        started, result = time.monotonic(), RequestOutcome()
        try:
            yield result
        finally:
            seconds = time.monotonic() - started
            self._metrics.requests.labels(request.action, result.outcome).inc()
            if needs_reply:
                self._metrics.reply_seconds.labels(request.action).observe(seconds)
            log.info("request_completed", outcome=result.outcome, duration_ms=round(seconds * 1000))

    async def pause(self, sleep: Coroutine[Any, Any, None]) -> bool:
        """Wait for `sleep` or the beginning of shutdown; return False if shutdown has begun."""
        sleeping, stopping = asyncio.ensure_future(sleep), asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()
        return not self._stopping.is_set()

    async def drain(self, seconds: float) -> None:
        """Wait at most this long for in-flight requests; cancel the rest and log how many there were."""
        self._stopping.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            log.warning("drain_timed_out", requests=len(late))
            await asyncio.wait(late)

    def hold(self) -> None:
        """Count the current task as in flight until it ends."""
        task = asyncio.current_task()
        if task is not None and task not in self._tasks:
            self._tasks.add(task)
            self._metrics.in_flight.inc()
            task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self._metrics.in_flight.dec()


def _bind_to_log(request: Request) -> None:
    """Bind the request to the log context. Bolt runs each listener in its own task, so no other request sees it."""
    meeting_id = request.meeting_id
    structlog.contextvars.bind_contextvars(
        command_id=secrets.token_hex(4),
        action=request.action,
        team=request.team_id,
        user=request.user_id,
        channel=request.channel_id,
        **({"meeting": str(meeting_id)} if meeting_id else {}),
    )
