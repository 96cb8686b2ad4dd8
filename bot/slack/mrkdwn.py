"""Text from outside, made safe for Slack."""

from calendar import timegm
from datetime import UTC, datetime

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def plain(text: str, limit: int) -> str:
    """One line of printable text of at most `limit` characters, with an ellipsis where it was cut.

    Control and direction-changing characters go: they would let a name rearrange the words around it.
    """
    shown = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def escaped(text: str, limit: int) -> str:
    """The same for mrkdwn: `<!channel>` is shown, not called. The limit is for the text as it is read."""
    return plain(text, limit).translate(_ENTITIES)


def link(url: str, label: str) -> str:
    """A link. The label is our own words; the URL is one that the parser let through."""
    return f"<{url.translate(_ENTITIES)}|{label}>"


def moment(at: datetime, lead: str = "") -> str:
    """Write a time that each reader sees in their own zone, with UTC as the fallback.

    A word such as "since" goes in as `lead`: Slack capitalises "today" only where the date begins with it.
    """
    before = f"{lead} " if lead else ""
    return f"<!date^{timegm(at.utctimetuple())}^{before}{{date_short_pretty}} at {{time}}|{before}{clock(at)}>"


def plain_moment(at: datetime, lead: str) -> str:
    """Write what `moment` writes, for plain text."""
    return f"{lead} {clock(at)}"


def clock(at: datetime) -> str:
    """Write a time for plain text."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
