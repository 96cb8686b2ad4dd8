"""Parser of meeting IDs in text that people type or paste."""

import re
import unicodedata
from dataclasses import dataclass
from uuid import UUID

MAX_TEXT_LENGTH = 3_000
_HEX_DIGITS = 32
_MIN_DIGITS, _MAX_DIGITS = 20, 44
"""Bounds on the number of letters and digits in a word that was probably meant as an ID."""

_SEPARATOR = "[\\W_\u30fc\uff70]{1,3}"
"""What may stand for a hyphen between an ID's groups: punctuation, spaces, or the Japanese long vowel marks."""

# Inside a longer word the digits are not an ID, except after %2F, as in a link inside a link. In an ID that stands
# alone, hyphens may be missing or misplaced; or other separators may replace them, between five groups of the right
# length. In a URL, digits without the right hyphens are more likely a video's ID.
_ID = re.compile(
    r"(?:(?<![0-9a-z])|(?<=%[0-9a-f]{2}))"
    r"[0-9a-f]{8}\s{0,2}-\s{0,2}[0-9a-f]{4}\s{0,2}-\s{0,2}[0-9a-f]{4}\s{0,2}-\s{0,2}[0-9a-f]{4}\s{0,2}-\s{0,2}"
    r"[0-9a-f]{12}(?![0-9a-z])"
    r"|(?<![0-9a-z/.%=&?#-])(?:[0-9a-f]-{0,2}){31}[0-9a-f](?![0-9a-z/.-][0-9a-z]|[0-9a-z])"
    r"|(?<![0-9a-z/.%=&?#-])(?<![0-9a-z]_)(?<![0-9a-f]{2}[:\u00b7])"
    rf"[0-9a-f]{{8}}(?:{_SEPARATOR}[0-9a-f]{{4}}){{3}}{_SEPARATOR}[0-9a-f]{{12}}"
    r"(?![0-9a-z_/.:\u00b7-][0-9a-z]|[0-9a-z])",
    re.IGNORECASE,
)
_PASTED_LINK = re.compile(r"<(?:https?|mailto|tel):[^<>]*>", re.IGNORECASE)
_ADDRESS = re.compile(r"://|\w\.\w[^\s/?]*[/?]")
_BETWEEN_WORDS = re.compile(r"[\s/?=%&,;|]+")
_CANDIDATE = re.compile(
    rf"(?<![0-9a-z])[0-9a-f]{{3,}}(?:{_SEPARATOR}[0-9a-f]{{3,}}){{4}}(?![0-9a-z])|[0-9a-z-]+", re.IGNORECASE
)
_ESCAPED = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
_DASHES = "\u02d7\u2043\u2053\u207b\u208b\u2212\u2796"
"""Characters that Unicode calls a minus sign, a hyphen or a dash, beside those in its category of dashes."""


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
    """No meeting ID."""


def read_meeting_id(text: str) -> OneMeeting | SeveralMeetings | NoMeeting:
    """Read a meeting ID in upper or lower case, in quotes, in a link or in a sentence; the same ID twice counts once.

    Typing and pasting may have damaged the ID; this accepts other dashes and separators, missing hyphens and invisible
    characters. Texts longer than 3,000 characters count as having no ID.
    """
    found = _ids(make_readable(text))
    if not found:
        return NoMeeting()
    return OneMeeting(found[0]) if len(found) == 1 else SeveralMeetings(found)


def make_readable(text: str) -> str:
    """Normalize spaces and hyphens and drop invisible characters; return "" if the text is too long."""
    if len(text) > MAX_TEXT_LENGTH:
        return ""
    if text.isascii() and "&" not in text:
        return text
    joined = _normalize_text(text, "")
    # Invisible characters are mostly inside a word. If dropping them reveals no ID, treat them as spaces.
    return joined if _ID.search(joined) else _normalize_text(text, " ")


def split(text: str) -> list[str | UUID]:
    """Return a readable text's words, in lower case and without surrounding punctuation, and its meeting IDs.

    A link that contains an ID counts as only that ID.
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


def describe_typo(text: str) -> str | None:
    """Return what is wrong with the meeting ID in a readable text, such as "it's one character short", or None."""
    for found in _CANDIDATE.finditer(text):
        digits = re.sub(r"[\W_\u30fc\uff70]", "", found[0])
        wrong = [c for c in digits.lower() if c not in "0123456789abcdef"]
        if not _MIN_DIGITS <= len(digits) <= _MAX_DIGITS or len(wrong) * 4 > len(digits):
            continue
        missing = _HEX_DIGITS - len(digits)
        if wrong:
            return "it has letters that no ID has (only 0–9 and a–f)"
        if missing:
            count = "one character" if abs(missing) == 1 else f"{abs(missing)} characters"
            return f"it's {count} {'short' if missing > 0 else 'too long'}"
    return None


def _ids(text: str) -> tuple[UUID, ...]:
    return tuple(dict.fromkeys(_uuid(found) for found in _ID.finditer(text)))


def _uuid(found: re.Match[str]) -> UUID:
    return UUID(re.sub(r"[^0-9a-fA-F]", "", found[0]))


def _normalize_text(text: str, invisible_as: str) -> str:
    for entity, character in _ESCAPED:
        text = text.replace(entity, character)
    return "".join(_normalize(character, invisible_as) for character in text)


def _normalize(character: str, invisible_as: str) -> str:
    match unicodedata.category(character):
        case "Pd":
            return "-"
        case "Zs":
            return " "
        case "Cf":
            return invisible_as
    return "-" if character in _DASHES else character


def _without_breaks(text: str) -> str:
    """Return the text without whitespace inside pasted links, and with its IDs in their usual form."""
    whole = _PASTED_LINK.sub(lambda found: re.sub(r"\s+", "/", found[0]), text)
    return _ID.sub(lambda found: str(_uuid(found)), whole)


def _bare(word: str) -> str:
    return re.sub(r"^[\W_]+|[\W_]+$", "", word).lower()
