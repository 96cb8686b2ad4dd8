"""Messages rendered for a terminal."""

from typing import Any

import pytest

from sandbox.slack import GENERAL, Message
from sandbox.terminal import lines


def message(text: str, *blocks: dict[str, Any]) -> Message:
    return Message(GENERAL, "1.000000", "U1", text, blocks)


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def test_message_without_blocks_is_its_text() -> None:
    assert lines(message("one\ntwo"), {}) == ["one", "two"]


def test_blocks_replace_the_text() -> None:
    """Buttons are in brackets, and an unknown block is named."""
    buttons = [{"type": "button", "text": {"type": "plain_text", "text": text}} for text in ("Watch", "Refresh")]

    assert lines(
        message(
            "not shown",
            {"type": "section", "text": mrkdwn("*Keynote*\n:red_circle: *Live*")},
            {"type": "actions", "elements": buttons},
            {"type": "context", "elements": [mrkdwn("Checked"), mrkdwn("Meeting `1`")]},
            {"type": "divider"},
        ),
        {},
    ) == ["Keynote", "🔴 Live", "[ Watch ]  [ Refresh ]", "Checked  ·  Meeting 1", "(divider)"]


def test_menu_beside_a_text_is_in_brackets() -> None:
    section = {"type": "section", "text": mrkdwn("*Keynote*\n:white_check_mark: *Ended*"), "accessory": {}}

    assert lines(message("not shown", section), {}) == ["Keynote  [ ⋮ ]", "✅ Ended"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("since <!date^1795500000^{date_short} {time}|2026>", "since 2026-11-24 06:00 UTC"),
        ("<!date^1795500000^since {date_short} at {time}|since 2026>", "since 2026-11-24 06:00 UTC"),
        ("<https://example.com/a?b=1|a name>", "https://example.com/a?b=1"),
        ("&lt;script&gt; &amp;amp;", "<script> &amp;"),
        (":grey_question: :unknown:", "❔ :unknown:"),
    ],
)
def test_dates_links_emoji_and_entities_are_rendered(text: str, shown: str) -> None:
    assert lines(message(text), {}) == [shown]


def test_known_people_are_mentioned_by_name() -> None:
    section = {"type": "section", "text": mrkdwn("Followed by <@U1>, unfollowed by <@U2>")}

    assert lines(message("", section), {"U1": "Ann"}) == ["Followed by @Ann, unfollowed by @U2"]
