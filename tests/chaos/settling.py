"""What does not match the livestreams when all is calm: wrong cards, and leftovers."""

from collections.abc import Iterable

from sandbox.slack import Message
from tests.chaos.broadcasts import Broadcast, State, reason_of
from tests.chaos.environment import CHANNELS, Environment
from tests.chaos.evidence import Channel
from tests.chaos.observer import playback_in, subject_of, video_of
from tests.scenarios.scenario import cards, shows

_OVER = ("ended", "unfollowed", "followed again")
"""What a card shows that will no longer change, except by a new follow."""
_SHOWN = {
    State.LIVE: {"live"},
    State.ERRORED: {"errored"},
    State.STARTING: {"starting", "errored", "interrupted"},
    State.OFF: {"ended", "waiting"},
}


def unsettled(environment: Environment, *, ignore_deleted: bool) -> list[str]:
    """Return what does not match the livestreams, a sentence each.

    `ignore_deleted` skips deleted cards: the bot notices that when it has something to show on them.
    """
    return [
        f"{channel.id}, broadcast {broadcast.number}: {why}"
        for channel in CHANNELS
        for broadcast in environment.director.broadcasts
        if not (ignore_deleted and _is_deleted(environment, channel, broadcast))
        for why in _problems(environment, channel, broadcast)
    ]


def _problems(environment: Environment, channel: Channel, broadcast: Broadcast) -> Iterable[str]:
    found = _cards_of(environment, channel, broadcast)
    if not found:
        yield "there is no card"
        return
    # A deleted card may have been posted again, below that of the next episode.
    *old, newest = sorted(found, key=lambda card: (subject_of(card) or (0, 0), float(card.ts)))
    yield from (f"an old card shows {shows(card)}" for card in old if shows(card) not in _OVER)
    if not _matches(newest, broadcast):
        yield f"the card shows {shows(newest)} of {subject_of(newest)}, and it is {broadcast.now}"
    elif shows(newest) == "live" and playback_in(newest) not in _videos(environment, broadcast):
        yield f"the card leads to {playback_in(newest)}, and it plays at {_videos(environment, broadcast)}"
    elif shows(newest) == "errored" and broadcast.now.state is State.ERRORED and not _gives_reason(newest, broadcast):
        yield f"the card does not give the reason {reason_of(broadcast.now.number)}: {newest.text}"
    for card in found:
        if "Watch" in str(card.blocks) and shows(card) != "live":
            yield f"a card that shows {shows(card)} has a Watch button"


def unfollowed(environment: Environment, channel: Channel) -> list[str]:
    """Return the cards in a channel without follows that show something else, a sentence each."""
    return [
        f"{channel.id}, broadcast {broadcast.number}: nothing is followed, and a card shows {shows(card)}"
        for broadcast in environment.director.broadcasts
        for card in _cards_of(environment, channel, broadcast)
        if shows(card) not in _OVER
    ]


def _videos(environment: Environment, broadcast: Broadcast) -> list[str | None]:
    return [video_of(url) for url in environment.director.playbacks(broadcast)]


def _gives_reason(card: Message, broadcast: Broadcast) -> bool:
    """Return whether the card has the reason of this error, or of an earlier one in a row."""
    return any(
        reason_of(move.number) in card.text
        for move in broadcast.moves
        if move.state is State.ERRORED and move.session == broadcast.now.session
    )


def _is_deleted(environment: Environment, channel: Channel, broadcast: Broadcast) -> bool:
    """Return whether the last card that was posted is deleted."""
    posted = [card.ts for card in environment.observer.cards if _is_of(card, channel, broadcast)]
    return bool(posted) and posted[-1] in environment.observer.deleted


def _is_of(card: Message, channel: Channel, broadcast: Broadcast) -> bool:
    about = subject_of(card)
    return card.channel == channel.id and about is not None and about[0] == broadcast.number


def _cards_of(environment: Environment, channel: Channel, broadcast: Broadcast) -> list[Message]:
    """Return the cards, without those that Slack has posted twice: the bot knows of the last only."""
    last = {card.client_msg_id: card.ts for card in environment.observer.cards}
    found = cards(environment.slack, broadcast.meeting_id, channel.id)
    return [card for card in found if last.get(card.client_msg_id) == card.ts]


def _matches(card: Message, broadcast: Broadcast) -> bool:
    move, shown = broadcast.now, shows(card)
    if shown == "ended" and move.state is State.ERRORED:
        # The error of a session whose end was announced is no news.
        about = subject_of(card)
        return about is not None and broadcast.moves[about[1]].session == move.session
    if shown not in _SHOWN[move.state]:
        return False
    return move.state in (State.OFF, State.STARTING) or subject_of(card) == (broadcast.number, move.number)
