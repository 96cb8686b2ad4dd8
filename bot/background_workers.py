"""The workers of one process, wired together: poller, sweeper, announcer and maintenance."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from uuid import UUID

import structlog

from bot.clock import wait
from bot.domain.episode import Phase
from bot.domain.observation import Status
from bot.errors import DatabaseUnavailable
from bot.following.maintenance import MaintenanceWorker
from bot.following.poller import MeetingPoller
from bot.following.rate_budget import RateBudget
from bot.following.schedule import ListFreshness
from bot.following.service import FollowService
from bot.following.sweeper import Sweeper
from bot.livestream_sources import LivestreamSources
from bot.notifications.announcer import Announcer
from bot.notifications.missed_invitations import MissedInvitations
from bot.notifications.pause_notices import PauseNotifier
from bot.realtimekit.lookup import Lookup
from bot.slack.publisher import Publisher
from bot.store.meetings import Known
from bot.store.schema import IDLE_PHASES
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
"""By a lookup's status, the phases that it contradicts. Cloudflare may report an error long after the end, so an error
contradicts only what is on air."""

log = structlog.get_logger(__name__)


def is_outdated(lookup: Lookup | None, known: Known) -> bool:
    """Return whether a check would change what is known of a meeting; `lookup` is None if it does not exist."""
    status = Status.NOT_BROADCASTING if lookup is None else lookup.status
    if known.phase in CONTRADICTED_PHASES.get(status, ()):
        return True
    if lookup is None or known.episode.get("is_missing"):
        return known.phase in IDLE_PHASES and bool(known.episode.get("is_missing")) is (lookup is not None)
    has_new_title = lookup.name_is_certain and lookup.name not in (None, known.episode.get("name"))
    return known.phase == Phase.WAITING and status is Status.NOT_BROADCASTING and has_new_title


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
        self._poller = MeetingPoller(
            store.meeting_queue, sources.check, sources.check_for_person, rate_budget, list_freshness, context
        )
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

    def compare(self, meeting_id: UUID, lookup: Lookup | None) -> None:
        """Request a check if a person's lookup contradicts what is known of a followed meeting, without delaying them.

        `lookup` is None if Cloudflare has no such meeting. A list that omits a livestream, or lists one that is over,
        would otherwise hide the change for a long time, and no list shows a waiting meeting's title.
        """
        task = asyncio.create_task(self._request_check(meeting_id, functools.partial(is_outdated, lookup)))
        self._comparing.add(task)
        task.add_done_callback(self._comparing.discard)

    async def _request_check(self, meeting_id: UUID, condition: Callable[[Known], bool]) -> None:
        try:
            if await self._store.meeting_queue.request_check(meeting_id, condition):
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
