"""The workers of one process, wired together: poller, sweeper, announcer and maintenance."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog

from bot.clock import wait
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
from bot.notifications.announcer import Announcer
from bot.notifications.missed_invitations import MissedInvitations
from bot.notifications.pause_notices import PauseNotifier
from bot.realtimekit.lookup import Lookup
from bot.slack.publisher import Publisher
from bot.store.store import Store
from bot.worker import WorkerContext

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


@dataclass(frozen=True, slots=True)
class LivestreamSources:
    """Where the workers learn about livestreams. Each source raises RealtimeKitError."""

    look_up: Callable[[UUID], Awaitable[Lookup]]
    look_up_for_people: Callable[[UUID], Awaitable[Lookup]]
    """The same, counted and cached for people."""
    lister: LivestreamLister


class BackgroundWorkers:
    """All workers of one process. They work inside `running`."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        sources: LivestreamSources,
        rate_budget: RateBudget,
        context: WorkerContext,
    ) -> None:
        self._store = store
        self._rate_budget = rate_budget
        self._clock = context.clock
        self._wake_ups = context.wake_ups
        self._comparing: set[asyncio.Task[None]] = set()
        list_freshness = ListFreshness()
        self._announcer = Announcer(store.card_queue, store.pauses, publisher, context)
        self._poller = MeetingPoller(store.meeting_queue, sources.look_up, rate_budget, list_freshness, context)
        self._sweeper = Sweeper(
            store.meeting_sweeps, store.singleton_jobs, sources.lister, rate_budget, list_freshness, context
        )
        self.following = FollowService(
            store, sources.look_up_for_people, self._announcer.deliver, context.wake_ups, context.worker_id
        )
        invitations = MissedInvitations(store.pauses, store.singleton_jobs, publisher, self.following.resume, context)
        notices = PauseNotifier(store.pauses, store.singleton_jobs, publisher, context)
        self._maintenance = MaintenanceWorker(store.maintenance, invitations, notices, rate_budget, context)

    def stop(self) -> None:
        """Begin no more cards; those in progress continue until `running` ends."""
        self._announcer.stop()

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
                self._wake_ups.poller.set()
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
