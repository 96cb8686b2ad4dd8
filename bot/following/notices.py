"""Tells whoever follows a meeting that the bot cannot post about it any more, once, in a direct message."""

from uuid import UUID, uuid4

import structlog

from bot.slack.delivery import Delivery, Later, Undelivered
from bot.slack.follow_cards import paused_notice
from bot.store.pausing import Pauses
from bot.store.values import Follow

AT_ONCE = 20

log = structlog.get_logger(__name__)


class Notices:
    """Any number of replicas may tell: each pause falls to one of them."""

    def __init__(self, pauses: Pauses, delivery: Delivery) -> None:
        self._pauses = pauses
        self._delivery = delivery
        self._message_ids: dict[UUID, UUID] = {}
        """Of what is to be sent once more: with the same ID, since Slack may have it already."""

    async def tell(self) -> None:
        """Tell of what is paused and not told yet, twenty at most. Raises StoreUnreachable."""
        for follow in await self._pauses.untold(AT_ONCE):
            if await self._pauses.mark_told(follow.id):
                await self._tell(follow)

    async def _tell(self, follow: Follow) -> None:
        message_id = self._message_ids.pop(follow.id, None) or uuid4()
        try:
            await self._delivery.post(follow.created_by, paused_notice(follow, follow.reason or ""), str(message_id))
        except Later:
            self._message_ids[follow.id] = message_id
            await self._pauses.mark_untold(follow.id)
        except Undelivered as error:
            # Nobody is left who could be told: /livestream following says it to whoever asks.
            log.warning("notice_refused", user=follow.created_by, channel=follow.channel_id, code=error.code)
