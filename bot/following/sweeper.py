"""The sweeper: reads the list of all livestreams, which replaces most checks of single meetings.

A meeting that the list contradicts is due for a check at once, by any replica; the check of one that it confirms is
postponed. So the cost depends on the number of active livestreams, not of followed meetings, and a start is noticed
equally soon with one followed meeting as with thousands. If the list cannot be read or is incomplete, meetings become
due on their own, and are checked one by one as the rate limit allows.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import UUID

import structlog

from bot.clock import Clock, utc
from bot.domain.episode import STALE_AFTER, Phase
from bot.errors import DatabaseUnavailable, RealtimeKitError
from bot.following.livestream_list import (
    PHASE_OF,
    LivestreamLister,
    LivestreamSnapshot,
    MismatchBackoff,
    changed,
    due_for_check,
    find_mismatches,
    read_listing,
)
from bot.following.rate_budget import TRACKER_LIMIT, RateBudget
from bot.following.schedule import QUIET_SECONDS, SLOWEST_SECONDS, ListFreshness
from bot.metrics import Metrics
from bot.store.meeting_sweeps import CHANGED, CONTRADICTED, UNSURE, Known, MeetingSweepStore
from bot.store.meetings import WHOLE_LIST
from bot.store.request_windows import WINDOW_SECONDS
from bot.store.singleton_jobs import SingletonJob, SingletonJobs

SWEEP_SECONDS = 15.0
_SLOWEST_SWEEP = 45.0
"""Shorter than the time after which a meeting that a list confirmed is due for a check of its own."""
_SHARE = TRACKER_LIMIT / 2
"""The sweeper's share of the rate limit; the other half is for checking what the list contradicts."""
_LEASE_SECONDS = 60.0
_POLL_SECONDS = 5.0
_LONGEST_PAUSE = 60.0
_DUTY = "sweep"
_OUTCOME = "listed"
_REQUESTS_PER_CHECK = 3
"""One each for the livestream, the session and the meeting."""
_CHECKS_OF_A_CHANGE = 3
"""After this many checks, a difference between list and lookup is taken to be permanent."""
_SPREAD, _RESTING_SPREAD = 0.1, 0.6

log = structlog.get_logger(__name__)


class Sweeper:
    """The sweeper of one process; one replica at a time reads the list."""

    def __init__(
        self,
        sweeping: MeetingSweepStore,
        duties: SingletonJobs,
        lists: LivestreamLister,
        *,
        allowance: RateBudget,
        quota_wait: Callable[[], float],
        clock: Clock,
        grace: timedelta,
        metrics: Metrics,
        owner: str,
        wake: Callable[[], None],
        sweeps: ListFreshness,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Prepare a sweeper.

        `wake` wakes this process's poller; `sweeps` passes it the result of the last list. The other arguments are like
        the poller's.
        """
        self._sweeping = sweeping
        self._duties = duties
        self._lists = lists
        self._allowance = allowance
        self._quota_wait = quota_wait
        self._clock = clock
        # After a longer gap between lists, a live meeting may be in another session, which the list does not show.
        # Viewers see a shorter absence as the same broadcast.
        self._gap = max(grace.total_seconds(), QUIET_SECONDS)
        self._metrics = metrics
        self._owner = owner
        self._wake = wake
        self._sweeps = sweeps
        self._jitter = jitter
        self._doubts = MismatchBackoff()
        self._changes = MismatchBackoff(_CHECKS_OF_A_CHANGE)
        self._failures = 0
        self.first_run_done = asyncio.Event()
        """Set after the first pass, whatever its result."""

    async def run(self) -> None:
        """Read lists until cancelled."""
        while True:
            try:
                seconds = await self._run_once()
            except DatabaseUnavailable as error:
                log.warning("database_unavailable", error=error.detail)
                seconds = _POLL_SECONDS
            except Exception:
                log.exception("sweep_failed")
                seconds = SWEEP_SECONDS
            self.first_run_done.set()
            await self._clock.sleep(seconds)

    async def _run_once(self) -> float:
        """Read the list if it is due; return the seconds until the next pass."""
        if self._quota_wait() > 0 or not self._allowance.can_list():
            return _POLL_SECONDS
        if not await self._sweeping.is_anything_followed():
            return SWEEP_SECONDS
        duty = await self._duties.claim(_DUTY, self._owner, _LEASE_SECONDS)
        if duty is None:
            await self._sync_freshness()
            return _POLL_SECONDS
        return await self._sweep(duty)

    async def _sweep(self, duty: SingletonJob) -> float:
        began = self._clock.now()
        try:
            listing = await read_listing(self._lists)
        except RealtimeKitError as error:
            self._failures += 1
            self._sweeps.note(self._clock.now(), whole=False)
            pause: float = min(SWEEP_SECONDS * 2 ** min(self._failures - 1, 5), _LONGEST_PAUSE)
            log.warning("livestream_list_failed", error=str(error), retry_in=pause)
            await self._duties.release(duty, again_in=pause)
            return pause
        self._failures = 0
        pause = min(max(SWEEP_SECONDS, listing.pages * WINDOW_SECONDS / _SHARE), _SLOWEST_SWEEP)
        await self._compare(listing, pause, after_gap=duty.done_ago is None or duty.done_ago > self._gap)
        # Only after the contradicted meetings are due: the list counts as a check of all the others.
        await self._record(began, whole=listing.whole)
        await self._duties.complete(duty, again_in=pause)
        if listing.whole:
            await self._confirm_idle()
        return pause

    async def _record(self, began: float, *, whole: bool) -> None:
        now = self._clock.now()
        self._sweeps.note(now, whole=whole)
        if whole:
            await self._duties.record(WHOLE_LIST, now - began)
            # Count one observation for all idle meetings.
            self._metrics.observations.labels(_OUTCOME).inc()

    async def _sync_freshness(self) -> None:
        """Read the time that the replica with the job recorded for the last full list."""
        ago = await self._duties.seconds_since(WHOLE_LIST)
        self._sweeps.note(self._clock.now() - (ago or 0.0), whole=ago is not None)

    async def _compare(self, listing: LivestreamSnapshot, next_in: float, *, after_gap: bool) -> None:
        known = await self._sweeping.on_air()
        known |= await self._sweeping.known([each for each in listing.livestreams if each not in known])
        now = self._clock.now()
        to_check = {
            CONTRADICTED: self._doubts.due(find_mismatches(known, listing), now),
            CHANGED: self._changes.due(changed(known, listing), now),
            # After a gap, a confirmed live meeting may be in another session.
            UNSURE: self._confirmed(known, listing, Phase.LIVE) if after_gap else [],
        }
        being_checked = {meeting_id for meeting_ids in to_check.values() for meeting_id in meeting_ids}
        due = due_for_check(known, listing, utc(self._clock), next_in)
        routine = [each for each in due if each not in being_checked][: self._spare_checks()]
        due_now = [await self._sweeping.prioritize(meeting_ids, rank) for rank, meeting_ids in to_check.items()]
        if sum(due_now) + await self._sweeping.look_soon(routine):
            self._wake()
        being_checked.update(routine)
        for phase in PHASE_OF.values():
            confirmed = self._confirmed(known, listing, phase)
            await self._confirm(phase, [each for each in confirmed if each not in being_checked])

    def _spare_checks(self) -> int:
        spare = self._allowance.spare()
        return max(1, int(spare / _REQUESTS_PER_CHECK)) if spare > 0 else 0

    @staticmethod
    def _confirmed(known: Mapping[UUID, Known], listing: LivestreamSnapshot, phase: Phase) -> list[UUID]:
        listed = {meeting_id for meeting_id, each in listing.livestreams.items() if PHASE_OF[each.status] is phase}
        return [meeting_id for meeting_id, each in known.items() if each.phase == phase and meeting_id in listed]

    async def _confirm(self, phase: Phase, meeting_ids: list[UUID]) -> None:
        next_check_in = QUIET_SECONDS * (1 - _SPREAD * self._jitter())
        settled = await self._sweeping.confirm(meeting_ids, phase, failures=STALE_AFTER, next_check_in=next_check_in)
        self._metrics.observations.labels(_OUTCOME).inc(settled)

    async def _confirm_idle(self) -> None:
        settled = 1
        while settled:
            # A different interval for each batch, so that they do not all become due together if lists stop.
            next_check_in = SLOWEST_SECONDS * (1 - _RESTING_SPREAD * self._jitter())
            settled = await self._sweeping.confirm_idle(failures=STALE_AFTER, next_check_in=next_check_in)
            self._metrics.observations.labels(_OUTCOME).inc(settled)
