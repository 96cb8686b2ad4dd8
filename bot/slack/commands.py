"""What a person means by what they typed after `/livestream`. Values in, values out."""

import re
from dataclasses import dataclass
from uuid import UUID

from bot.slack.meeting_ids import LONGEST_TEXT, NoMeeting, OneMeeting, SeveralMeetings, read_meeting_id
from bot.store.tables import Volume


@dataclass(frozen=True, slots=True)
class LookUp:
    """Is this meeting live, and where to watch it."""

    meeting_id: UUID


@dataclass(frozen=True, slots=True)
class FollowMeeting:
    """Follow it in this channel; `volume` None where they did not say how loudly."""

    meeting_id: UUID
    volume: Volume | None


@dataclass(frozen=True, slots=True)
class UnfollowMeeting:
    """Follow it no longer."""

    meeting_id: UUID


@dataclass(frozen=True, slots=True)
class ListFollows:
    """What does this channel follow."""


@dataclass(frozen=True, slots=True)
class Help:
    """How the command is used: they asked for it, or are not understood."""


@dataclass(frozen=True, slots=True)
class WhichOne:
    """They named several meetings where one is meant."""

    meeting_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something is missing or too much; the sentence says what, and has nothing in it that they typed."""

    sentence: str


Command = LookUp | FollowMeeting | UnfollowMeeting | ListFollows | Help | WhichOne | Mistake

FOLLOW_WHAT = "Which meeting? Type `/livestream follow &lt;meeting-id&gt;`."
UNFOLLOW_WHAT = (
    "Which meeting? Type `/livestream unfollow &lt;meeting-id&gt;`. `/livestream following` lists the ones this "
    "channel follows."
)
NO_SUCH_VOLUME = (
    "I didn't understand that, so nothing changed. After the meeting ID you can add `quiet`, `normal` or `loud`."
)
NOTHING_MORE = "I didn't understand that, so nothing changed. After `/livestream unfollow` type only the meeting ID."

_LINK = re.compile(r"<[^<>]*>")
_AROUND_WORDS = "`'\"“”()[]<>*_~.,;:!?"


def read_command(text: str) -> Command:
    """The command in the text, whose first word may be in any case; without such a word it is a question."""
    verb, rest = _first_word(text)
    match verb:
        case "follow":
            return _follow(rest)
        case "unfollow":
            return _unfollow(rest)
        case "following" if isinstance(read_meeting_id(rest), NoMeeting):
            return ListFollows()
        case _:
            return _look_up(text)


def _first_word(text: str) -> tuple[str, str]:
    """It in lower case, and what follows; texts that are too long to be read have none."""
    words = text.split(maxsplit=1) if len(text) <= LONGEST_TEXT else []
    return (words[0].lower() if words else "", words[1] if len(words) > 1 else "")


def _follow(rest: str) -> Command:
    meeting = read_meeting_id(rest)
    words = set(_other_words(rest))
    match meeting:
        case SeveralMeetings(meeting_ids):
            return WhichOne(meeting_ids)
        case OneMeeting(meeting_id):
            if len(words) > 1 or not words <= set(Volume):
                return Mistake(NO_SUCH_VOLUME)
            return FollowMeeting(meeting_id, Volume(words.pop()) if words else None)
        case _:
            return Mistake(FOLLOW_WHAT)


def _unfollow(rest: str) -> Command:
    match read_meeting_id(rest):
        case SeveralMeetings(meeting_ids):
            return WhichOne(meeting_ids)
        case OneMeeting(meeting_id):
            return Mistake(NOTHING_MORE) if _other_words(rest) else UnfollowMeeting(meeting_id)
        case _:
            return Mistake(UNFOLLOW_WHAT)


def _look_up(text: str) -> Command:
    match read_meeting_id(text):
        case OneMeeting(meeting_id):
            return LookUp(meeting_id)
        case SeveralMeetings(meeting_ids):
            return WhichOne(meeting_ids)
        case _:
            return Help()


def _other_words(text: str) -> list[str]:
    """The words that are neither a meeting ID nor a link with one in it, in lower case."""
    without_links = _LINK.sub(lambda found: " " if _names_meeting(found[0]) else found[0], text)
    words = (word.strip(_AROUND_WORDS).lower() for word in without_links.split() if not _names_meeting(word))
    return [word for word in words if word]


def _names_meeting(text: str) -> bool:
    return isinstance(read_meeting_id(text), OneMeeting)
