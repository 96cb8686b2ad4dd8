"""How the channels look when all is calm: what their cards show, and what is left of the past."""

from collections.abc import Iterable

from sandbox.slack import Message
from tests.chaos.broadcasts import Broadcast, State, reason_of
from tests.chaos.environment import CHANNELS, Stage
from tests.chaos.evidence import Channel
from tests.chaos.observer import about_what, playback_in, video_of
from tests.scenarios.scenario import cards, shows

_SHOWN = {
    State.LIVE: {"live"},
    State.ERRORED: {"errored"},
    State.STARTING: {"starting", "errored", "interrupted"},
    State.OFF: {"ended", "waiting"},
}


def unsettled(stage: Stage, *, forgiving: bool) -> list[str]:
    """What does not agree with how the livestreams are, a sentence each.

    `forgiving` of cards that were deleted: the bot finds that out when it has something to show on them.
    """
    return [
        f"{channel.id}, broadcast {broadcast.number}: {why}"
        for channel in CHANNELS
        for broadcast in stage.director.broadcasts
        if not (forgiving and _is_deleted(stage, channel, broadcast))
        for why in _wrong(stage, channel, broadcast)
    ]


def _wrong(stage: Stage, channel: Channel, broadcast: Broadcast) -> Iterable[str]:
    there = _theirs(stage, channel, broadcast)
    if not there:
        yield "there is no card"
        return
    # Of a card that somebody has deleted there may be another one, below that of the next run.
    *old, newest = sorted(there, key=lambda card: (about_what(card) or (0, 0), float(card.ts)))
    yield from (f"an old card shows {shows(card)}" for card in old if shows(card) not in ("ended", "unfollowed"))
    if not _shows_it(newest, broadcast):
        yield f"the card shows {shows(newest)} of {about_what(newest)}, and it is {broadcast.now}"
    elif shows(newest) == "live" and playback_in(newest) not in _videos(stage, broadcast):
        yield f"the card leads to {playback_in(newest)}, and it plays at {_videos(stage, broadcast)}"
    elif shows(newest) == "errored" and broadcast.now.state is State.ERRORED and not _gives_reason(newest, broadcast):
        yield f"the card does not give the reason {reason_of(broadcast.now.number)}: {newest.text}"
    for card in there:
        if "Watch" in str(card.blocks) and shows(card) != "live":
            yield f"a card that shows {shows(card)} has a Watch button"


def unfollowed(stage: Stage, channel: Channel) -> list[str]:
    """The cards of a channel that follows nothing, and that say otherwise; a sentence each."""
    return [
        f"{channel.id}, broadcast {broadcast.number}: nothing is followed, and a card shows {shows(card)}"
        for broadcast in stage.director.broadcasts
        for card in _theirs(stage, channel, broadcast)
        if shows(card) not in ("ended", "unfollowed")
    ]


def _videos(stage: Stage, broadcast: Broadcast) -> list[str | None]:
    return [video_of(url) for url in stage.director.playbacks(broadcast)]


def _gives_reason(card: Message, broadcast: Broadcast) -> bool:
    """That of this error, or of an earlier one in a row of them."""
    return any(
        reason_of(move.number) in card.text
        for move in broadcast.moves
        if move.state is State.ERRORED and move.run == broadcast.now.run
    )


def _is_deleted(stage: Stage, channel: Channel, broadcast: Broadcast) -> bool:
    """The last card that was posted."""
    posted = [card.ts for card in stage.witness.cards if _is_of(card, channel, broadcast)]
    return bool(posted) and posted[-1] in stage.witness.deleted


def _is_of(card: Message, channel: Channel, broadcast: Broadcast) -> bool:
    about = about_what(card)
    return card.channel == channel.id and about is not None and about[0] == broadcast.number


def _theirs(stage: Stage, channel: Channel, broadcast: Broadcast) -> list[Message]:
    """Without those that Slack has posted twice, the bot knowing of the last only."""
    last = {card.client_msg_id: card.ts for card in stage.witness.cards}
    found = cards(stage.slack, broadcast.meeting_id, channel.id)
    return [card for card in found if last.get(card.client_msg_id) == card.ts]


def _shows_it(card: Message, broadcast: Broadcast) -> bool:
    move, shown = broadcast.now, shows(card)
    if shown == "ended" and move.state is State.ERRORED:
        # The error of a run whose end was told is no news.
        about = about_what(card)
        return about is not None and broadcast.moves[about[1]].run == move.run
    if shown not in _SHOWN[move.state]:
        return False
    return move.state in (State.OFF, State.STARTING) or about_what(card) == (broadcast.number, move.number)
