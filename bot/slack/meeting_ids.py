"""Find the meeting that a person means in what they typed."""

import re
import unicodedata
from dataclasses import dataclass
from uuid import UUID

LONGEST_TEXT = 3_000
_HEX_DIGITS = 32
_SHORTEST, _LONGEST = 20, 44
"""How many digits and letters something has that was meant as an ID."""

# Part of a longer word it is something else, but a link inside a link has %2F before it. Where it stands alone, its
# hyphens may be missing or misplaced, or spaces or underscores; in an address the same digits are rather a video's.
_ID = re.compile(
    r"(?:(?<![0-9a-z])|(?<=%[0-9a-f]{2}))"
    r"[0-9a-f]{8}\s{0,2}-\s{0,2}[0-9a-f]{4}\s{0,2}-\s{0,2}[0-9a-f]{4}\s{0,2}-\s{0,2}[0-9a-f]{4}\s{0,2}-\s{0,2}"
    r"[0-9a-f]{12}(?![0-9a-z])"
    r"|(?<![0-9a-z/.%=&?#-])(?:[0-9a-f]-{0,2}){31}[0-9a-f](?![0-9a-z/.-][0-9a-z]|[0-9a-z])"
    r"|(?<![0-9a-z/.%=&?#-])(?<![0-9a-z]_)[0-9a-f]{8}(?:[\s_]{1,2}[0-9a-f]{4}){3}[\s_]{1,2}[0-9a-f]{12}"
    r"(?![0-9a-z_/.-][0-9a-z]|[0-9a-z])",
    re.IGNORECASE,
)
_PASTED_LINK = re.compile(r"<(?:https?|mailto|tel):[^<>]*>", re.IGNORECASE)
_ADDRESS = re.compile(r"://|\w\.\w[^\s/?]*[/?]")
_BETWEEN_WORDS = re.compile(r"[\s/?=%&,;|]+")
_CANDIDATE = re.compile(r"[0-9a-z-]+", re.IGNORECASE)
_ESCAPED = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
_MINUS = "\u2212"


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
    """Read an ID in any case, in marks, in a link or in a sentence; the same ID twice counts once.

    What typing and pasting do to an ID is repaired: other dashes, spaces or underscores, hyphens that are missing,
    invisible characters. Texts
    longer than 3,000 characters are not read.
    """
    found = _ids(readable(text))
    if not found:
        return NoMeeting()
    return OneMeeting(found[0]) if len(found) == 1 else SeveralMeetings(found)


def readable(text: str) -> str:
    """Return the text with plain spaces and hyphens, and without what cannot be seen; "" if it is too long."""
    if len(text) > LONGEST_TEXT:
        return ""
    if text.isascii() and "&" not in text:
        return text
    joined = _plain(text, "")
    # Mostly an invisible character stands inside a word; where no ID is found so, between two.
    return joined if _ID.search(joined) else _plain(text, " ")


def split(text: str) -> list[str | UUID]:
    """Return the words of a readable text, in lower case and without the marks around them, and its meeting IDs.

    A link that contains an ID is that ID, whatever else is in it.
    """
    parts: list[str | UUID] = []
    for piece in _without_breaks(text).split():
        ids = _ids(piece)
        if not ids:
            parts.append(_bare(piece))
        elif not _ADDRESS.search(piece):
            parts += map(_bare, _BETWEEN_WORDS.split(_ID.sub(" ", piece)))
        parts += ids
    return [part for part in parts if part not in ("", "urn:uuid")]


def what_is_wrong(text: str) -> str | None:
    """Say what is wrong with a readable text's meeting ID, as in "it's one character short"; None without one."""
    for found in _CANDIDATE.finditer(text):
        word = found[0].strip("-")
        digits = word.replace("-", "")
        wrong = [c for c in digits.lower() if c not in "0123456789abcdef"]
        if not _SHORTEST <= len(digits) <= _LONGEST or len(wrong) * 4 > len(digits):
            continue
        missing = _HEX_DIGITS - len(digits)
        if wrong:
            return "it has letters that no ID has (only 0–9 and a–f)"
        if missing:
            return f"it's {_characters(abs(missing))} {'short' if missing > 0 else 'too long'}"
    return None


def _ids(text: str) -> tuple[UUID, ...]:
    return tuple(dict.fromkeys(UUID(re.sub(r"[^0-9a-fA-F]", "", found)) for found in _ID.findall(text)))


def _plain(text: str, for_invisible: str) -> str:
    for entity, character in _ESCAPED:
        text = text.replace(entity, character)
    return "".join(_as_typed(character, for_invisible) for character in text)


def _as_typed(character: str, for_invisible: str) -> str:
    match unicodedata.category(character):
        case "Pd":
            return "-"
        case "Zs":
            return " "
        case "Cf":
            return for_invisible
    return "-" if character == _MINUS else character


def _without_breaks(text: str) -> str:
    """The text with each pasted link and each ID in one piece, without a space inside."""
    whole = _PASTED_LINK.sub(lambda found: re.sub(r"\s+", "/", found[0]), text)
    return _ID.sub(lambda found: re.sub(r"\s+", "", found[0]), whole)


def _bare(word: str) -> str:
    return re.sub(r"^[\W_]+|[\W_]+$", "", word).lower()


def _characters(count: int) -> str:
    return "one character" if count == 1 else f"{count} characters"
