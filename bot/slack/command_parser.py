"""Parser of the text after the slash command: values in, values out."""

import difflib
from dataclasses import dataclass, field, replace
from itertools import takewhile
from uuid import UUID

from bot.domain.follow import Level
from bot.slack.meeting_ids import (
    MAX_TEXT_LENGTH,
    OneMeeting,
    SeveralMeetings,
    describe_typo,
    make_readable,
    read_meeting_id,
    split,
)
from bot.wording import DEFAULT_COMMAND


@dataclass(frozen=True, slots=True)
class LookupCommand:
    """Look up whether this meeting is live and where to watch it."""

    meeting_id: UUID


@dataclass(frozen=True, slots=True)
class FollowCommand:
    """Follow the meeting in this channel; `level` is None if the person named no level."""

    meeting_id: UUID
    level: Level | None


@dataclass(frozen=True, slots=True)
class UnfollowCommand:
    """Stop following the meeting in this channel."""

    meeting_id: UUID


@dataclass(frozen=True, slots=True)
class ListFollowsCommand:
    """List the meetings that this channel follows."""


@dataclass(frozen=True, slots=True)
class HelpCommand:
    """Show how to use the command."""


@dataclass(frozen=True, slots=True)
class AmbiguousMeeting:
    """The text has several meeting IDs, but the command takes one."""

    meeting_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class UsageError:
    """A text with something missing, superfluous or unknown.

    The sentence says what is wrong. Of the text that the person typed, it repeats only a meeting ID.
    """

    sentence: str
    is_for_channels: bool = field(default=False, compare=False)
    """Whether the command is about following, which works only in channels."""


Command = (
    LookupCommand | FollowCommand | UnfollowCommand | ListFollowsCommand | HelpCommand | AmbiguousMeeting | UsageError
)

FOLLOW_WHICH = "Which meeting? Type `/livestream follow &lt;meeting-id&gt;`."
UNFOLLOW_WHICH = (
    "Which meeting? Type `/livestream unfollow &lt;meeting-id&gt;`. `/livestream following` lists the ones this "
    "channel follows."
)
UNKNOWN_LEVEL = (
    "I didn't understand that, so nothing changed. After the meeting ID you can add `quiet`, `normal` or `loud`."
)
NOTHING_MORE = "I didn't understand that, so nothing changed. After `/livestream unfollow` type only the meeting ID."
NO_ID = "I couldn't find a meeting ID in that. IDs look like `50c8940e-1b97-…`. `/livestream help` shows all commands."
TOO_LONG = "That's too long for me to read. Send only the command and the meeting ID."
_NOT_FOLLOWED = "I changed nothing. To stop following this meeting, type `/livestream unfollow {meeting_id}`."
_NOT_UNFOLLOWED = "I changed nothing. `/livestream following` lists the meetings that this channel follows."
_BAD_ID = "That looks like a meeting ID, but {wrong}. Copy it again."
_DID_YOU_MEAN = "I didn't understand that, so nothing changed. Did you mean `/livestream {nearest}`?"
_NOT_UNDERSTOOD = (
    "I didn't understand that, so nothing changed. To check this meeting, type `/livestream {meeting_id}`."
)

_FOLLOW, _UNFOLLOW, _FOLLOWING, _HELP = "follow", "unfollow", "following", "help"
_VERBS = (_FOLLOW, _UNFOLLOW, _FOLLOWING, _HELP)
_FILLERS = ("is", "meeting", "id")
"""Words that may precede an ID in a lookup, since they name no action; the bot's own messages write "Meeting" there."""
_NEGATIONS = ("no", "not", "never", "dont", "don't", "don’t")
_OTHER_WORDS = {
    **dict.fromkeys(("start", "subscribe", "add", "track", "begin", "join"), _FOLLOW),
    **dict.fromkeys(("stop", "end", "remove", "delete", "cancel", "unsubscribe", "leave", "forget", "un"), _UNFOLLOW),
    **dict.fromkeys(("quit", "exit", "drop", "disable", "off", "dont", "don't", "don’t"), _UNFOLLOW),
    **dict.fromkeys(("mute", "silence", "silent", "hush"), f"{_FOLLOW} {Level.QUIET}"),
    **dict.fromkeys(("unmute",), f"{_FOLLOW} {Level.NORMAL}"),
    **dict.fromkeys(("list", "followed", "follows"), _FOLLOWING),
    **{level.value: f"{_FOLLOW} {level}" for level in Level},
}
"""Words that people may type instead of the command's own."""
_OPPOSITES = ("un", "no", "de", "dis", "stop", "quit", "dont", "don't", "don’t")
"""What turns a word like "follow" into its opposite, as in "unfollowing"."""
_MIN_SIMILARITY = 0.75
"""How similar a word must be to one of the command's (difflib's ratio, 0 to 1)."""


def read_command(text: str, name: str = DEFAULT_COMMAND) -> Command:
    """Return the command in the text; `name` is the slash command's name in this workspace.

    A text is a lookup only if it cannot be meant as another command. A mistake changes nothing.
    """
    command = _read(text, name)
    if isinstance(command, UsageError):
        return replace(command, sentence=command.sentence.replace(f"`{DEFAULT_COMMAND} ", f"`{name} "))
    return command


def _read(text: str, name: str) -> Command:
    if len(text) > MAX_TEXT_LENGTH:
        return UsageError(TOO_LONG)
    plain = make_readable(text)
    parts = split(plain)
    named = [*takewhile(lambda part: part in (name.strip("/"), DEFAULT_COMMAND.strip("/")), parts)]
    parts = parts[len(named) :]
    if not parts:
        return UsageError(NO_ID) if plain.strip() and not named else HelpCommand()
    verb = parts[0]
    words = [part for part in parts[1:] if isinstance(part, str)]
    match verb, read_meeting_id(plain):
        case (_, SeveralMeetings(meeting_ids)):
            return AmbiguousMeeting(meeting_ids)
        case ("help", _):
            return HelpCommand()
        case ("follow", OneMeeting(meeting_id)):
            return _follow(meeting_id, set(words))
        case ("unfollow", OneMeeting(meeting_id)):
            return _about_following(NOTHING_MORE) if words else UnfollowCommand(meeting_id)
        case (_, OneMeeting(meeting_id)) if (verb in _FILLERS or verb == meeting_id) and not _nearest(words):
            return LookupCommand(meeting_id)
        case (_, OneMeeting(meeting_id)):
            return _not_understood(meeting_id, [part for part in parts if isinstance(part, str)])
        case _:
            return _without_meeting(str(verb), plain)


def _follow(meeting_id: UUID, words: set[str]) -> Command:
    if len(words) > 1 or not words <= set(Level):
        return _about_following(UNKNOWN_LEVEL)
    return FollowCommand(meeting_id, Level(words.pop()) if words else None)


def _about_following(sentence: str) -> UsageError:
    return UsageError(sentence, is_for_channels=True)


def _not_understood(meeting_id: UUID, words: list[str]) -> Command:
    if negations := [word for word in words if word in _NEGATIONS]:
        # Don't suggest what the person says they don't want.
        unwanted = _nearest(words[words.index(negations[0]) + 1 :])
        if unwanted == _UNFOLLOW:
            return _about_following(_NOT_UNFOLLOWED)
        if unwanted is not None and unwanted != _HELP:
            return _about_following(_NOT_FOLLOWED.format(meeting_id=meeting_id))
    nearest = _nearest(words)
    if nearest is None or nearest == _HELP:
        return UsageError(_NOT_UNDERSTOOD.format(meeting_id=meeting_id))
    verb, *level = ("follow" if nearest == _FOLLOWING else nearest).split()
    if verb == _FOLLOW and not level:
        level = [word for word in words if word in set(Level)][:1]
    return _about_following(_DID_YOU_MEAN.format(nearest=" ".join([verb, str(meeting_id), *level])))


def _without_meeting(verb: str, text: str) -> Command:
    wrong = describe_typo(text)
    if wrong is not None:
        return UsageError(_BAD_ID.format(wrong=wrong))
    match verb:
        case "follow":
            return _about_following(FOLLOW_WHICH)
        case "unfollow":
            return _about_following(UNFOLLOW_WHICH)
        case "following":
            return ListFollowsCommand()
    nearest = _nearest([verb])
    if nearest is None:
        return UsageError(NO_ID)
    verb, *level = nearest.split()
    needs_meeting = ["&lt;meeting-id&gt;"] if verb in (_FOLLOW, _UNFOLLOW) else []
    sentence = _DID_YOU_MEAN.format(nearest=" ".join([verb, *needs_meeting, *level]))
    return UsageError(sentence, is_for_channels=verb != _HELP)


def _nearest(words: list[str]) -> str | None:
    """Return the command that the first similar word probably stands for, or None."""
    for word in words:
        if word in _VERBS:
            return word
        if word in _OTHER_WORDS:
            return _OTHER_WORDS[word]
        if close := difflib.get_close_matches(word, (*_VERBS, *Level), n=1, cutoff=_MIN_SIMILARITY):
            if close[0] in (_FOLLOW, _FOLLOWING) and word.startswith(_OPPOSITES):
                return _UNFOLLOW
            return _OTHER_WORDS.get(close[0], close[0])
    return None
