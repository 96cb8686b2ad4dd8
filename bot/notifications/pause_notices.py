"""Notices to people that the bot cannot post about meetings they follow: one direct message for each channel."""

import asyncio
from collections.abc import Callable
from uuid import uuid5

import structlog

from bot.domain.follow import FollowState
from bot.slack.messages.follow_card import expired_notice, paused_notice
from bot.slack.publisher import Later, Publisher, Undelivered
from bot.store.pauses import Pauses, Untold
from bot.store.singleton_jobs import SingletonJobs
from bot.wording import Wording

AT_ONCE = 20
MAX_ROUNDS = 4
"""How many batches of AT_ONCE notices are sent in one run; the rest follow in the next."""
FIRST_BACK_OFF = 30.0
MAX_ATTEMPTS = 50
"""About a day, since no wait is longer than half an hour."""
_DUTY = "notices"
_LEASE_SECONDS = 300.0
"""Longer than all batches take if no call gets an answer."""

log = structlog.get_logger(__name__)


class PauseNotifier:
    """The sender of notices, a singleton job.

    A notice is marked after it is sent: a bot that crashes in between sends it again with the same ID, so that it
    appears once if Slack honors the ID.
    """

    def __init__(
        self,
        pauses: Pauses,
        duties: SingletonJobs,
        delivery: Publisher,
        owner: str,
        wording: Callable[[], Wording] = Wording,
    ) -> None:
        self._wording = wording
        self._pauses = pauses
        self._duties = duties
        self._delivery = delivery
        self._owner = owner

    async def tell(self) -> None:
        """Send the notices that are due, a whole batch at once, so that a failing one does not delay the others.

        Raises DatabaseUnavailable.
        """
        due = await self._pauses.untold(AT_ONCE)
        duty = await self._duties.claim(_DUTY, self._owner, _LEASE_SECONDS) if due else None
        if duty is None:
            return
        for _ in range(MAX_ROUNDS):
            # Read again after the claim: another replica may have sent the earlier ones.
            due = await self._pauses.untold(AT_ONCE)
            for outcome in await asyncio.gather(*map(self._tell, due), return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
            if len(due) < AT_ONCE:
                break
        await self._duties.complete(duty, again_in=0)

    async def _tell(self, untold: Untold) -> None:
        follow = untold.follow
        if untold.is_known:
            await self._pauses.mark_told(untold)
            return
        notice = expired_notice if follow.state is FollowState.EXPIRED else paused_notice
        message = notice(follow, follow.pause_reason or "", untold.names, self._wording())
        message_id = uuid5(follow.id, f"{follow.state}/{follow.paused_at}")
        try:
            await self._delivery.post(follow.created_by, message, str(message_id))
        except Later as later:
            if later.seconds is not None:
                # Waiting for a token bucket, or for the bot token, is not a failure.
                await self._pauses.postpone_notice(untold, later.seconds)
            elif untold.attempts < MAX_ATTEMPTS:
                seconds = FIRST_BACK_OFF * 2.0 ** min(untold.attempts, 10)
                await self._pauses.postpone_notice(untold, seconds, error=later.code)
            else:
                await self._give_up(untold, later)
        except Undelivered as error:
            await self._give_up(untold, error)
        else:
            await self._pauses.mark_told(untold)

    async def _give_up(self, untold: Untold, error: Undelivered) -> None:
        """Give up the notice; `/livestream following` shows why the follow is paused and that no notice was sent."""
        follow = untold.follow
        log.warning("pause_notice_failed", user=follow.created_by, channel=follow.channel_id, code=error.code)
        await self._pauses.mark_told(untold, error.code)
