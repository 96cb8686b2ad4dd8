"""What a worker does about a card whose lease it has lost: it reports what Slack did, or undoes it.

Another worker may have the card by now, and does not know of the message that this one has just posted or edited.
"""

import structlog

from bot.clock import Clock
from bot.notifications.card_lease import CardLease
from bot.notifications.timing import Timing
from bot.slack.messages.follow_card import followed_again
from bot.slack.publisher import DeliveryError, Publisher
from bot.store.card_queue import CardQueue
from bot.store.due_cards import DueCard

_MAX_REPORTS = 30

log = structlog.get_logger(__name__)


class LostLease:
    """The reports about one card."""

    def __init__(
        self, lease: CardLease, card_queue: CardQueue, publisher: Publisher, clock: Clock, timing: Timing
    ) -> None:
        self._lease = lease
        self._card_queue = card_queue
        self._publisher = publisher
        self._clock = clock
        self._timing = timing

    async def report_post(self, card: DueCard, ts: str) -> None:
        """Report that the card was posted. If another message is the card now, delete this one: it would go stale."""
        is_card: bool | None = None
        for _ in range(_MAX_REPORTS):
            is_card = await self._lease.insist(lambda: self._card_queue.report_post(card, ts))
            if is_card is not None:
                break
            await self._clock.sleep(self._timing.report)
        if is_card is False:
            await self.delete(card, ts)

    async def report_reply(self, card: DueCard, seq: int, ts: str) -> None:
        """Report that an announcement was sent. If another message announces the same change, delete this one."""
        if ts and not await self._lease.insist(lambda: self._card_queue.report_reply(card, seq, ts)):
            await self.delete(card, ts)

    async def report_edit(self, card: DueCard, *, unconfirmed: bool) -> None:
        """Have the card edited once more, since an edit without the lease may have overtaken another worker's."""
        exists = await self._lease.insist(lambda: self._card_queue.report_edit(card, unconfirmed=unconfirmed))
        if exists or card.is_followed_again:
            return
        # The row is gone: the card said that the meeting is followed again, and no worker will edit it anymore.
        final = followed_again(card.follow.meeting_id, card.desired.name)
        try:
            await self._publisher.edit(card.follow.channel_id, card.message_ts or "", final)
        except DeliveryError as error:
            log.info("card_update_skipped", channel=card.follow.channel_id, episode=card.episode, code=error.code)

    async def delete(self, card: DueCard, ts: str) -> None:
        """Delete a message that says the same as another one."""
        channel = card.follow.channel_id
        log.info("duplicate_deleted", channel=channel, episode=card.episode)
        try:
            await self._publisher.delete(channel, ts)
        except DeliveryError as error:
            log.warning("duplicate_left", channel=channel, code=error.code)
