"""Tell the people who follow meetings that the bot cannot post about them, in one direct message for each channel."""

import asyncio
from collections.abc import Callable
from uuid import uuid5

import structlog

from bot.slack.delivery import Delivery, Later, Undelivered
from bot.slack.follow_cards import paused_notice
from bot.store.duties import Duties
from bot.store.pausing import Pauses, Untold
from bot.wording import Wording

AT_ONCE = 20
MAX_ROUNDS = 4
"""How many times as many are told in one go; the others at the next."""
FIRST_BACK_OFF = 30.0
MAX_ATTEMPTS = 50
"""Which takes a day, since no wait is longer than half an hour."""
_DUTY = "notices"
_LEASE_SECONDS = 300.0
"""Longer than all rounds take where no call gets an answer."""

log = structlog.get_logger(__name__)


class Notices:
    """One replica at a time tells. What is told is marked after that: a bot that dies in between tells it again, under
    the same ID, so that it appears once wherever Slack honours that."""

    def __init__(
        self, pauses: Pauses, duties: Duties, delivery: Delivery, owner: str, wording: Callable[[], Wording] = Wording
    ) -> None:
        self._wording = wording
        self._pauses = pauses
        self._duties = duties
        self._delivery = delivery
        self._owner = owner

    async def tell(self) -> None:
        """Tell the people who are due, all of one round at once, so that nobody waits for those who cannot be told.

        Raises StoreUnreachable.
        """
        due = await self._pauses.untold(AT_ONCE)
        duty = await self._duties.claim(_DUTY, self._owner, _LEASE_SECONDS) if due else None
        if duty is None:
            return
        for _ in range(MAX_ROUNDS):
            # Read after the claim, since another replica may have told those of before.
            due = await self._pauses.untold(AT_ONCE)
            for outcome in await asyncio.gather(*map(self._tell, due), return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
            if len(due) < AT_ONCE:
                break
        await self._duties.done(duty, again_in=0)

    async def _tell(self, untold: Untold) -> None:
        follow = untold.follow
        if untold.is_known:
            await self._pauses.mark_told(untold)
            return
        message = paused_notice(follow, follow.reason or "", untold.names, self._wording())
        message_id = uuid5(follow.id, f"paused/{follow.paused_at}")
        try:
            await self._delivery.post(follow.created_by, message, str(message_id))
        except Later as later:
            if later.seconds is not None:
                # To wait for a token bucket, or for the bot token, is no failure.
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
        """Leave it to `/livestream following`, which says why the follow is paused, and that nobody was told."""
        follow = untold.follow
        log.warning("notice_refused", user=follow.created_by, channel=follow.channel_id, code=error.code)
        await self._pauses.mark_told(untold, error.code)
