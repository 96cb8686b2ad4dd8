"""What a person did, and what happened, read from Slack's payload."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidInteraction
from bot.slack.installation import Installation
from bot.slack.messages.message import ActionValue
from bot.slack.payloads import COMMAND, Event, Request, read_event, read_request

ID = "50c8940e-1b97-402a-97d6-2708b7feca41"
ANN, GENERAL, TEAM = "U0ANN000001", "C0GENERAL01", "T0SANDBOX01"
URL = "https://hooks.slack.com/actions/T0/1/x"


def a_command(**changes: Any) -> dict[str, Any]:
    fields = {"team_id": TEAM, "user_id": ANN, "channel_id": GENERAL, "response_url": URL, "text": ID}
    return {"command": "/livestream", **fields, **changes}


def a_click(**changes: Any) -> dict[str, Any]:
    return {
        "type": "block_actions",
        "team": {"id": TEAM, "domain": "sandbox"},
        "user": {"id": ANN, "username": "ann"},
        "channel": {"id": GENERAL, "name": "general"},
        "container": {"type": "message", "message_ts": "1780480800.000100", "is_ephemeral": True},
        "response_url": URL,
        "actions": [{"action_id": "refresh", "type": "button", "value": ActionValue(m=ID, by=ANN).value()}],
        **changes,
    }


def an_event(**event: Any) -> dict[str, Any]:
    return {"type": "event_callback", "team_id": "T1", "event": event}


def test_command_has_person_place_and_text() -> None:
    """It may be typed alone."""
    body = a_command()
    assert read_request(body) == Request(COMMAND, TEAM, ANN, GENERAL, URL, text=ID, user_team_id=TEAM)

    del body["text"]
    assert read_request(body).text == ""


def test_click_has_person_button_and_card() -> None:
    assert read_request(a_click()) == Request(
        "refresh",
        TEAM,
        ANN,
        GENERAL,
        URL,
        card=ActionValue(m=ID, by=ANN),
        message_ts="1780480800.000100",
        on_private_card=True,
        user_team_id=TEAM,
        user_name="ann",
        channel_name="general",
    )


def test_only_the_container_shows_whether_a_card_is_public() -> None:
    request = read_request(a_click(container={"message_ts": "1.2", "is_ephemeral": False}))

    assert (request.on_private_card, request.message_ts) == (False, "1.2")


@pytest.mark.parametrize("changes", [{"team": None}, {"container": {}}, {"actions": [{"action_id": "watch"}]}])
def test_click_may_lack_team_container_or_value(changes: dict[str, Any]) -> None:
    """A team is missing where an organization has the app, and a value where a button is only a link."""
    assert read_request(a_click(**changes)).user_id == ANN


@pytest.mark.parametrize(
    ("request_", "meeting_id"),
    [
        (a_command(), UUID(ID)),
        (a_command(text=f"is {ID} live?"), UUID(ID)),
        (a_command(text="help"), None),
        (a_command(text=f"{ID} {UUID(int=1)}"), None),
        (a_click(), UUID(ID)),
        (a_click(actions=[{"action_id": "refresh", "value": "from another version"}]), None),
    ],
)
def test_request_has_the_only_meeting_named(request_: dict[str, Any], meeting_id: UUID | None) -> None:
    """The ID comes from the text or the card; several IDs count as none."""
    assert read_request(request_).meeting_id == meeting_id


@pytest.mark.parametrize(
    ("read", "body", "missing"),
    [
        (read_request, {}, "user_id, channel_id, response_url"),
        (read_request, a_command(user_id=None), "user_id"),
        (read_request, a_command(text=["x"]), "text"),
        (read_request, a_click(user={}, channel=None), "user.id, channel"),
        (read_request, a_click(user={"id": "<!channel>"}), "user.id"),
        (read_request, a_command(channel_id="C1; DROP TABLE"), "channel_id"),
        (read_request, a_click(actions=[]), "actions"),
        (read_request, a_click(actions=[{}]), "actions.0.action_id"),
        (read_request, a_click(actions="x"), "actions"),
        (read_request, a_click(response_url=None), "response_url"),
        (read_event, {"event": {"type": "app_uninstalled"}}, "team_id"),
        (read_event, {"team_id": "T1"}, "event"),
        (read_event, {"team_id": "T1", "event": {}}, "event.type"),
        (read_event, an_event(type="channel_unarchive", channel={"id": "secret"}), "event.channel"),
    ],
)
def test_payload_without_a_required_field_is_rejected(
    read: Callable[[dict[str, Any]], object], body: dict[str, Any], missing: str
) -> None:
    """The log names the invalid fields, not their content."""
    with pytest.raises(InvalidInteraction) as raised:
        read(body)

    assert raised.value.detail == f"payload without {missing}"


@pytest.mark.parametrize(("user", "about_bot"), [("UBOT", True), ("UANN", False)])
def test_join_names_the_channel_and_whether_it_is_the_bot(user: str, about_bot: bool) -> None:
    event = read_event(an_event(type="member_joined_channel", user=user, channel="C1", inviter="U2"))

    assert event == Event("member_joined_channel", "T1", "C1", user)
    assert Installation("T1", bot_user_id="UBOT").resolve_event(event).is_about_bot is about_bot


@pytest.mark.parametrize("bot_user_id", ["", "UBOT"])
def test_event_without_a_user_is_not_about_the_bot(bot_user_id: str) -> None:
    """Even before the bot knows its own ID."""
    event = Installation("T1", bot_user_id=bot_user_id).resolve_event(read_event(an_event(type="app_uninstalled")))

    assert event == Event("app_uninstalled", "T1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*a_command(), *a_click()]), JSON))
def test_any_payload_is_parsed_or_rejected(changes: dict[str, Any]) -> None:
    for body in (changes, a_command(**changes), a_click(**changes)):
        try:
            assert isinstance(read_request(body).meeting_id, UUID | None)
        except InvalidInteraction:
            continue


@pytest.mark.parametrize(
    ("channel_id", "name", "is_direct"),
    [
        ("D0ANNBOT001", "directmessage", True),
        ("D0ANNBOT001", "", True),
        ("G0GROUP0001", "mpdm-ann--ben--1", True),
        ("C0GROUPDM01", "mpdm-ann--ben--chris-1", True),
        ("C0GENERAL01", "general", False),
        ("C0GENERAL01", "directmessages", False),
        ("C0GENERAL01", "directmessage-archive", False),
        ("C0GENERAL01", "mpdm-notes", False),
    ],
)
def test_a_channel_is_no_direct_message_because_of_its_name(channel_id: str, name: str, is_direct: bool) -> None:
    request = Request("command", "T0TEAM", "U0ANN", channel_id, "", channel_name=name)

    assert request.is_direct is is_direct
