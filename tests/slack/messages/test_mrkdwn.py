"""Text from outside, made safe for Slack."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.messages.mrkdwn import bold, clean, escape, format_date, format_utc, link

ANY_TEXT = st.text(st.characters(exclude_categories=()))
AT = datetime(2026, 6, 3, 12, 0, 59, tzinfo=timezone(timedelta(hours=2)))


def unescaped(text: str) -> str:
    """Return what people read, where an accent stands for a backtick."""
    read = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return read.replace("\u200b", "").replace("\u02cb", "`")


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


@pytest.mark.parametrize(
    ("typed", "safe"),
    [
        ("*bold*", "*|bold|*"),
        ("Launch *week* one", "Launch *|week|* one"),
        ("_x_", "_|x|_"),
        ("~x~", "~|x|~"),
        ("(_x_)", "(|_|x|_|)"),
        ("*_x_*", "*|_|x|_|*"),
        ("`code` and ```more```", "^code^ and ^^^more^^^"),
        (":tada: Launch", ":|tada: Launch"),
        ("a:white_check_mark:b", "a:|white_check_mark:b"),
        ("> quoted", "|&gt; quoted"),
        ("launch_week_2026, 3*4, 10:30 – a > b: c", "launch_week_2026, 3*4, 10:30 – a &gt; b: c"),
        ("a * b _ c ~ d", "a * b _ c ~ d"),
    ],
)
def test_markup_formats_nothing(typed: str, safe: str) -> None:
    """A zero-width space (here a bar) breaks markup, and an accent (^) replaces a backtick; other text is unchanged."""
    assert escape(typed, 50) == safe.replace("|", "\u200b").replace("^", "\u02cb")


@pytest.mark.parametrize(
    ("name", "shown"), [("Keynote", "*Keynote*"), ("_x_", "*_|x|_*"), ("> x", "*&gt; x*"), ("*x*", "*|x|*")]
)
def test_whole_name_can_be_bold(name: str, shown: str) -> None:
    """Nothing stands between the bot's own markers and the name."""
    assert bold(escape(name, 50)) == shown.replace("|", "\u200b")


@given(st.text(st.sampled_from("*_~`:>ab1 "), max_size=12))
def test_no_marker_begins_or_ends_formatted_text(text: str) -> None:
    """Unless it is between two letters, spaces, of zero width or not, or the ends of the text surround it."""
    safe = f" {escape(text, 50)} "

    assert "`" not in safe
    for before, marker, after in zip(safe, safe[1:], safe[2:], strict=False):
        if marker in "*_~" and not (before.isalnum() and after.isalnum()):
            assert before in " \u200b"
            assert after in " \u200b"
    assert re.search(r":[^\s:\u200b][^\s:]*:", safe) is None


@given(ANY_TEXT, st.integers(1, 200))
def test_any_text_is_escaped_within_the_limit(text: str, limit: int) -> None:
    """The result is one printable line, notifies no one, and reads like the original."""
    safe = escape(text, limit)

    assert safe.replace("\u200b", "").isprintable()
    assert "<" not in safe
    assert ">" not in safe
    assert unescaped(safe) == clean(text, limit).replace("\u02cb", "`")
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
