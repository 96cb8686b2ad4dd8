"""The workers of one process, wired together: poller, sweeper, announcer and maintenance."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from uuid import UUID

import structlog

from bot.clock import Clock, wait
from bot.domain.episode import Phase
from bot.domain.observation import Status
from bot.errors import DatabaseUnavailable
from bot.following.livestream_list import LivestreamLister
from bot.following.maintenance import MaintenanceWorker
from bot.following.poller import MeetingPoller
from bot.following.rate_budget import RateBudget
from bot.following.schedule import ListFreshness
from bot.following.service import FollowService
from bot.following.sweeper import Sweeper
from bot.metrics import Metrics
from bot.notifications.announcer import Announcer
from bot.notifications.missed_invitations import MissedInvitations
from bot.notifications.pause_notices import PauseNotifier
from bot.realtimekit.lookup import Lookup
from bot.slack.publisher import Publisher
from bot.store.store import Store
from bot.wording import Wording

FIRST_SWEEP_SECONDS = 30.0
"""How long checks wait for the first list at most."""
CONTRADICTED_PHASES = {
    Status.LIVE: frozenset(Phase) - {Phase.LIVE},
    Status.STARTING: frozenset({Phase.WAITING, Phase.LIVE, Phase.ENDED}),
    Status.ERRORED: frozenset({Phase.STARTING, Phase.LIVE}),
    Status.NOT_BROADCASTING: frozenset({Phase.STARTING, Phase.LIVE, Phase.ERRORED}),
}
"""By a lookup's status, the phases in which a check is worth a request. Cloudflare may report an error long after the
end, so an error contradicts only what is on air."""

log = structlog.get_logger(__name__)


class BackgroundWorkers:
    """All workers of one process. They work inside `running`."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        *,
        look_up: Callable[[UUID], Awaitable[Lookup]],
        look_up_for_people: Callable[[UUID], Awaitable[Lookup]],
        lister: LivestreamLister,
        rate_budget: RateBudget,
        retry_after: Callable[[], float],
        grace: timedelta,
        clock: Clock,
        metrics: Metrics,
        wording: Callable[[], Wording] = Wording,
    ) -> None:
        worker_id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        list_freshness = ListFreshness()
        notices = PauseNotifier(store.pauses, store.singleton_jobs, publisher, worker_id, wording)
        self._store = store
        self._comparing: set[asyncio.Task[None]] = set()
        self._clock = clock
        self._rate_budget = rate_budget
        self._announcer = Announcer(
            store.card_queue, store.pauses, publisher, clock, metrics, worker_id, self._notice, wording
        )
        self._poller = MeetingPoller(
            store.meeting_queue,
            look_up,
            rate_budget=rate_budget,
            retry_after=retry_after,
            clock=clock,
            grace=grace,
            metrics=metrics,
            worker_id=worker_id,
            wake_announcer=self._announcer.wake,
            list_freshness=list_freshness,
        )
        self._sweeper = Sweeper(
            store.meeting_sweeps,
            store.singleton_jobs,
            lister,
            rate_budget=rate_budget,
            retry_after=retry_after,
            clock=clock,
            grace=grace,
            metrics=metrics,
            worker_id=worker_id,
            wake_poller=self._poller.wake,
            list_freshness=list_freshness,
        )
        self.following = FollowService(
            store, look_up_for_people, self._announcer.deliver, self._announcer.wake, self._poller.wake, worker_id
        )
        invitations = MissedInvitations(
            store.pauses, store.singleton_jobs, publisher, self.following.resume, worker_id, clock
        )
        self._maintenance = MaintenanceWorker(
            store.maintenance,
            catch_up=invitations.catch_up,
            send_notices=notices.send_due,
            requests_remaining=lambda: rate_budget.remaining,
            wake_announcer=self._announcer.wake,
            clock=clock,
            metrics=metrics,
        )

    def stop(self) -> None:
        """Begin no more cards; those in progress continue until `running` ends."""
        self._announcer.stop()

    def _notice(self) -> None:
        """Send the creator of a paused follow a notice now, not at the next maintenance run."""
        self._maintenance.wake()

    async def hint(self, meeting_id: UUID) -> bool:
        """Request a check of the meeting; return False if it is not followed. Raises DatabaseUnavailable."""
        followed = await self._store.meeting_queue.request_check(meeting_id)
        if followed:
            self._poller.on_webhook(meeting_id)
        return followed

    def compare(self, lookup: Lookup) -> None:
        """Request a check if a person's lookup contradicts a followed meeting's phase, without delaying the person.

        A list that omits a livestream, or lists one that is over, would otherwise hide the change for a long time.
        """
        phases = CONTRADICTED_PHASES.get(lookup.status)
        if phases is not None:
            task = asyncio.create_task(self._hint_in(phases, lookup.meeting_id))
            self._comparing.add(task)
            task.add_done_callback(self._comparing.discard)

    async def _hint_in(self, phases: Collection[Phase], meeting_id: UUID) -> None:
        try:
            if await self._store.meeting_queue.request_check(meeting_id, phases):
                self._poller.wake()
        except DatabaseUnavailable as error:
            log.info("lookup_not_compared", meeting_id=str(meeting_id), error=error.detail)
        except Exception:
            log.exception("lookup_not_compared", meeting_id=str(meeting_id))

    @property
    def checks(self) -> Mapping[str, Callable[[], Awaitable[str | None]]]:
        """The checks for readiness, by name; each returns a sentence about a problem, or None."""

        async def announcer() -> str | None:
            return self._announcer.stall_problem()

        async def tracker() -> str | None:
            return self._poller.stall_problem()

        return {"database": self._store.check, "announcer": announcer, "tracker": tracker}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the workers until the block ends, then finish the cards in progress."""
        parts = (self._rate_budget, self._sweeper, self._announcer)
        tasks = [asyncio.create_task(part.run(), name=type(part).__name__) for part in parts]
        later = (self._poller, self._maintenance)
        tasks += [asyncio.create_task(self._after_first_sweep(part.run), name=type(part).__name__) for part in later]
        try:
            yield
        finally:
            tasks += self._comparing
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _after_first_sweep(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run a worker after the first list was read.

        After an outage all meetings are due at once, and one list shows that most have not changed. Also, the follows
        of a meeting on air must not expire before the bot sees that it is.
        """
        await wait(self._sweeper.first_run_done, FIRST_SWEEP_SECONDS, self._clock)
        await run()
