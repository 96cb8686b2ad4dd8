"""Formatting of external text, links and times for Slack, in its markup language, mrkdwn."""

import re
from calendar import timegm
from datetime import UTC, datetime

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ZERO_WIDTH_SPACE = "\u200b"
_MARKER = re.compile(r"[*_~]|:(?=[^\s:]+:)")
_BACKTICK, _GRAVE_ACCENT = "`", "\u02cb"


def clean(text: str, limit: int) -> str:
    """Return one line of printable text of at most `limit` characters, with an ellipsis if cut.

    Control characters, including those that change the text direction, are dropped: with them a name could rearrange
    the words around it.
    """
    shown = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def escape(text: str, limit: int) -> str:
    """Return the text as `clean` does, shown by Slack as it is typed: it notifies no one, and formats nothing.

    The limit applies to the text as people read it, before escaping.
    """
    return escape_entities(_break_markup(clean(text, limit)))


def escape_entities(text: str) -> str:
    """Escape only what makes mentions and links, so that a URL can still be copied."""
    return text.translate(_ENTITIES)


def _break_markup(text: str) -> str:
    """Break what would be bold, italic, struck through, code, an emoji or a quote; mrkdwn has no way to escape it.

    Slack formats nothing where a space follows the first marker or precedes the last; one of zero width will do. It
    stands only inside the text, so that the bot can still make the whole bold. Code may begin and end with spaces, so
    a backtick becomes an accent that looks like one.
    """
    text = text.replace(_BACKTICK, _GRAVE_ACCENT)
    broken = _MARKER.sub(_break_marker, text)
    return _ZERO_WIDTH_SPACE + broken if broken.startswith(">") else broken


def _break_marker(match: re.Match[str]) -> str:
    marker, text = match[0], match.string
    before, after = text[: match.start()][-1:], text[match.end() :][:1]
    if marker == ":":
        return marker + _ZERO_WIDTH_SPACE
    if before.isalnum() and after.isalnum():
        return marker
    left = _ZERO_WIDTH_SPACE if before.strip("*_~ ") else ""
    right = _ZERO_WIDTH_SPACE if after.strip() else ""
    return left + marker + right


def bold(name: str) -> str:
    """Make an escaped name bold, unless it contains an asterisk, which would end the bold text early."""
    return name if "*" in name else f"*{name.removeprefix(_ZERO_WIDTH_SPACE)}*"


def link(url: str, label: str) -> str:
    """Build a link. The label must already be safe, and the URL validated by the parser."""
    return f"<{url.translate(_ENTITIES)}|{label}>"


def format_date(at: datetime, lead: str = "") -> str:
    """Format a time that each reader sees in their own time zone, with UTC as the fallback.

    `lead` is a word such as "since". It belongs inside: Slack capitalizes "today" only at the start of a date. So a
    date without `lead` belongs at the start of a line or after "·".
    """
    before = f"{lead} " if lead else ""
    return f"<!date^{timegm(at.utctimetuple())}^{before}{{date_short_pretty}} at {{time}}|{before}{format_utc(at)}>"


def format_plain_date(at: datetime, lead: str) -> str:
    """Format a time in UTC after `lead`, for plain text."""
    return f"{lead} {format_utc(at)}"


def format_utc(at: datetime) -> str:
    """Format a time in UTC for plain text."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
