"""The poller: checks followed meetings when they are due, and records the observations.

Any number of replicas may poll at once: each claims due meetings with a lease, and only the lease's holder may record.
A webhook or a person can request a check, which makes the meeting due and says nothing about its state. Checks that
only a person wants are few at a time and count as people's requests, so they delay no others.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from cachetools import LRUCache

from bot.domain.episode import Change, ChangeKind, Episode, Phase, card_key, ended_by
from bot.domain.observation import CheckFailed, CheckResult, Observation, Status
from bot.domain.transitions import advance
from bot.errors import DatabaseUnavailable, MeetingNotFound, RealtimeKitError
from bot.following.rate_budget import RateBudget
from bot.following.schedule import ListFreshness, WebhookTrust, next_check_in
from bot.realtimekit.lookup import Lookup, observation_of
from bot.store.leases import LeaseLost
from bot.store.meeting_queue import DueMeeting, MeetingQueue
from bot.worker import WorkerContext, supervise

MAX_CONCURRENT_CHECKS = 16
MAX_CONCURRENT_REFRESHES = 4
"""Checks that only a person requested; they are not among the other sixteen."""
LEASE_SECONDS = 30.0
"""Three times the maximum duration of a check."""
POLL_SECONDS = 5.0
"""How long a meeting that another replica made due may go unnoticed at most."""
STALL_SECONDS = 60.0
RATE_LIMIT_POLL_SECONDS = 1.0
MIN_WAIT_SECONDS = 0.01
_WEBHOOK_CACHE_SIZE = 10_000
MIN_REFRESH_AGE = timedelta(seconds=15)

log = structlog.get_logger(__name__)


class MeetingPoller:
    """The poller of one process."""

    def __init__(
        self,
        meetings: MeetingQueue,
        look_up: Callable[[UUID], Awaitable[Lookup]],
        look_up_for_person: Callable[[UUID], Awaitable[Lookup]],
        rate_budget: RateBudget,
        list_freshness: ListFreshness,
        context: WorkerContext,
    ) -> None:
        """Prepare a poller. Both ways to look up raise RealtimeKitError; the second counts as people's requests.

        This process's sweeper updates `list_freshness`.
        """
        self._meetings = meetings
        self._look_up = look_up
        self._look_up_for_person = look_up_for_person
        self._rate_budget = rate_budget
        self._list_freshness = list_freshness
        self._context = context
        self._clock = context.clock
        self._metrics = context.metrics
        self._wake_up = context.wake_ups.poller
        self._webhook_trust = WebhookTrust()
        self._webhooks_received: LRUCache[UUID, bool] = LRUCache(_WEBHOOK_CACHE_SIZE)
        self._checks_running = 0
        self._refreshes_running = 0
        self._claimed_at = 0.0
        self._last_run_at = self._clock.now()

    def on_webhook(self, meeting_id: UUID) -> None:
        """Note that this process received a webhook for the meeting, which the next check confirms or not."""
        self._webhooks_received[meeting_id] = True
        self._wake_up.set()

    def stall_problem(self) -> str | None:
        """Return a sentence if the loop has not run for a minute, otherwise None."""
        is_stuck = self._clock.now() - self._last_run_at > STALL_SECONDS
        return "The poller is stuck, so changes go unnoticed." if is_stuck else None

    async def run(self) -> None:
        """Check due meetings until cancelled."""
        async with asyncio.TaskGroup() as checks:
            await supervise("poller", functools.partial(self._run_once, checks), self._clock, self._wake_up)

    async def _run_once(self, checks: asyncio.TaskGroup) -> float:
        """Start the checks that are due; return the seconds until the next run."""
        due, seconds = await self._claim()
        requested, requested_in = await self._claim_refreshes()
        self._last_run_at = self._clock.now()
        self._checks_running += len(due)
        self._refreshes_running += len(requested)
        for meeting in (*due, *requested):
            checks.create_task(self._check(meeting))
        if due or requested:
            return 0.0
        return min(max(min(seconds, requested_in), MIN_WAIT_SECONDS), POLL_SECONDS)

    async def _claim(self) -> tuple[list[DueMeeting], float]:
        """Claim the meetings to check now for the bot itself; if there are none, also return the seconds to wait."""
        throttled = self._throttle(news=True)
        if throttled > 0:
            return [], throttled
        # When few requests are left, everything but news waits longer.
        routine_in = self._throttle(news=False)
        only_news = routine_in > 0
        # Claiming writes; check first with a cheap read.
        seconds = await self._meetings.due_in(only_news=only_news)
        if seconds is None or seconds > 0:
            seconds = POLL_SECONDS if seconds is None else seconds
            return [], min(seconds, routine_in) if only_news else seconds
        free = 1 if self._rate_budget.delay(news=only_news) else MAX_CONCURRENT_CHECKS - self._checks_running
        self._claimed_at = self._clock.now()
        worker_id = self._context.worker_id
        due = await self._meetings.claim(worker_id, free, LEASE_SECONDS, only_news=only_news, refreshes=0)
        return due, RATE_LIMIT_POLL_SECONDS

    async def _claim_refreshes(self) -> tuple[list[DueMeeting], float]:
        """Claim the meetings to check now because people requested that, in the same form."""
        free = MAX_CONCURRENT_REFRESHES - self._refreshes_running
        if free <= 0 or self._rate_budget.retry_after() > 0:
            return [], POLL_SECONDS
        seconds = await self._meetings.refresh_due_in()
        if seconds is None or seconds > 0:
            return [], POLL_SECONDS if seconds is None else seconds
        if not self._rate_budget.can_refresh():
            return [], RATE_LIMIT_POLL_SECONDS
        requested = await self._meetings.claim(self._context.worker_id, 0, LEASE_SECONDS, refreshes=free)
        return requested, RATE_LIMIT_POLL_SECONDS

    def _throttle(self, *, news: bool) -> float:
        """Return the seconds for which no check may begin. The end of a running check wakes the poller."""
        if self._checks_running >= MAX_CONCURRENT_CHECKS:
            return POLL_SECONDS
        pause, passed = self._rate_budget.delay(news=news), self._clock.now() - self._claimed_at
        # Negative if the clock was set back.
        left = pause - passed if 0 <= passed < pause else 0.0
        used_up = 0.0 if self._rate_budget.can_check(news=news) else RATE_LIMIT_POLL_SECONDS
        return max(self._rate_budget.retry_after(), left, used_up)

    async def _check(self, meeting: DueMeeting) -> None:
        try:
            await self._process(meeting)
        except LeaseLost:
            log.info("check_superseded", meeting_id=str(meeting.meeting_id))
        # No change is lost: the lease ends, and the meeting is checked again.
        except DatabaseUnavailable as error:
            log.warning("check_not_recorded", meeting_id=str(meeting.meeting_id), error=error.detail)
        except Exception:
            log.exception("check_failed", meeting_id=str(meeting.meeting_id))
        finally:
            if meeting.for_person:
                self._refreshes_running -= 1
            else:
                self._checks_running -= 1
            self._wake_up.set()

    async def _process(self, meeting: DueMeeting) -> None:
        before = _load_episode(meeting)
        observation, outcome = await self._fetch(meeting)
        self._metrics.observations.labels(outcome).inc()
        # The database's clock, because the replicas' clocks may differ.
        now = meeting.claimed_at
        after, changes = advance(before, observation, now, self._context.grace)
        webhook_received = self._webhooks_received.pop(meeting.meeting_id, False)
        visible = card_key(after) != card_key(before) or (
            meeting.requested_by_person and _is_refresh_visible(before, now)
        )
        self._webhook_trust.record(before.phase, after.phase, received=webhook_received)
        interval = next_check_in(
            after,
            now,
            grace=self._context.grace,
            webhooks=self._webhook_trust.trusted,
            lists=self._list_freshness.is_fresh(self._clock.now()),
            failures=after.failed_checks,
            jitter=self._context.jitter(),
        )
        await self._meetings.record(
            meeting,
            after,
            changes,
            next_check_in=max(interval, self._rate_budget.retry_after()),
            visible=visible,
            ended=_ended_before(before, after, changes),
            failures=after.failed_checks,
            renew=after.phase not in (Phase.WAITING, Phase.ENDED),
        )
        self._report(meeting, changes)
        if visible or changes:
            self._context.wake_ups.announcer.set()

    async def _fetch(self, meeting: DueMeeting) -> tuple[CheckResult, str]:
        """Check the meeting; return the observation and its label for metrics."""
        look_up = self._look_up_for_person if meeting.for_person else self._look_up
        try:
            observation = observation_of(await look_up(meeting.meeting_id))
        except MeetingNotFound:
            # Deleted since it was followed: certainly not on air. The grace period applies as usual.
            return Observation(Status.NOT_BROADCASTING, is_missing=True), MeetingNotFound.code
        except RealtimeKitError as error:
            return CheckFailed(error.sentence), error.code
        return observation, observation.status.name.lower()

    def _report(self, meeting: DueMeeting, changes: tuple[Change, ...]) -> None:
        for change in changes:
            log.info("episode_changed", meeting_id=str(meeting.meeting_id), kind=change.kind, episode=change.episode)
            self._metrics.changes.labels(change.kind).inc()
            if change.kind is ChangeKind.LIVE and change.at < change.seen_at:
                self._metrics.detection_seconds.observe((change.seen_at - change.at).total_seconds())


def _is_refresh_visible(episode: Episode, now: datetime) -> bool:
    """Return whether a check that a person requested visibly changes the card's time of the last check."""
    return episode.checked_at is not None and now - episode.checked_at >= MIN_REFRESH_AGE


def _load_episode(meeting: DueMeeting) -> Episode:
    """Return the recorded episode, with the time of a later list that confirmed it."""
    episode, seen = Episode.from_dict(meeting.episode), meeting.last_checked_at
    episode = replace(episode, failed_checks=meeting.consecutive_failures)
    if seen is None or (episode.checked_at is not None and seen <= episode.checked_at):
        return episode
    # A list does not show the session, so it confirms only a certain one.
    certain = episode.phase is Phase.LIVE and episode.last_seen_live == episode.checked_at
    return replace(episode, checked_at=seen, last_seen_live=seen if certain else episode.last_seen_live)


def _ended_before(before: Episode, after: Episode, changes: tuple[Change, ...]) -> Episode | None:
    """Return the previous episode as it ended, if the same check began the next one."""
    last = [change for change in changes if change.kind is ChangeKind.ENDED and change.episode != after.number]
    return ended_by(before, last[0]) if last else None
