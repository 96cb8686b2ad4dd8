"""Text from outside, made safe for Slack."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.messages.mrkdwn import clean, escape, format_date, format_utc, link

ANY_TEXT = st.text(st.characters(exclude_categories=()))
AT = datetime(2026, 6, 3, 12, 0, 59, tzinfo=timezone(timedelta(hours=2)))


def unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Launch keynote", "Launch keynote"),
        ("  Launch \n\t keynote ", "Launch keynote"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("a\u202eb\u2066c\u200bd", "a b c d"),
        ("no\u00a0break", "no break"),
        ("Größe 会议 🎥", "Größe 会议 🎥"),
        ("\ud800", ""),
        ("", ""),
    ],
)
def test_plain(text: str, read: str) -> None:
    """Text becomes one line, in which nothing controls the terminal or turns the direction of the words around."""
    assert clean(text, 50) == read


@pytest.mark.parametrize(("text", "cut"), [("abcde", "abcde"), ("abcdef", "abcd…"), ("abc efgh", "abc…")])
def test_cut(text: str, cut: str) -> None:
    """Text that is too long ends in an ellipsis, within the limit."""
    assert clean(text, 5) == cut


def test_escaped() -> None:
    """Slack's three characters become entities, and what was an entity stays what it looked like."""
    assert escape("<!channel> & &lt;", 50) == "&lt;!channel&gt; &amp; &amp;lt;"


@given(ANY_TEXT, st.integers(1, 200))
def test_any_text(text: str, limit: int) -> None:
    """Whatever comes is one printable line within the limit, calls nobody, and reads as it was."""
    safe = escape(text, limit)

    assert safe.isprintable()
    assert "<" not in safe
    assert ">" not in safe
    assert unescaped(safe) == clean(text, limit)
    assert len(clean(text, limit)) <= limit


@given(ANY_TEXT)
def test_once_is_enough(text: str) -> None:
    """Plain text is left as it is."""
    once = clean(text, 50)

    assert clean(once, 50) == once


def test_link() -> None:
    """A link's URL is escaped, so that it ends where it should."""
    assert link("https://a.example/?b=1&c=2", "here") == "<https://a.example/?b=1&amp;c=2|here>"


def test_clock() -> None:
    """A time in plain text is in UTC, whatever zone it came in."""
    assert format_utc(AT) == "2026-06-03 10:00 UTC"


def test_moment() -> None:
    """A time in a card is one that each reader sees in their own zone, with UTC for clients that cannot."""
    assert format_date(AT) == "<!date^1780480859^{date_short_pretty} at {time}|2026-06-03 10:00 UTC>"


@given(st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_any_moment(at: datetime) -> None:
    """A time is told to the second before it."""
    seconds = int(format_date(at).split("^")[1])

    assert timedelta(0) <= at - datetime.fromtimestamp(seconds, UTC) < timedelta(seconds=1)
