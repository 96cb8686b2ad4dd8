"""The maintenance worker: expires follows, purges old rows, resumes, sends notices and updates gauges."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bot.clock import Clock, wait
from bot.errors import DatabaseUnavailable
from bot.metrics import Metrics
from bot.store.maintenance import Maintenance, StoreStats

TURN_SECONDS = 15.0
PURGE_TURNS = 240
"""An hour."""
RETENTION_SECONDS = 30 * 24 * 3600.0
"""How long a past episode's rows are kept. Its messages stay in Slack."""

log = structlog.get_logger(__name__)


class MaintenanceWorker:
    """The maintenance loop, which runs every 15 seconds. Any number of replicas may run it at once."""

    def __init__(
        self,
        housekeeping: Maintenance,
        *,
        catch_up: Callable[[], Awaitable[None]],
        tell_creators: Callable[[], Awaitable[None]],
        budget_left: Callable[[], int],
        something_is_due: Callable[[], None],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Prepare the worker.

        `catch_up` resumes paused follows whose invitation was missed.
        `tell_creators` sends the notices about paused follows; `something_is_due` wakes the announcer for expired ones.
        """
        self._housekeeping = housekeeping
        self._catch_up = catch_up
        self._tell_creators = tell_creators
        self._budget_left = budget_left
        self._something_is_due = something_is_due
        self._clock = clock
        self._metrics = metrics
        self._turns = 0
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Run maintenance until cancelled."""
        while True:
            await self._run_once()
            await wait(self._woken, TURN_SECONDS, self._clock)

    def wake(self) -> None:
        """Run maintenance now, for a notice that is due."""
        self._woken.set()

    async def _run_once(self) -> None:
        try:
            await self._expire()
            await self._purge()
            await self._catch_up()
            await self._tell_creators()
            self._export(await self._housekeeping.stats())
        except DatabaseUnavailable as error:
            log.warning("database_unavailable", detail=error.detail)
        except Exception:
            # The failure may be transient; the loop must continue.
            log.exception("maintenance_failed")

    async def _expire(self) -> None:
        expired = await self._housekeeping.expire()
        if expired:
            log.info("follows_expired", follows=len(expired))
            self._something_is_due()

    async def _purge(self) -> None:
        self._turns += 1
        if self._turns % PURGE_TURNS != 1:
            return
        rows = await self._housekeeping.purge(RETENTION_SECONDS)
        if rows:
            log.info("rows_purged", rows=rows)

    def _export(self, standing: StoreStats) -> None:
        for state, number in standing.follows.items():
            self._metrics.follows.labels(state).set(number)
        self._metrics.unsent.set(standing.unsent)
        self._metrics.oldest_unsent_seconds.set(standing.oldest_unsent_seconds)
        self._metrics.meetings_due.set(standing.meetings_due)
        self._metrics.cards_due.set(standing.cards_due)
        self._metrics.budget_left.set(self._budget_left())
