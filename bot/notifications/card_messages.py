"""What a due card and the announcements in its thread say: values in, messages out.

Each message has an ID derived from what it announces: if Slack honors the ID, a message that is sent twice appears
once. The ID includes a stored time, because after a backup is restored, episode and sequence numbers are used again.
"""

from uuid import uuid5

from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import FollowState, Level
from bot.slack.messages.follow_card import change_reply, expired_reply, follow_card, followed_again, unfollowed_card
from bot.slack.messages.message import Message
from bot.store.due_cards import Announcement, DueCard
from bot.store.maintenance import EXPIRED
from bot.wording import Wording

_BROADCAST_KINDS = (ChangeKind.LIVE, ChangeKind.ERRORED, ChangeKind.ENDED)
"""The changes that a loud follow also shows in the channel itself."""


def card_message(card: DueCard) -> Message:
    """Build the card's message: its episode, or on the latest card that the follow is over or has a successor."""
    follow, episode, is_new = card.follow, card.desired, card.message_ts is None
    if card.is_latest and card.is_followed_again:
        return followed_again(follow.meeting_id, episode.name)
    # The waiting card of an expired follow must not say that it waits: a livestream would not change it.
    waits_no_more = follow.state is FollowState.EXPIRED and episode.phase is Phase.WAITING
    if card.is_latest and (card.is_unfollowed or waits_no_more):
        return unfollowed_card(follow, episode.name, is_new=is_new)
    return follow_card(follow, episode, is_latest=card.is_latest, is_new=is_new)


def card_id(card: DueCard) -> str:
    """Return the ID of the card's message."""
    return str(uuid5(card.follow.id, f"{card.episode}/card/{card.times_deleted}/{card.ordered_at}"))


def announcement_message(card: DueCard, announcement: Announcement, wording: Wording) -> Message:
    """Build the reply in the card's thread."""
    if announcement.kind == EXPIRED:
        return expired_reply(card.follow, card.desired.name, wording)
    return change_reply(card.follow, announcement.change)


def announcement_id(card: DueCard, announcement: Announcement) -> str:
    """Return the ID of the reply in the card's thread."""
    source = f"{card.episode}/{announcement.seq}/{announcement.kind}/{announcement.occurred_at.timestamp()}"
    return str(uuid5(card.follow.id, source))


def is_broadcast(card: DueCard, announcement: Announcement) -> bool:
    """Return whether the channel sees the announcement too: the follow is loud, and the announcement still true."""
    if card.follow.level is not Level.LOUD or announcement.kind not in _BROADCAST_KINDS:
        return False
    phase = card.desired.phase
    over = {Phase.ENDED} if announcement.kind == ChangeKind.LIVE else {Phase.ENDED, Phase.LIVE}
    is_outdated = announcement.kind != ChangeKind.ENDED and phase in over
    return not is_outdated and not announcement.is_in_thread_only
