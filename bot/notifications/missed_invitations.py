"""The check for missed invitations: paused follows in channels that the bot has joined again without an event."""

from collections.abc import Awaitable, Callable

import structlog

from bot.domain.follow import Follow
from bot.slack.errors import ENDED_BY_INVITATION
from bot.slack.publisher import DeliveryError, Publisher, TransientError
from bot.store.pauses import Pauses
from bot.store.singleton_jobs import SingletonJobs
from bot.worker import WorkerContext

CHECK_SECONDS = 30 * 60.0
RETRY_SECONDS = 60.0
"""How long to wait after a check that failed, if Slack does not say."""
RESUME_AGAIN_SECONDS = 24 * 3600.0
"""How long a channel is skipped after its follows were resumed here. Otherwise, if Slack contradicts itself, people
would get a notice every half hour that the follow is paused."""
_JOB = "invitations"
_LEASE_SECONDS = 600.0
"""Longer than it takes to list the channels of a bot that is in thousands."""

log = structlog.get_logger(__name__)


class MissedInvitations:
    """The check for missed invitations, a singleton job that runs once after a start and then every half hour."""

    def __init__(
        self,
        pauses: Pauses,
        singleton_jobs: SingletonJobs,
        publisher: Publisher,
        resume: Callable[[str, str, frozenset[str]], Awaitable[list[Follow]]],
        context: WorkerContext,
    ) -> None:
        """Prepare the job. `resume` takes a team, a channel and the pause reasons of the follows to resume there."""
        self._pauses = pauses
        self._singleton_jobs = singleton_jobs
        self._publisher = publisher
        self._resume = resume
        self._worker_id = context.worker_id
        self._clock = context.clock
        self._has_started = False
        self._resumed_at: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Resume the follows that an invitation would, in channels that the bot is in. Raises DatabaseUnavailable."""
        if not self._has_started:
            # An event may have been lost while no replica was running.
            await self._singleton_jobs.make_due(_JOB)
            self._has_started = True
        job = await self._singleton_jobs.claim(_JOB, self._worker_id, _LEASE_SECONDS)
        if job is None:
            return
        paused = await self._pauses.channels_paused(ENDED_BY_INVITATION)
        try:
            joined = await self._publisher.joined_channels({channel_id for _, channel_id in paused})
        except DeliveryError as error:
            log.warning("channels_not_checked", code=error.code)
            seconds = (error.seconds or RETRY_SECONDS) if isinstance(error, TransientError) else CHECK_SECONDS
            await self._singleton_jobs.release(job, next_run_in=seconds)
            return
        resumed = [follow for place in paused if place[1] in joined for follow in await self._resume_once(*place)]
        if resumed:
            log.info("invitations_missed", follows=len(resumed))
        await self._singleton_jobs.complete(job, next_run_in=CHECK_SECONDS)
        log.debug("channels_checked", channels=len(paused), resumed=len(resumed))

    async def _resume_once(self, team_id: str, channel_id: str) -> list[Follow]:
        now = self._clock.now()
        recent = {place: at for place, at in self._resumed_at.items() if 0 <= now - at < RESUME_AGAIN_SECONDS}
        self._resumed_at = recent
        if (team_id, channel_id) in recent:
            return []
        resumed = await self._resume(team_id, channel_id, ENDED_BY_INVITATION)
        recent[team_id, channel_id] = now
        return resumed
