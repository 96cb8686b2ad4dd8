"""What a person did, read from Slack's payload."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import InvalidInteraction
from bot.slack.messages.message import ActionValue
from bot.slack.payloads import COMMAND, Request, read_request

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


def test_command_has_person_place_and_text() -> None:
    assert read_request(a_command()) == Request(COMMAND, TEAM, ANN, GENERAL, URL, text=ID, user_team_id=TEAM)


def test_command_without_text() -> None:
    """A command may be typed alone."""
    body = a_command()
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


def test_click_on_a_public_card() -> None:
    """Only the container shows whether a card is public or private."""
    request = read_request(a_click(container={"message_ts": "1.2", "is_ephemeral": False}))

    assert (request.on_private_card, request.message_ts) == (False, "1.2")


@pytest.mark.parametrize("changes", [{"team": None}, {"container": {}}, {"actions": [{"action_id": "watch"}]}])
def test_click_with_less(changes: dict[str, Any]) -> None:
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
    ("body", "missing"),
    [
        ({}, "user_id, channel_id, response_url"),
        (a_command(user_id=None), "user_id"),
        (a_command(text=["x"]), "text"),
        (a_click(user={}, channel=None), "user.id, channel"),
        (a_click(user={"id": "<!channel>"}), "user.id"),
        (a_command(channel_id="C1; DROP TABLE"), "channel_id"),
        (a_click(actions=[]), "actions"),
        (a_click(actions=[{}]), "actions.0.action_id"),
        (a_click(actions="x"), "actions"),
        (a_click(response_url=None), "response_url"),
    ],
)
def test_payload_without_a_required_field_is_rejected(body: dict[str, Any], missing: str) -> None:
    """The log names the invalid fields, not their content."""
    with pytest.raises(InvalidInteraction) as raised:
        read_request(body)

    assert raised.value.detail == f"payload without {missing}"


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
