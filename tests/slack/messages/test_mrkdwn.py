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
def test_clean_text_is_one_printable_line(text: str, read: str) -> None:
    """Nothing in it controls a terminal or changes the text direction."""
    assert clean(text, 50) == read


@pytest.mark.parametrize(("text", "cut"), [("abcde", "abcde"), ("abcdef", "abcd…"), ("abc efgh", "abc…")])
def test_long_text_ends_in_an_ellipsis(text: str, cut: str) -> None:
    """It stays within the limit."""
    assert clean(text, 5) == cut


def test_escape_replaces_slacks_three_characters() -> None:
    """An entity in the original text is shown as it was typed."""
    assert escape("<!channel> & &lt;", 50) == "&lt;!channel&gt; &amp; &amp;lt;"


@given(ANY_TEXT, st.integers(1, 200))
def test_any_text_is_escaped_within_the_limit(text: str, limit: int) -> None:
    """The result is one printable line, notifies no one, and reads like the original."""
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


def test_link_escapes_the_url() -> None:
    """So the link ends where it should."""
    assert link("https://a.example/?b=1&c=2", "here") == "<https://a.example/?b=1&amp;c=2|here>"


def test_plain_times_are_in_utc() -> None:
    assert format_utc(AT) == "2026-06-03 10:00 UTC"


def test_dates_are_in_the_readers_time_zone() -> None:
    """Clients that cannot show that show UTC."""
    assert format_date(AT) == "<!date^1780480859^{date_short_pretty} at {time}|2026-06-03 10:00 UTC>"


@given(st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_any_time_is_rounded_down_to_the_second(at: datetime) -> None:
    seconds = int(format_date(at).split("^")[1])

    assert timedelta(0) <= at - datetime.fromtimestamp(seconds, UTC) < timedelta(seconds=1)
