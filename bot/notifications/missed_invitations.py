"""Invitations whose events never arrived: paused follows in channels that the bot is in again."""

from collections.abc import Awaitable, Callable

import structlog

from bot.clock import Clock
from bot.domain.follow import Follow
from bot.slack.errors import ENDED_BY_INVITATION
from bot.slack.publisher import Later, Publisher, Undelivered
from bot.store.pauses import Pauses
from bot.store.singleton_jobs import SingletonJobs

CHECK_SECONDS = 30 * 60.0
RETRY_SECONDS = 60.0
"""How long to wait after a check that failed, if Slack does not say."""
RESUME_AGAIN_SECONDS = 24 * 3600.0
"""How long a channel is skipped after it was resumed here. Otherwise, if Slack contradicts itself, people would get a
notice every half hour that the follow is paused."""
_DUTY = "invitations"
_LEASE_SECONDS = 600.0
"""Longer than it takes to list the channels of a bot that is in very many."""

log = structlog.get_logger(__name__)


class Invitations:
    """The check for missed invitations, a singleton job: once after a start, then every half hour."""

    def __init__(
        self,
        pauses: Pauses,
        duties: SingletonJobs,
        delivery: Publisher,
        resume: Callable[[str, str, frozenset[str]], Awaitable[list[Follow]]],
        owner: str,
        clock: Clock,
    ) -> None:
        """Prepare the job. `resume` resumes a channel's follows that were paused for one of these reasons."""
        self._pauses = pauses
        self._duties = duties
        self._delivery = delivery
        self._resume = resume
        self._owner = owner
        self._clock = clock
        self._has_started = False
        self._resumed_at: dict[tuple[str, str], float] = {}

    async def catch_up(self) -> None:
        """Resume what an invitation ends in the channels that the bot is in. Raises DatabaseUnavailable."""
        if not self._has_started:
            # An event may have been lost while no replica was running.
            await self._duties.hasten(_DUTY)
            self._has_started = True
        duty = await self._duties.claim(_DUTY, self._owner, _LEASE_SECONDS)
        if duty is None:
            return
        paused = await self._pauses.channels_paused(ENDED_BY_INVITATION)
        try:
            joined = await self._delivery.joined({channel_id for _, channel_id in paused})
        except Undelivered as error:
            log.warning("channels_not_checked", code=error.code)
            seconds = (error.seconds or RETRY_SECONDS) if isinstance(error, Later) else CHECK_SECONDS
            await self._duties.release(duty, again_in=seconds)
            return
        resumed = [follow for place in paused if place[1] in joined for follow in await self._resume_once(*place)]
        if resumed:
            log.info("invitations_missed", follows=len(resumed))
        await self._duties.complete(duty, again_in=CHECK_SECONDS)
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
