"""Helpers for tests of messages: a follow, hostile texts, and a check for what no message may contain."""

import json
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from bot.domain.follow import Follow, FollowState, Level
from bot.slack.messages.message import Message
from sandbox.slack.blocks import complaints

MEETING = UUID("50c8940e-1b97-402a-97d6-2708b7feca41")
BEGAN = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
FOLLOW = Follow(
    id=UUID(int=7),
    team_id="T1",
    channel_id="C0EVENTS001",
    meeting_id=MEETING,
    created_by="U0ANN000001",
    created_at=BEGAN,
    level=Level.NORMAL,
    state=FollowState.ACTIVE,
    pause_reason=None,
    expires_at=BEGAN + timedelta(days=30),
)
SNIPPETS = (
    *("<!channel>", "<!here>", "<@U0ANN000001>", "<#C1>", "&", "<", ">", "|", "*", "`", "_", "~", ":tada:"),
    *("\u202e", "\x00", "\n", ".", "&" * 500),
)
HOSTILE = st.lists(st.sampled_from(SNIPPETS) | st.text(st.characters(exclude_categories=()), max_size=40)).map("".join)
TEXTS = st.none() | HOSTILE
OUR_MARKUP = re.compile(
    r"<!date\^-?\d+\^[A-Za-z ]*\{date_short_pretty\} at \{time\}\|[-A-Za-z0-9: ]+ UTC>|<#C0EVENTS001>"
    r"|(?:(?<=ollowed by )|(?<=Posted by ))<@U0(?:ANN|BEN)000001>|<(?i:https?)://[^<>|\s]+\|[^<>|]+>"
)


def shown(message: Message) -> str:
    """Return the text of the blocks, one line per block."""
    return "\n".join(
        part["text"]
        for block in message.blocks
        for part in ([block["text"]] if "text" in block else block["elements"])
        if part["type"] == "mrkdwn"
    )


def assert_harmless(message: Message) -> None:
    """Assert that Slack accepts the message, that it notifies no one, and that nothing hostile gets through."""
    assert complaints(list(message.blocks)) == []
    assert 0 < len(message.text) <= 4_000
    json.dumps([message.text, message.blocks], ensure_ascii=False).encode()
    for text in (message.text, shown(message)):
        ours = OUR_MARKUP.sub("", text)
        assert "<" not in ours
        assert ">" not in ours
        assert "&" not in re.sub(r"&(amp|lt|gt);", "", ours)
        assert ours.replace("\n", "").replace("\u200b", "").isprintable()
