"""Messages, and the state in the values of their buttons."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.messages.message import ActionValue, Message

MEETING = "50c8940e-1b97-402a-97d6-2708b7feca41"
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(st.uuids(), st.none() | st.from_regex(r"[UW][A-Z0-9]{2,31}", fullmatch=True))
def test_state_survives_the_round_trip_through_a_button(meeting_id: object, posted_by: str | None) -> None:
    """The state is the meeting, and who posted the card."""
    state = ActionValue(m=str(meeting_id), by=posted_by)

    assert ActionValue.read(state.value()) == state
    assert len(state.value()) <= 100


def test_private_card_names_no_person() -> None:
    assert ActionValue(m=MEETING).value() == f'{{"m":"{MEETING}"}}'


@pytest.mark.parametrize(
    "value",
    [
        "",
        "null",
        "[]",
        "{}",
        "not json",
        '{"m": 7}',
        '{"m": "not-an-id"}',
        f'{{"m": "{MEETING.upper()}"}}',
        f'{{"m": "{MEETING}\\n"}}',
        f'{{"m": "{MEETING}", "by": "<!channel>"}}',
        f'{{"m": "{MEETING}", "by": "u1"}}',
        f'{{"m": "{MEETING}", "by": ""}}',
        f'{{"m": "{MEETING}", "v": 2}}',
        f'{{"meeting_id": "{MEETING}"}}',
        "[" * 10_000,
    ],
)
def test_value_of_another_app_is_no_state(value: str) -> None:
    assert ActionValue.read(value) is None


@given(ANY_TEXT | st.builds('{{"m": "{}", "by": "{}"}}'.format, ANY_TEXT, ANY_TEXT))
def test_any_button_value_is_read_without_an_error(value: str) -> None:
    state = ActionValue.read(value)

    assert state is None or ActionValue.read(state.value()) == state


def test_message_may_have_only_text() -> None:
    assert Message("Done.").blocks == ()
