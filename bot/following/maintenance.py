"""The maintenance worker: expires follows, purges old rows, resumes follows, sends notices and updates gauges."""

from typing import Protocol

import structlog

from bot.following.rate_budget import RateBudget
from bot.store.maintenance import Maintenance, StoreStats
from bot.worker import WorkerContext, supervise

INTERVAL_SECONDS = 15.0
PURGE_EVERY = 240
"""Every 240th run also purges, which is once an hour."""
RETENTION_SECONDS = 30 * 24 * 3600.0
"""How long a past episode's rows are kept. Its messages stay in Slack."""

log = structlog.get_logger(__name__)


class Job(Protocol):
    """Work that every run does, if it is due."""

    async def run(self) -> None:
        """Do the work. Raises DatabaseUnavailable."""
        ...


class MaintenanceWorker:
    """The maintenance loop, which runs every 15 seconds. Any number of replicas may run it at once."""

    def __init__(
        self,
        store: Maintenance,
        invitations: Job,
        notices: Job,
        rate_budget: RateBudget,
        context: WorkerContext,
        purge_every: int = PURGE_EVERY,
    ) -> None:
        """Prepare the worker.

        `invitations` resumes paused follows whose invitation was missed; `notices` sends the notices about paused
        follows.
        """
        self._store = store
        self._jobs = (invitations, notices)
        self._rate_budget = rate_budget
        self._context = context
        self._metrics = context.metrics
        self._purge_every = purge_every
        self._runs = 0

    async def run(self) -> None:
        """Run maintenance until cancelled."""
        wake_up = self._context.wake_ups.maintenance
        await supervise("maintenance", self._run_once, self._context.clock, wake_up)

    async def _run_once(self) -> float:
        if expired := await self._store.expire():
            log.info("follows_expired", follows=len(expired))
            self._context.wake_ups.announcer.set()
        self._runs += 1
        if self._runs % self._purge_every == 1 and (rows := await self._store.purge(RETENTION_SECONDS)):
            log.info("rows_purged", rows=rows)
        for job in self._jobs:
            await job.run()
        self._export(await self._store.stats())
        return INTERVAL_SECONDS

    def _export(self, stats: StoreStats) -> None:
        for state, number in stats.follows.items():
            self._metrics.follows.labels(state).set(number)
        self._metrics.unsent.set(stats.unsent)
        self._metrics.oldest_unsent_seconds.set(stats.oldest_unsent_seconds)
        self._metrics.meetings_due.set(stats.meetings_due)
        self._metrics.cards_due.set(stats.cards_due)
        self._metrics.requests_remaining.set(self._rate_budget.remaining)
