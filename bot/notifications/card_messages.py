"""What a due card and the announcements in its thread say: values in, messages out."""

from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import FollowState, Level
from bot.slack.messages.follow_card import change_reply, expired_reply, follow_card, unfollowed_card
from bot.slack.messages.message import Message
from bot.store.due_cards import Announcement, DueCard
from bot.store.maintenance import EXPIRED
from bot.wording import Wording

_BROADCAST_KINDS = (ChangeKind.LIVE, ChangeKind.ERRORED, ChangeKind.ENDED)
"""The changes that a loud follow also shows in the channel itself."""


def card_message(card: DueCard) -> Message:
    """Build the card's message: its episode, or that the meeting is no longer followed."""
    follow, episode, is_new = card.follow, card.desired, card.message_ts is None
    is_final = card.is_unfollowed and card.is_latest
    # The waiting card of an expired follow must not say that it waits: a livestream would not change it.
    if is_final or (follow.state is FollowState.EXPIRED and episode.phase is Phase.WAITING):
        can_follow_again = card.is_latest and not card.is_followed_again
        return unfollowed_card(follow, episode.name, can_follow_again=can_follow_again, is_new=is_new)
    return follow_card(follow, episode, is_new=is_new)


def announcement_message(card: DueCard, announcement: Announcement, wording: Wording) -> Message:
    """Build the reply in the card's thread."""
    if announcement.kind == EXPIRED:
        return expired_reply(card.follow, card.desired.name, wording)
    return change_reply(card.follow, announcement.change)


def is_broadcast(card: DueCard, announcement: Announcement) -> bool:
    """Return whether the channel sees the announcement too: the follow is loud, and the announcement still true."""
    if card.follow.level is not Level.LOUD or announcement.kind not in _BROADCAST_KINDS:
        return False
    phase = card.desired.phase
    over = {Phase.ENDED} if announcement.kind == ChangeKind.LIVE else {Phase.ENDED, Phase.LIVE}
    is_outdated = announcement.kind != ChangeKind.ENDED and phase in over
    return not is_outdated and not announcement.is_in_thread_only
