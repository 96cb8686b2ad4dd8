"""The maintenance worker: expires follows, purges old rows, resumes follows, sends notices and updates gauges."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bot.clock import Clock, wait
from bot.errors import DatabaseUnavailable
from bot.metrics import Metrics
from bot.store.maintenance import Maintenance, StoreStats

INTERVAL_SECONDS = 15.0
PURGE_EVERY = 240
"""Every 240th run also purges, which is once an hour."""
RETENTION_SECONDS = 30 * 24 * 3600.0
"""How long a past episode's rows are kept. Its messages stay in Slack."""

log = structlog.get_logger(__name__)


class MaintenanceWorker:
    """The maintenance loop, which runs every 15 seconds. Any number of replicas may run it at once."""

    def __init__(
        self,
        store: Maintenance,
        *,
        catch_up: Callable[[], Awaitable[None]],
        send_notices: Callable[[], Awaitable[None]],
        requests_remaining: Callable[[], int],
        wake_announcer: Callable[[], None],
        clock: Clock,
        metrics: Metrics,
        purge_every: int = PURGE_EVERY,
    ) -> None:
        """Prepare the worker.

        `catch_up` resumes paused follows whose invitation was missed, and `send_notices` sends the notices about paused
        follows. `wake_announcer` is called for follows that have expired.
        """
        self._store = store
        self._catch_up = catch_up
        self._send_notices = send_notices
        self._requests_remaining = requests_remaining
        self._wake_announcer = wake_announcer
        self._clock = clock
        self._metrics = metrics
        self._purge_every = purge_every
        self._runs = 0
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Run maintenance until cancelled."""
        while True:
            await self._run_once()
            await wait(self._woken, INTERVAL_SECONDS, self._clock)

    def wake(self) -> None:
        """Run maintenance now, for a notice that is due."""
        self._woken.set()

    async def _run_once(self) -> None:
        try:
            if expired := await self._store.expire():
                log.info("follows_expired", follows=len(expired))
                self._wake_announcer()
            self._runs += 1
            if self._runs % self._purge_every == 1 and (rows := await self._store.purge(RETENTION_SECONDS)):
                log.info("rows_purged", rows=rows)
            await self._catch_up()
            await self._send_notices()
            self._export(await self._store.stats())
        except DatabaseUnavailable as error:
            log.warning("database_unavailable", detail=error.detail)
        except Exception:
            # The failure may be transient; the loop must continue.
            log.exception("maintenance_failed")

    def _export(self, stats: StoreStats) -> None:
        for state, number in stats.follows.items():
            self._metrics.follows.labels(state).set(number)
        self._metrics.unsent.set(stats.unsent)
        self._metrics.oldest_unsent_seconds.set(stats.oldest_unsent_seconds)
        self._metrics.meetings_due.set(stats.meetings_due)
        self._metrics.cards_due.set(stats.cards_due)
        self._metrics.budget_left.set(self._requests_remaining())
