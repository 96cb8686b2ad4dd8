"""Whether the bot is ready: what it depends on is checked, each part in bounded time, and measured."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping

import structlog

from bot.metrics import Metrics

CHECK_SECONDS = 3.0
"""Less than Kubernetes' probe and Prometheus wait for an answer."""

OPTIONAL_CHECKS = ("socket_mode",)
"""Made in one of the modes only. Their names are known in every mode, so that one probe fits all."""

Check = Callable[[], Awaitable[str | None]]
"""What is not ready, in a sentence, or None."""

log = structlog.get_logger(__name__)


class Readiness:
    """Makes all checks at once, waits for each no longer than CHECK_SECONDS, and sets the metric."""

    def __init__(self, checks: Mapping[str, Check], metrics: Metrics) -> None:
        self._checks = checks
        self._metrics = metrics
        self._under_way: dict[str, tuple[asyncio.Task[str | None], float]] = {}

    @property
    def names(self) -> list[str]:
        """The names of all checks, also of those that this bot's mode leaves out."""
        return sorted({*self._checks, *OPTIONAL_CHECKS})

    async def problems(self, without: Collection[str] = ()) -> dict[str, str]:
        """Return what is not ready, by the check's name. Checks in `without` are left out."""
        names = [name for name in self._checks if name not in without]
        found = await asyncio.gather(*map(self._problem, names))
        return {name: problem for name, problem in zip(names, found, strict=True) if problem}

    async def _problem(self, name: str) -> str | None:
        task, deadline = self._begun(name)
        # It goes on when it is late: to cancel it would take until a locked database lets go.
        await asyncio.wait([task], timeout=max(0, deadline - asyncio.get_running_loop().time()))
        problem = task.result() if task.done() else f"It did not answer within {CHECK_SECONDS:g} seconds."
        self._metrics.ready.labels(name).set(not problem)
        return problem

    def _begun(self, name: str) -> tuple[asyncio.Task[str | None], float]:
        """The check, and when it is late. One that hangs is shared by all who ask, so that it hangs once."""
        if name not in self._under_way:
            task = asyncio.create_task(self._made(name), name=f"check of {name}")
            self._under_way[name] = task, asyncio.get_running_loop().time() + CHECK_SECONDS
            task.add_done_callback(lambda _: self._under_way.pop(name))
        return self._under_way[name]

    async def _made(self, name: str) -> str | None:
        try:
            return await self._checks[name]()
        except Exception:
            log.exception("check_broke", check=name)
            return "The check itself broke: see the log."
