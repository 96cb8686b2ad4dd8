"""Builders for what a following channel sees: the meeting's card, the replies in its thread, and the closing message.

Values in, messages out. Only the small print names people: those who followed or unfollowed a meeting.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from bot.domain.episode import Change, ChangeKind, Episode, Phase
from bot.domain.follow import FOLLOW_SECONDS, Follow, FollowState, Level
from bot.slack.messages.lookup_card import (
    FOLLOW_AGAIN,
    FOLLOW_MENU,
    MAX_NAME_LENGTH,
    MAX_REASON_LENGTH,
    MAX_WORD_LENGTH,
    NO_REASON,
    UNNAMED,
    meeting,
    playback_link,
    shown_link,
    unknown_status,
    watch_button,
)
from bot.slack.messages.message import ActionValue, Block, MenuAction, Message, actions, button, context, menu, section
from bot.slack.messages.mrkdwn import bold, escape, escape_entities, format_date, format_plain_date, format_utc
from bot.wording import DEFAULT, Wording

UNOBSERVED_BEFORE_END = timedelta(minutes=10)
"""If no check succeeded for this long before an end, the reply says that the livestream may have ended earlier."""

LATE_DISCOVERY = timedelta(minutes=2)
"""A start that is observed later than this is announced with its time."""

_OVER = (FollowState.EXPIRED, FollowState.UNFOLLOWED)
_LEVEL_LABELS = {
    Level.QUIET: "Quiet: card only",
    Level.NORMAL: "Updates in thread",
    Level.LOUD: "Loud: thread and channel",
}
_MENU_LABELS = {
    MenuAction.QUIET: "Quiet – card only",
    MenuAction.NORMAL: "Normal – updates in thread",
    MenuAction.LOUD: "Loud – also post in channel",
}
When = Callable[[datetime, str], str]

_MISSING = "Cloudflare has no meeting with this ID anymore."


@dataclass(frozen=True, slots=True)
class _PhaseText:
    """The wording for one phase, on a card and in a sentence."""

    emoji: str
    title: str
    more: str
    sentence: str


def follow_card(follow: Follow, episode: Episode, *, is_latest: bool = True, is_new: bool = False) -> Message:
    """Build the card of one episode of a followed meeting.

    Only the follow's latest card shows the level and has a menu. Both stay after the episode has ended, so that the
    channel can still unfollow there; an expired follow's card offers to follow again instead. Slack notifies the people
    mentioned in a new message, so a card that `is_new` mentions no one; its first edit adds the mention.
    """
    words = _phase_text(episode)
    name = _name(episode.name)
    notes = _warnings(episode)
    playback = episode.playback_url if episode.phase is Phase.LIVE else None
    shown = shown_link(playback)
    headline = f"{bold(name)}\n{words.emoji} *{words.title}*{words.more}"
    is_over = follow.state in _OVER
    blocks = [
        section(headline, _menu(follow) if is_latest and not is_over else None),
        *(section(note) for note in notes),
        *([playback_link(shown)] if shown else []),
        *([actions(watch_button(playback, _state(follow)))] if playback else []),
        *([_follow_again_button(follow)] if is_latest and is_over else []),
        context(_footer(follow, episode, is_latest=is_latest, is_new=is_new)),
    ]
    sentences = [f"{name} {words.sentence}", *notes, *_stale(episode, format_plain_date)]
    watch = f" Watch: {escape_entities(shown)}" if shown else ""
    return Message(" ".join(_with_period(sentence) for sentence in sentences) + watch, tuple(blocks))


def change_reply(follow: Follow, change: Change) -> Message:
    """Build the announcement of a change, for the thread and, if the follow is loud, for the channel."""
    name = _name(change.name)
    emoji, text, plain = _change_text(change)
    playback = change.playback_url if change.kind in (ChangeKind.LIVE, ChangeKind.BACK) else None
    shown = shown_link(playback)
    watch = f" Watch: {escape_entities(shown)}" if shown else ""
    return Message(
        _with_period(f"{name} {plain}") + watch,
        (
            section(f"{emoji} {bold(name)} {_with_period(text)}"),
            *([actions(watch_button(playback, _state(follow)))] if playback else []),
        ),
    )


def expired_reply(follow: Follow, name: str | None = None, wording: Wording = DEFAULT) -> Message:
    """Build the reply that closes an expired follow. The button to follow again is on the card, which can change."""
    days = round(FOLLOW_SECONDS / 86_400)
    sentence = f"{_name(name)} hasn't been live for {days} days, so I've stopped following it here."
    return Message(
        f"{sentence} To follow it again, type {wording.command} follow {follow.meeting_id}.",
        (section(f":no_bell: {sentence} To follow it again, press *Follow again* on the card."),),
    )


def unfollowed_card(follow: Follow, name: str | None = None, *, is_new: bool = False) -> Message:
    """Build the card of an unfollowed meeting. A card that `is_new` mentions no one, as in `follow_card`."""
    name = _name(name)
    by = [f"Unfollowed by <@{follow.unfollowed_by}>"] if follow.unfollowed_by and not is_new else []
    return Message(
        f"{name} is no longer followed here.",
        (
            section(f"{bold(name)}\n:no_bell: *No longer followed here*"),
            _follow_again_button(follow),
            context([*by, meeting(follow.meeting_id)]),
        ),
    )


def followed_again(meeting_id: UUID, name: str | None = None) -> Message:
    """Build the content that an old card shows once the channel follows the meeting again."""
    name = _name(name)
    return Message(
        f"{name} is followed here again, on a newer card.",
        (section(f"{bold(name)}\n:bell: *Followed here again*, on a newer card"), context([meeting(meeting_id)])),
    )


def humanize(duration: timedelta) -> str:
    """Return a duration in words, in whole minutes."""
    minutes = max(0, round(duration.total_seconds())) // 60
    if minutes == 0:
        return "less than a minute"
    parts = [(minutes // 60, "hour"), (minutes % 60, "minute")]
    return " ".join(f"{count} {unit}{'s' if count != 1 else ''}" for count, unit in parts if count)


def _phase_text(episode: Episode) -> _PhaseText:
    since = episode.since
    match episode.phase:
        case Phase.WAITING if episode.is_missing:
            more = f"\n{_MISSING}"
            return _PhaseText(":grey_question:", "Meeting not found", more, f"was not found. {_MISSING}")
        case Phase.WAITING:
            return _PhaseText(
                ":white_circle:", "Not live yet", "\nThis card updates when it starts.", "is not live yet"
            )
        case Phase.STARTING:
            return _PhaseText(":large_yellow_circle:", "Starting", "\nNo video yet.", "is starting. No video yet")
        case Phase.LIVE:
            return _PhaseText(
                ":red_circle:", "Live", f" · {format_date(since, 'started')}", f"is live. Started {format_utc(since)}"
            )
        case Phase.INTERRUPTED:
            more = f"\n{format_date(since, 'Signal lost')}. Waiting for it to come back."
            return _PhaseText(
                ":large_yellow_circle:", "Reconnecting", more, f"has been reconnecting since {format_utc(since)}"
            )
        case Phase.ERRORED:
            reason = _reason(episode.error_reason)
            return _PhaseText(
                ":warning:", "Error", f" · {format_date(since, 'since')}\n{reason}", f"has an error: {reason}"
            )
        case Phase.ENDED:
            more = f" · {format_date(since)} · {_duration_text(episode.duration)}"
            until = "" if episode.duration is None else f", until {format_utc(since)}"
            sentence = f"has ended. {_it_lasted(episode.duration)}{until}"
            return _PhaseText(":white_check_mark:", "Ended", more, sentence)


def _change_text(change: Change) -> tuple[str, str, str]:
    """Return the emoji for a change, its wording in mrkdwn, and the same in plain text."""
    match change.kind:
        case ChangeKind.STARTING:
            return ":large_yellow_circle:", "is starting", "is starting"
        case ChangeKind.LIVE:
            return ":red_circle:", _live(change, format_date), _live(change, format_plain_date)
        case ChangeKind.BACK:
            return ":red_circle:", "is live again", "is live again"
        case ChangeKind.ERRORED:
            sentence = f"hit an error: {_reason(change.error_reason)}"
            return ":warning:", sentence, sentence
        case ChangeKind.ENDED:
            return ":white_check_mark:", _ended(change, format_date), _ended(change, format_plain_date)


def _live(change: Change, when: When) -> str:
    if change.seen_at - change.at <= LATE_DISCOVERY:
        return "is live"
    return f"has been live {when(change.at, 'since')}"


def _ended(change: Change, when: When) -> str:
    text = f"has ended. {_it_lasted(change.duration)}"
    if change.error_reason is not None:
        text += f". It had an error: {_reason(change.error_reason)}"
    if change.last_seen_live is not None and change.at - change.last_seen_live > UNOBSERVED_BEFORE_END:
        unseen = f"I couldn't check {when(change.last_seen_live, 'after')}, so it may have ended earlier"
        text = f"{_with_period(text)} {unseen}"
    return text


def _duration_text(duration: timedelta | None) -> str:
    return "never went live" if duration is None else f"live for {humanize(duration)}"


def _it_lasted(duration: timedelta | None) -> str:
    return f"It {_duration_text(duration)}" if duration is None else f"It was {_duration_text(duration)}"


def _warnings(episode: Episode) -> list[str]:
    if episode.phase is Phase.ENDED:
        reason = episode.error_reason
        return [] if reason is None else [f"It had an error: {_reason(reason)}"]
    if episode.is_missing and episode.phase is not Phase.WAITING:
        return [_MISSING]
    if episode.raw_status is None:
        return []
    return [unknown_status(escape(episode.raw_status, MAX_WORD_LENGTH))]


def _stale(episode: Episode, when: When) -> list[str]:
    if not episode.is_stale:
        return []
    checked = f". {when(episode.checked_at, 'Last checked')}" if episode.checked_at else ""
    return [f"Can't get updates from Cloudflare{checked}"]


def _footer(follow: Follow, episode: Episode, *, is_latest: bool, is_new: bool) -> list[str]:
    checked = [format_date(episode.checked_at, "Checked")] if episode.checked_at else []
    stale = [f":warning: {note}" for note in _stale(episode, format_date)]
    level = "No longer followed here" if follow.state in _OVER else _LEVEL_LABELS[follow.level]
    by = [] if is_new else [f"Followed by <@{follow.created_by}>"]
    return [*(stale or checked), *([level] if is_latest else []), *by, meeting(follow.meeting_id)]


def _menu(follow: Follow) -> Block:
    options = [
        (f"✓ {label}" if choice.value == follow.level.value else label, choice)
        for choice, label in _MENU_LABELS.items()
    ]
    options += [("Refresh", MenuAction.REFRESH), ("Unfollow", MenuAction.UNFOLLOW)]
    return menu(FOLLOW_MENU, [(label, _state(follow, choice)) for label, choice in options])


def _follow_again_button(follow: Follow) -> Block:
    return actions(button("Follow again", FOLLOW_AGAIN, _state(follow, MenuAction(follow.level.value))))


def _state(follow: Follow, choice: MenuAction | None = None) -> ActionValue:
    return ActionValue(m=str(follow.meeting_id), do=choice)


def _name(name: str | None) -> str:
    return escape(name or "", MAX_NAME_LENGTH) or UNNAMED


def _reason(reason: str | None) -> str:
    return escape(reason or "", MAX_REASON_LENGTH) or NO_REASON


def _with_period(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", "…")) else f"{sentence}."
