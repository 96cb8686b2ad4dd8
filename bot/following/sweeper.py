"""The sweeper: reads the list of all livestreams, which replaces most checks of single meetings.

A meeting that the list contradicts is due for a check at once, by any replica; the check of one that it confirms is
postponed. So the cost depends on the number of active livestreams, not of followed meetings, and a start is noticed
equally soon with one followed meeting as with thousands. Of the meetings that are not on air, a few after each list
are checked for a new title or a deletion, while there are requests to spare. If the list cannot be read or is
incomplete, meetings become due on their own, and are checked one by one as the rate limit allows.
"""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import structlog

from bot.clock import utc
from bot.domain.episode import STALE_AFTER, Phase
from bot.errors import RealtimeKitError
from bot.following.livestream_list import (
    PHASE_OF,
    LivestreamLister,
    LivestreamSnapshot,
    MismatchBackoff,
    due_for_check,
    find_changed,
    find_mismatches,
    read_snapshot,
)
from bot.following.rate_budget import BOT_LIMIT, RateBudget
from bot.following.schedule import QUIET_SECONDS, SLOWEST_SECONDS, ListFreshness
from bot.store.meetings import CHANGED, CONTRADICTED, UNSURE, WHOLE_LIST, Known, MeetingSweepStore
from bot.store.request_windows import WINDOW_SECONDS
from bot.store.singleton_jobs import SingletonJob, SingletonJobs
from bot.worker import WorkerContext, supervise

SWEEP_SECONDS = 15.0
_MAX_SWEEP_SECONDS = 45.0
"""Shorter than the time after which a meeting that a list confirmed is due for a check of its own."""
_BUDGET_SHARE = BOT_LIMIT / 2
"""The sweeper's share of the rate limit; the other half is for checks of the meetings that a list contradicts."""
_LEASE_SECONDS = 60.0
_POLL_SECONDS = 5.0
_MAX_PAUSE_SECONDS = 60.0
_JOB = "sweep"
_OUTCOME = "listed"
_REQUESTS_PER_CHECK = 3
"""One each for the livestream, the session and the meeting."""
_MAX_CHECKS_OF_A_CHANGE = 3
"""After this many checks, a difference between list and lookup counts as permanent."""
IDLE_CHECKS = 5
"""The most idle meetings that are checked after each list, which is at most twenty in a minute."""
IDLE_CHECK_SECONDS = 3600.0
"""The minimum time between two such checks of a meeting."""
_JITTER, _IDLE_JITTER = 0.1, 0.6

log = structlog.get_logger(__name__)


class Sweeper:
    """The sweeper of one process; one replica at a time reads the list."""

    def __init__(
        self,
        meetings: MeetingSweepStore,
        jobs: SingletonJobs,
        lister: LivestreamLister,
        rate_budget: RateBudget,
        list_freshness: ListFreshness,
        context: WorkerContext,
    ) -> None:
        """Prepare a sweeper. `list_freshness` passes the result of the last list to this process's poller."""
        self._meetings = meetings
        self._jobs = jobs
        self._lister = lister
        self._rate_budget = rate_budget
        self._list_freshness = list_freshness
        self._context = context
        self._clock = context.clock
        self._metrics = context.metrics
        # After a longer gap between lists, a live meeting may be in another session, which the list does not show.
        # Viewers see a shorter absence as the same broadcast.
        self._max_gap = max(context.grace.total_seconds(), QUIET_SECONDS)
        self._mismatches = MismatchBackoff()
        self._differences = MismatchBackoff(_MAX_CHECKS_OF_A_CHANGE)
        self._failures = 0
        self.first_run_done = asyncio.Event()
        """Set after the first pass, whatever its result."""

    async def run(self) -> None:
        """Read lists until cancelled."""
        await supervise("sweeper", self._run_once, self._clock)

    async def _run_once(self) -> float:
        try:
            return await self._sweep_if_due()
        finally:
            self.first_run_done.set()

    async def _sweep_if_due(self) -> float:
        """Read the list if it is due; return the seconds until the next pass."""
        if self._rate_budget.retry_after() > 0 or not self._rate_budget.can_list():
            return _POLL_SECONDS
        if not await self._meetings.is_anything_followed():
            return SWEEP_SECONDS
        job = await self._jobs.claim(_JOB, self._context.worker_id, _LEASE_SECONDS)
        if job is None:
            await self._sync_freshness()
            return _POLL_SECONDS
        return await self._sweep(job)

    async def _sweep(self, job: SingletonJob) -> float:
        started_at = self._clock.now()
        try:
            snapshot = await read_snapshot(self._lister, utc(self._clock))
        except RealtimeKitError as error:
            self._failures += 1
            self._list_freshness.record(self._clock.now(), is_complete=False)
            pause: float = min(SWEEP_SECONDS * 2 ** min(self._failures - 1, 5), _MAX_PAUSE_SECONDS)
            log.warning("livestream_list_failed", error=str(error), retry_in=pause)
            await self._jobs.release(job, next_run_in=pause)
            return pause
        self._failures = 0
        pause = min(max(SWEEP_SECONDS, snapshot.pages * WINDOW_SECONDS / _BUDGET_SHARE), _MAX_SWEEP_SECONDS)
        await self._compare(snapshot, pause, after_gap=job.last_run_ago is None or job.last_run_ago > self._max_gap)
        # Only after the contradicted meetings are due: the list counts as a check of all the others.
        await self._record(started_at, is_complete=snapshot.is_complete)
        await self._jobs.complete(job, next_run_in=pause)
        if snapshot.is_complete:
            await self._confirm_idle()
            await self._check_idle()
        return pause

    async def _record(self, started_at: float, *, is_complete: bool) -> None:
        now = self._clock.now()
        self._list_freshness.record(now, is_complete=is_complete)
        if is_complete:
            await self._jobs.record(WHOLE_LIST, now - started_at)
            # Count one observation for all idle meetings.
            self._metrics.observations.labels(_OUTCOME).inc()

    async def _sync_freshness(self) -> None:
        """Read when any replica last read a full list."""
        ago = await self._jobs.seconds_since(WHOLE_LIST)
        self._list_freshness.record(self._clock.now() - (ago or 0.0), is_complete=ago is not None)

    async def _compare(self, snapshot: LivestreamSnapshot, next_in: float, *, after_gap: bool) -> None:
        known = await self._meetings.on_air()
        known |= await self._meetings.known([each for each in snapshot.livestreams if each not in known])
        now = self._clock.now()
        to_check = {
            CONTRADICTED: self._mismatches.due(find_mismatches(known, snapshot), now),
            CHANGED: self._differences.due(find_changed(known, snapshot), now),
            # After a gap, a confirmed live meeting may be in another session.
            UNSURE: self._confirmed(known, snapshot, Phase.LIVE) if after_gap else [],
        }
        being_checked = {meeting_id for meeting_ids in to_check.values() for meeting_id in meeting_ids}
        spare = self._rate_budget.spare()
        spare_checks = max(1, int(spare / _REQUESTS_PER_CHECK)) if spare > 0 else 0
        due = due_for_check(known, snapshot, utc(self._clock), next_in)
        routine = [each for each in due if each not in being_checked][:spare_checks]
        due_now = [await self._meetings.prioritize(meeting_ids, rank) for rank, meeting_ids in to_check.items()]
        if sum(due_now) + await self._meetings.make_due(routine):
            self._context.wake_ups.poller.set()
        being_checked.update(routine)
        for phase in PHASE_OF.values():
            confirmed = self._confirmed(known, snapshot, phase)
            await self._confirm(phase, [each for each in confirmed if each not in being_checked])

    @staticmethod
    def _confirmed(known: Mapping[UUID, Known], snapshot: LivestreamSnapshot, phase: Phase) -> list[UUID]:
        listed = {meeting_id for meeting_id, each in snapshot.livestreams.items() if PHASE_OF[each.status] is phase}
        return [meeting_id for meeting_id, each in known.items() if each.phase == phase and meeting_id in listed]

    async def _confirm(self, phase: Phase, meeting_ids: list[UUID]) -> None:
        next_check_in = QUIET_SECONDS * (1 - _JITTER * self._context.jitter())
        confirmed = await self._meetings.confirm(meeting_ids, phase, failures=STALE_AFTER, next_check_in=next_check_in)
        self._metrics.observations.labels(_OUTCOME).inc(confirmed)

    async def _confirm_idle(self) -> None:
        confirmed = 1
        while confirmed:
            # A different interval for each batch, so that they do not all become due together if lists stop.
            next_check_in = SLOWEST_SECONDS * (1 - _IDLE_JITTER * self._context.jitter())
            confirmed = await self._meetings.confirm_idle(failures=STALE_AFTER, next_check_in=next_check_in)
            self._metrics.observations.labels(_OUTCOME).inc(confirmed)

    async def _check_idle(self) -> None:
        """Have some idle meetings checked, if more than half of the requests for checks are left."""
        is_spare = self._rate_budget.delay() == 0
        if is_spare and await self._meetings.make_idle_due(IDLE_CHECKS, unchecked_for=IDLE_CHECK_SECONDS):
            self._context.wake_ups.poller.set()
