"""Readiness: time-limited checks of the bot's dependencies, and their metric."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog

from bot.metrics import Metrics

CHECK_SECONDS = 3.0
"""Shorter than the timeouts of Kubernetes' probe and of Prometheus."""

OPTIONAL_CHECKS = ("socket_mode",)
"""Checks of only one mode. Every mode accepts their names, so that one probe fits all modes."""

Check = Callable[[], Awaitable[str | None]]
"""A check: returns a sentence about the problem, or None if there is none."""

log = structlog.get_logger(__name__)


class Readiness:
    """Runs all checks concurrently, waits at most CHECK_SECONDS for each, and sets the metric."""

    def __init__(self, checks: Mapping[str, Check], metrics: Metrics) -> None:
        self._checks = checks
        self._metrics = metrics
        self._under_way: dict[str, tuple[asyncio.Task[str | None], float]] = {}

    @property
    def names(self) -> list[str]:
        """The names of all checks, including those of other modes."""
        return sorted({*self._checks, *OPTIONAL_CHECKS})

    async def run(self, exclude: Collection[str] = ()) -> dict[str, str]:
        """Return the problems by the checks' names, leaving out the checks in `exclude`."""
        names = [name for name in self._checks if name not in exclude]
        found = await asyncio.gather(*map(self._check, names))
        return {name: problem for name, problem in zip(names, found, strict=True) if problem}

    async def _check(self, name: str) -> str | None:
        task, deadline = self._start(name)
        # A late check continues: cancelling it would block until a locked database releases the lock.
        await asyncio.wait([task], timeout=max(0, deadline - asyncio.get_running_loop().time()))
        problem = task.result() if task.done() else f"No answer within {CHECK_SECONDS:g} seconds."
        self._metrics.ready.labels(name).set(not problem)
        return problem

    def _start(self, name: str) -> tuple[asyncio.Task[str | None], float]:
        """Return the running check and its deadline, starting it if necessary. All callers share one that hangs."""
        if name not in self._under_way:
            task = asyncio.create_task(self._run(name), name=f"check of {name}")
            self._under_way[name] = task, asyncio.get_running_loop().time() + CHECK_SECONDS
            task.add_done_callback(lambda _: self._under_way.pop(name))
        return self._under_way[name]

    async def _run(self, name: str) -> str | None:
        try:
            return await self._checks[name]()
        except Exception:
            log.exception("readiness_check_failed", check=name)
            return "The check itself failed. See the log."
