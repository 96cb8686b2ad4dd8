"""What an event of Slack's says."""

from typing import Any

import pytest

from bot.errors import InvalidInteraction
from bot.slack.event_payloads import Event, read_event
from bot.slack.home_team import Home

BOT = "UBOT"


def body(**event: Any) -> dict[str, Any]:
    return {"type": "event_callback", "team_id": "T1", "event": event}


@pytest.mark.parametrize(("user", "about_bot"), [("UBOT", True), ("UANN", False)])
def test_joined(user: str, about_bot: bool) -> None:
    """Who has joined which channel, and whether that is the bot."""
    event = read_event(body(type="member_joined_channel", user=user, channel="C1", inviter="U2"))

    assert event == Event("member_joined_channel", "T1", "C1", user)
    assert Home("T1", bot_user_id=BOT).placed_event(event).is_about_bot is about_bot


@pytest.mark.parametrize("bot_user_id", ["", BOT])
def test_about_nobody(bot_user_id: str) -> None:
    """An event without a channel and a user is about neither, also while nobody knows who the bot is."""
    event = Home("T1", bot_user_id=bot_user_id).placed_event(read_event(body(type="app_uninstalled")))

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
def test_not_understood(wrong: dict[str, Any], missing: str) -> None:
    """What has not what it needs is told by the name of that, without its content."""
    with pytest.raises(InvalidInteraction) as raised:
        read_event(wrong)

    assert raised.value.detail == f"payload without {missing}"
