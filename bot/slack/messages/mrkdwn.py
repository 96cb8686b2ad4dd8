"""Formatting of external text, links and times for Slack, in its markup language, mrkdwn."""

from calendar import timegm
from datetime import UTC, datetime

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def clean(text: str, limit: int) -> str:
    """Return one line of printable text of at most `limit` characters, with an ellipsis if cut.

    Control characters, including those that change the text direction, are dropped: with them a name could rearrange
    the words around it.
    """
    shown = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def escape(text: str, limit: int) -> str:
    """Return the text as `clean` does, escaped for mrkdwn, so that `<!channel>` is shown and notifies no one.

    The limit applies to the text as people read it, before escaping.
    """
    return clean(text, limit).translate(_ENTITIES)


def bold(name: str) -> str:
    """Make a name bold, unless it contains an asterisk, which would end the bold text early."""
    return name if "*" in name else f"*{name}*"


def link(url: str, label: str) -> str:
    """Build a link. The label must already be safe, and the URL validated by the parser."""
    return f"<{url.translate(_ENTITIES)}|{label}>"


def format_date(at: datetime, lead: str = "") -> str:
    """Format a time that each reader sees in their own time zone, with UTC as the fallback.

    `lead` is a word such as "since". It belongs inside: Slack capitalizes "today" only at the start of a date.
    """
    before = f"{lead} " if lead else ""
    return f"<!date^{timegm(at.utctimetuple())}^{before}{{date_short_pretty}} at {{time}}|{before}{format_utc(at)}>"


def format_plain_date(at: datetime, lead: str) -> str:
    """Format a time in UTC after `lead`, for plain text."""
    return f"{lead} {format_utc(at)}"


def format_utc(at: datetime) -> str:
    """Format a time in UTC for plain text."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
