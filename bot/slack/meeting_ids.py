"""Find the meeting that a person means in what they typed."""

import re
from dataclasses import dataclass
from uuid import UUID

LONGEST_TEXT = 3_000

# Part of a longer word it is something else, but a link inside a link has %2F before it.
_UUID = re.compile(
    r"(?:(?<![0-9a-z])|(?<=%[0-9a-f]{2}))[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class OneMeeting:
    """Exactly one meeting ID."""

    meeting_id: UUID


@dataclass(frozen=True, slots=True)
class SeveralMeetings:
    """Different meeting IDs, in the order in which they came."""

    meeting_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class NoMeeting:
    """Nothing that is a meeting ID."""


def read_meeting_id(text: str) -> OneMeeting | SeveralMeetings | NoMeeting:
    """A bare ID in any case, in backticks, in a link or in a sentence; the same ID twice counts once.

    Longer texts than 3,000 characters are not read.
    """
    if len(text) > LONGEST_TEXT:
        return NoMeeting()
    found = tuple(dict.fromkeys(UUID(match) for match in _UUID.findall(text)))
    if not found:
        return NoMeeting()
    return OneMeeting(found[0]) if len(found) == 1 else SeveralMeetings(found)
