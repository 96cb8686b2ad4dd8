"""Tells whoever follows a meeting that the bot cannot post about it any more, once, in a direct message."""

from uuid import uuid5

import structlog

from bot.slack.delivery import Delivery, Later, Undelivered
from bot.slack.follow_cards import paused_notice
from bot.store.duties import Duties
from bot.store.pausing import Pauses
from bot.store.values import Follow

AT_ONCE = 20
_DUTY = "notices"
_LEASE_SECONDS = 300.0
"""Longer than twenty calls take that get no answer."""

log = structlog.get_logger(__name__)


class Notices:
    """One replica at a time tells. What is told is marked after that: a bot that dies in between tells it again, under
    the same ID, so that it appears once wherever Slack honours that."""

    def __init__(self, pauses: Pauses, duties: Duties, delivery: Delivery, owner: str) -> None:
        self._pauses = pauses
        self._duties = duties
        self._delivery = delivery
        self._owner = owner

    async def tell(self) -> None:
        """Tell of what is paused and not told yet, twenty at most. Raises StoreUnreachable."""
        untold = await self._pauses.untold(AT_ONCE)
        duty = await self._duties.claim(_DUTY, self._owner, _LEASE_SECONDS) if untold else None
        if duty is None:
            return
        # Once more: what was untold before the claim may have been told by then.
        for follow in await self._pauses.untold(AT_ONCE):
            await self._tell(follow)
        await self._duties.done(duty, again_in=0)

    async def _tell(self, follow: Follow) -> None:
        message_id = uuid5(follow.id, f"paused/{follow.paused_at}")
        try:
            await self._delivery.post(follow.created_by, paused_notice(follow, follow.reason or ""), str(message_id))
        except Later:
            return
        except Undelivered as error:
            # Nobody is left who could be told: /livestream following says it to whoever asks.
            log.warning("notice_refused", user=follow.created_by, channel=follow.channel_id, code=error.code)
        await self._pauses.mark_told(follow)
