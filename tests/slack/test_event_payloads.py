"""What an event of Slack's says."""

from typing import Any

import pytest

from bot.errors import InvalidInteraction
from bot.slack.installation import Installation
from bot.slack.payloads import Event, read_event

BOT = "UBOT"


def body(**event: Any) -> dict[str, Any]:
    return {"type": "event_callback", "team_id": "T1", "event": event}


@pytest.mark.parametrize(("user", "about_bot"), [("UBOT", True), ("UANN", False)])
def test_join_names_the_channel_and_whether_it_is_the_bot(user: str, about_bot: bool) -> None:
    event = read_event(body(type="member_joined_channel", user=user, channel="C1", inviter="U2"))

    assert event == Event("member_joined_channel", "T1", "C1", user)
    assert Installation("T1", bot_user_id=BOT).resolve_event(event).is_about_bot is about_bot


@pytest.mark.parametrize("bot_user_id", ["", BOT])
def test_event_without_a_user_is_not_about_the_bot(bot_user_id: str) -> None:
    """An event without a channel and a user has neither, even before the bot knows its own ID."""
    event = Installation("T1", bot_user_id=bot_user_id).resolve_event(read_event(body(type="app_uninstalled")))

    assert event == Event("app_uninstalled", "T1")


@pytest.mark.parametrize(
    ("wrong", "missing"),
    [
        ({"event": {"type": "app_uninstalled"}}, "team_id"),
        ({"team_id": "T1"}, "event"),
        ({"team_id": "T1", "event": {}}, "event.type"),
        ({"team_id": "T1", "event": {"type": "channel_unarchive", "channel": {"id": "secret"}}}, "event.channel"),
    ],
)
def test_event_without_a_required_field_is_rejected(wrong: dict[str, Any], missing: str) -> None:
    """The error names the missing field, not the payload's content."""
    with pytest.raises(InvalidInteraction) as raised:
        read_event(wrong)

    assert raised.value.detail == f"payload without {missing}"
