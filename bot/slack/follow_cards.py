"""What a channel that follows a meeting sees: its card, the replies in its thread, and the words at the end.

Values in, messages out. Nobody is mentioned, so that nobody is pinged by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.following.state import Change, ChangeKind, Episode, Phase
from bot.slack.blocks import actions, bold, button, context, menu, section
from bot.slack.cards import (
    FOLLOW_AGAIN,
    FOLLOW_MENU,
    NAME_LIMIT,
    REASON_LIMIT,
    UNNAMED,
    WORD_LIMIT,
    meeting,
    playback_link,
    shown_link,
    watch_button,
)
from bot.slack.messages import Block, CardState, Choice, Message
from bot.slack.mrkdwn import clock, escaped, moment
from bot.store.tables import FollowState, Volume
from bot.store.values import FOLLOW_SECONDS, Follow

UNSEEN_FOR = timedelta(minutes=10)
"""When nobody could look for so long before an end, it is said that it may have been earlier."""

_VOLUMES = {
    Volume.QUIET: "Quiet: changes show on this card alone",
    Volume.NORMAL: "Changes are told in the thread",
    Volume.LOUD: "Loud: live and ended are told to the channel too",
}
_LOUDER = {
    Choice.QUIET: "Quieter: this card alone",
    Choice.NORMAL: "Tell changes in the thread",
    Choice.LOUD: "Louder: tell the channel too",
}
When = Callable[[datetime], str]

_MENDING = {
    "not_in_channel": "I am not in the channel any more. Invite me again, and I go on by myself",
    "channel_not_found": "I cannot see the channel any more. If it is still there, invite me, and I go on by myself",
    "is_archived": "The channel is archived. Unarchive it and invite me again, and I go on by myself",
}
_SAME = {"is_inactive": "is_archived"}


@dataclass(frozen=True, slots=True)
class _Words:
    """One phase, as it is said on a card and in a sentence."""

    emoji: str
    title: str
    more: str
    sentence: str


def follow_card(follow: Follow, episode: Episode) -> Message:
    """The card of one run of a followed meeting. The menu stays after its end: a channel can stop there too."""
    words = _words(episode)
    name = _name(episode.name)
    notes = _notes(episode)
    playback = episode.playback_url if episode.phase is Phase.LIVE else None
    shown = shown_link(playback)
    headline = f"{bold(name)}\n{words.emoji} *{words.title}*{words.more}"
    blocks = [
        section(headline, _menu(follow) if follow.state is not FollowState.EXPIRED else None),
        *(section(note) for note in notes),
        *([playback_link(shown)] if shown else []),
        *([actions(watch_button(playback, _state(follow)))] if playback else []),
        context(_footer(follow, episode)),
    ]
    sentences = [f"{name} {words.sentence}", *notes, *_as_of(episode, clock)]
    watch = f" Watch: {escaped(shown, len(shown))}" if shown else ""
    return Message(" ".join(_ended_with_a_stop(sentence) for sentence in sentences) + watch, tuple(blocks))


def change_reply(follow: Follow, change: Change) -> Message:
    """What is told of a change in the thread, and where it is loud, in the channel too."""
    name = _name(change.name)
    emoji, said, plain = _told(change)
    playback = change.playback_url if change.kind in (ChangeKind.LIVE, ChangeKind.BACK) else None
    shown = shown_link(playback)
    watch = f" Watch: {escaped(shown, len(shown))}" if shown else ""
    return Message(
        _ended_with_a_stop(f"{name} {plain}") + watch,
        (
            section(f"{emoji} {bold(name)} {_ended_with_a_stop(said)}"),
            *([actions(watch_button(playback, _state(follow)))] if playback else []),
        ),
    )


def expired_reply(follow: Follow, name: str | None = None) -> Message:
    """The last word of a follow that nobody seems to wait for, with a way to begin anew."""
    sentence = (
        f"{_name(name)} had no livestream for {round(FOLLOW_SECONDS / 86_400)} days, so this channel follows it no "
        "longer."
    )
    again = button("Follow again", FOLLOW_AGAIN, _state(follow))
    return Message(
        f"{sentence} Type /livestream follow {follow.meeting_id} to follow it again.",
        (section(f":no_bell: {sentence}"), actions(again)),
    )


def unfollowed_card(follow: Follow, name: str | None = None) -> Message:
    """What becomes of the card of a follow that somebody has ended: nothing on it can grow old."""
    name = _name(name)
    return Message(
        f"{name} is no longer followed here.",
        (
            section(f"{bold(name)}\n:no_bell: *No longer followed here*"),
            actions(button("Follow again", FOLLOW_AGAIN, _state(follow))),
            context([meeting(follow.meeting_id)]),
        ),
    )


def paused_notice(follow: Follow, reason: str) -> Message:
    """Told to whoever follows a meeting in a channel where the bot cannot post any more: why, and how to mend it."""
    channel = f"<#{follow.channel_id}>"
    why = _MENDING.get(_SAME.get(reason, reason))
    why = why or f"Slack does not let me post there ({escaped(reason, WORD_LIMIT)}). Ask whoever runs this workspace"
    said = f"You follow a meeting in {channel}, and I cannot tell you there how it goes. {why}."
    return Message(
        f"{said} It is the meeting {follow.meeting_id}.",
        (section(f":warning: {said}"), context([meeting(follow.meeting_id)])),
    )


def spoken(duration: timedelta) -> str:
    """How long something took, in words."""
    minutes = max(0, round(duration.total_seconds())) // 60
    if minutes == 0:
        return "less than a minute"
    parts = [(minutes // 60, "hour"), (minutes % 60, "minute")]
    return " ".join(f"{count} {unit}{'s' if count != 1 else ''}" for count, unit in parts if count)


def _words(episode: Episode) -> _Words:
    since = episode.since
    match episode.phase:
        case Phase.WAITING:
            return _Words(":white_circle:", "Not broadcasting", "", "is not broadcasting yet")
        case Phase.STARTING:
            more = f" since {moment(since)}\nThe livestream has been asked for and is not on air yet."
            return _Words(":large_yellow_circle:", "Starting", more, "is starting and not on air yet")
        case Phase.LIVE:
            return _Words(":red_circle:", "Live", f" since {moment(since)}", f"has been live since {clock(since)}")
        case Phase.INTERRUPTED:
            more = f"\nOff the air since {moment(since)}; it may be back in a moment."
            return _Words(":large_yellow_circle:", "Reconnecting", more, f"is reconnecting since {clock(since)}")
        case Phase.ERRORED:
            reason = _reason(episode.error_reason)
            return _Words(":warning:", "Error", f" since {moment(since)}\n{reason}", f"has an error: {reason}")
        case Phase.ENDED:
            lasted = _lasted(episode.duration)
            sentence = f"has ended on {clock(since)}; {lasted}"
            return _Words(":white_check_mark:", "Ended", f" {moment(since)}\n{_capital(lasted)}.", sentence)


def _told(change: Change) -> tuple[str, str, str]:
    """The emoji, what is said of a change, and the same in plain text."""
    match change.kind:
        case ChangeKind.STARTING:
            return ":large_yellow_circle:", "is starting", "is starting"
        case ChangeKind.LIVE:
            return ":red_circle:", f"has been live since {moment(change.at)}", f"has been live since {clock(change.at)}"
        case ChangeKind.BACK:
            return ":red_circle:", "is live again", "is live again"
        case ChangeKind.ERRORED:
            said = f"has an error: {_reason(change.error_reason)}"
            return ":warning:", said, said
        case ChangeKind.ENDED:
            return ":white_check_mark:", _ended(change, moment), _ended(change, clock)


def _ended(change: Change, when: When) -> str:
    said = f"has ended; {_lasted(change.duration)}"
    if change.error_reason is not None:
        said += f". It had an error: {_reason(change.error_reason)}"
    if change.last_seen_live is not None and change.at - change.last_seen_live > UNSEEN_FOR:
        unseen = f"Nobody could look since {when(change.last_seen_live)}, so it may have been earlier"
        said = f"{_ended_with_a_stop(said)} {unseen}"
    return said


def _lasted(duration: timedelta | None) -> str:
    return "it was never on air" if duration is None else f"it was live for {spoken(duration)}"


def _notes(episode: Episode) -> list[str]:
    if episode.phase is Phase.ENDED:
        reason = episode.error_reason
        return [] if reason is None else [f"It had an error: {_reason(reason)}"]
    if episode.raw_status is None:
        return []
    word = escaped(episode.raw_status, WORD_LIMIT)
    said = f"Cloudflare says “{word}”, which this bot does not know." if word else "Cloudflare does not say how it is."
    return [said]


def _as_of(episode: Episode, when: When) -> list[str]:
    if not episode.stale:
        return []
    asked = f"As of {when(episode.checked_at)}" if episode.checked_at else "As of long ago"
    return [f"{asked}, Cloudflare cannot be asked"]


def _footer(follow: Follow, episode: Episode) -> list[str]:
    checked = [f"Checked {moment(episode.checked_at)}"] if episode.checked_at else []
    volume = "No longer followed here" if follow.state is FollowState.EXPIRED else _VOLUMES[follow.volume]
    return [*(_as_of(episode, moment) or checked), volume, meeting(follow.meeting_id)]


def _menu(follow: Follow) -> Block:
    louder = [choice for choice in _LOUDER if choice.value != follow.volume.value]
    options = [(_LOUDER[choice], choice) for choice in louder]
    options += [("Refresh", Choice.REFRESH), ("Unfollow", Choice.UNFOLLOW)]
    return menu(FOLLOW_MENU, [(label, _state(follow, choice)) for label, choice in options])


def _state(follow: Follow, choice: Choice | None = None) -> CardState:
    return CardState(m=str(follow.meeting_id), do=choice)


def _name(name: str | None) -> str:
    return escaped(name or "", NAME_LIMIT) or UNNAMED


def _reason(reason: str | None) -> str:
    return escaped(reason or "", REASON_LIMIT) or "Cloudflare gives no reason."


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _ended_with_a_stop(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."
