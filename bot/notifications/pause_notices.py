"""Notices to people that the bot cannot post about meetings they follow: one direct message for each channel."""

import asyncio
from uuid import uuid5

import structlog

from bot.domain.follow import FollowState
from bot.errors import DatabaseUnavailable
from bot.notifications.timing import DRAIN_SECONDS
from bot.slack.errors import Unconfirmed
from bot.slack.messages.pause_notices import expired_notice, paused_notice
from bot.slack.publisher import DeadlinePassed, DeliveryError, Publisher, TransientError
from bot.store.pauses import PauseNotice, Pauses
from bot.store.singleton_jobs import SingletonJobs
from bot.worker import WorkerContext

BATCH_SIZE = 20
MAX_BATCHES = 4
"""How many batches are sent in one run; the rest follow in the next."""
INITIAL_BACKOFF_SECONDS = 30.0
UNCONFIRMED_BACKOFF_SECONDS = 60.0
"""Longer than after a refusal: Slack may have sent the notice, and where it ignores the ID, a second one appears."""
RECORD_AGAIN_SECONDS = 1.0
MAX_ATTEMPTS = 50
"""About a day, since no wait is longer than half an hour."""
_JOB = "notices"
_LEASE_SECONDS = 300.0
"""Longer than all batches take if no call gets an answer."""

log = structlog.get_logger(__name__)


class PauseNotifier:
    """The sender of notices, a singleton job.

    A notice is marked as sent afterwards. A bot killed in between sends it again with the same ID, so it appears once
    if Slack honors the ID.
    """

    def __init__(
        self, pauses: Pauses, singleton_jobs: SingletonJobs, publisher: Publisher, context: WorkerContext
    ) -> None:
        self._pauses = pauses
        self._singleton_jobs = singleton_jobs
        self._publisher = publisher
        self._context = context

    async def run(self) -> None:
        """Send the notices that are due, each batch concurrently, so that a failing notice does not delay the others.

        Raises DatabaseUnavailable.
        """
        due = await self._pauses.due_notices(BATCH_SIZE)
        job = await self._singleton_jobs.claim(_JOB, self._context.worker_id, _LEASE_SECONDS) if due else None
        if job is None:
            return
        for _ in range(MAX_BATCHES):
            # Read again after the claim: another replica may have sent the earlier ones.
            due = await self._pauses.due_notices(BATCH_SIZE)
            await self._send_all(due, job.lease.deadline)
            if len(due) < BATCH_SIZE:
                break
        await self._singleton_jobs.complete(job, next_run_in=0)

    async def _send_all(self, notices: list[PauseNotice], deadline: float) -> None:
        """Send a batch; when the bot stops, first wait until what Slack has answered is recorded."""
        sending = asyncio.gather(*(self._send(notice, deadline) for notice in notices), return_exceptions=True)
        try:
            outcomes = await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait({sending}, timeout=DRAIN_SECONDS)
            raise
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _send(self, notice: PauseNotice, deadline: float) -> None:
        """Send one notice, unless the job's `deadline` has passed and another replica may be sending it."""
        follow = notice.follow
        if notice.is_known:
            await self._pauses.mark_notified(notice)
            return
        build = expired_notice if follow.state is FollowState.EXPIRED else paused_notice
        message = build(follow, follow.pause_reason or "", notice.names, self._context.wording())
        message_id = uuid5(follow.id, f"{follow.state}/{follow.paused_at}")
        try:
            await self._publisher.post(follow.created_by, message, str(message_id), deadline=deadline)
        except DeadlinePassed:
            log.info("pause_notice_left", channel=follow.channel_id)
        except TransientError as error:
            if error.seconds is not None and error.max_retry_seconds is None:
                # Waiting for a token bucket, or for the bot token, is not a failure.
                await self._pauses.postpone_notice(notice, error.seconds)
            elif notice.attempts < MAX_ATTEMPTS:
                first = UNCONFIRMED_BACKOFF_SECONDS if isinstance(error, Unconfirmed) else INITIAL_BACKOFF_SECONDS
                seconds = (error.seconds or first) * 2.0 ** min(notice.attempts, 10)
                await self._pauses.postpone_notice(notice, seconds, error=error.code)
            else:
                await self._give_up(notice, error)
        except DeliveryError as error:
            await self._give_up(notice, error)
        else:
            await self._record_sent(notice, deadline)

    async def _record_sent(self, notice: PauseNotice, deadline: float) -> None:
        """Record that the notice was sent, until the database accepts it: only this worker knows."""
        while True:
            try:
                await self._pauses.mark_notified(notice)
                return
            except DatabaseUnavailable:
                if self._context.clock.monotonic() >= deadline:
                    raise
            await self._context.clock.sleep(RECORD_AGAIN_SECONDS)

    async def _give_up(self, notice: PauseNotice, error: DeliveryError) -> None:
        """Give up the notice; `/livestream following` shows why the follow is paused and that no notice was sent."""
        follow = notice.follow
        log.warning("pause_notice_failed", user=follow.created_by, channel=follow.channel_id, code=error.code)
        await self._pauses.mark_notified(notice, error.code)
