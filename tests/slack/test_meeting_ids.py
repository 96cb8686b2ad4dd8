"""Which meeting a person means by what they typed."""

import re
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.slack.meeting_ids import MAX_TEXT_LENGTH, NoMeeting, OneMeeting, SeveralMeetings, read_meeting_id

ID = "50c8940e-1b97-402a-97d6-2708b7feca41"
OTHER = "8f14e45f-ceea-467f-a83d-1f0c9f5a7c02"


@pytest.mark.parametrize(
    "text",
    [
        ID,
        f"  {ID}\n",
        ID.upper(),
        f"`{ID}`",
        f"*{ID}*",
        f"_{ID}_",
        f'"{ID}"',
        f"“{ID}”",
        f"<https://dash.example.com/meetings/{ID}>",
        f"<https://dash.example.com/meetings/{ID}|the meeting>",
        f"<https://dash.example.com/meetings/{ID}|https://dash.example.com/meetings/{ID}>",
        f"https://dash.example.com/join?id={ID}&amp;name=x",
        f"https://dash.example.com/launch-week-{ID}",
        f"https://login.example.com/?next=%2Fmeetings%2F{ID}%3Ftab%3Dlive",
        f"https://login.example.com/?next=%2fmeetings%2f{ID}",
        f"Is {ID} live already?",
        f"{ID}.",
        f"{ID}, {ID}",
        f"{ID} {ID.upper()}",
        f"<!channel> {ID}",
        f"\x00\x1b[31m\u202e{ID}",
        f"会议{ID}在吗",
        f"status {ID} " + "x " * 1_400,
        ID.replace("-", ""),
        ID.replace("-", "", 1),
        ID.replace("-", "\u2013"),
        ID.replace("-", "\u2011").replace("4", "4\u200b"),
        ID.replace("-", " - "),
        ID.replace("-", " "),
        ID.replace("-", "_"),
        ID.replace("-", "_", 2).replace("-", " "),
        f"_{ID.replace('-', '_')}_",
        f"Is {ID.replace('-', '  ')} live?",
        *(ID.replace("-", dash) for dash in "\u2043\u2053\u207b\u208b\u2212\u02d7\u2796\u30fc\uff70"),
        *(ID.replace("-", between) for between in ("·", ":", ".", ",", "|", "•", "~", " : ", ". ", "` `")),
        ID.replace("-", ":", 2),
        f"urn:uuid:{ID.replace('-', ':')}",
        f"https://dash.example.com/meetings/{ID.replace('-', chr(0x2043))}",
        f"{{{ID}}}",
        f"urn:uuid:{ID}",
        f"&lt;{ID}&gt;",
    ],
)
def test_one_id_is_found_in_any_form(text: str) -> None:
    """Bare, in any case, in quotes, in a link or in a sentence; an ID that appears twice counts once."""
    assert read_meeting_id(text) == OneMeeting(UUID(ID))


@pytest.mark.parametrize("text", [f"{OTHER} {ID}", f"{OTHER},{ID}", f"<https://a.example/{OTHER}|{ID}> {OTHER}"])
def test_several_ids_are_returned_in_order(text: str) -> None:
    assert read_meeting_id(text) == SeveralMeetings((UUID(OTHER), UUID(ID)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "help",
        "<!channel>",
        "<@U0ANN000001>",
        "\x00\x1b\u202e",
        "x" * 10_000,
        f"{ID} " * 1_000,
        ID[:-1],
        f"https://video.example.com/{ID.replace('-', '')}/manifest",
        f"a{ID}",
        f"0{ID}",
        f"{ID}a",
        f"{ID}0",
        f"{ID}Z",
        f"/F{ID}",
        f"sk-{ID}{ID}"[:-1],
        "g0c8940e-1b97-402a-97d6-2708b7feca41",
        "\uff150c8940e-1b97-402a-97d6-2708b7feca41",
        f"video_{ID.replace('-', '_')}",
        f"{ID.replace('-', '_')}_720p",
        f"https://video.example.com/{ID.replace('-', '_')}/manifest",
        ID.replace("-", " ")[:-1],
        f"ab:{ID.replace('-', ':')}",
        f"{ID.replace('-', ':')}:ab",
        f"{ID.replace('-', '.')}.example.com",
        f"https://video.example.com/{ID.replace('-', '.')}/manifest",
        ID.replace("-", " and "),
        ID.replace("-", "...."),
        "50c8940:e1b97:402a:97d6:2708b7feca41",
        "50c8940 e1b97 402a 97d6 2708b7feca41",
        "50c8940e 1b97 402a 97d6 2708b7fe ca41",
    ],
)
def test_text_without_an_id_names_no_meeting(text: str) -> None:
    """Neither does a part of something longer, or a text that is too long."""
    assert read_meeting_id(text) == NoMeeting()


def test_texts_are_read_up_to_3000_characters() -> None:
    fits = ID.rjust(MAX_TEXT_LENGTH)

    assert read_meeting_id(fits) == OneMeeting(UUID(ID))
    assert read_meeting_id(f"{fits} ") == NoMeeting()


PIECES = st.sampled_from(["-", "%2F", "/", " ", "<", ">", "|", "`", "&amp;", "0", "f", ID, OTHER.upper()])


@given(st.text(st.characters(exclude_categories=())) | st.lists(st.uuids().map(str) | PIECES).map("".join))
@example("0" * 3_000)
@example("00000000-" * 333)
def test_any_text_is_read_without_an_error(text: str) -> None:
    """The digits of each ID found are in the text."""
    found: tuple[UUID, ...] = ()
    match read_meeting_id(text):
        case OneMeeting(meeting_id):
            found = (meeting_id,)
        case SeveralMeetings(meeting_ids):
            found = meeting_ids
            assert len(set(found)) == len(found) > 1

    digits = re.sub(r"[^0-9a-f]", "", text.lower())
    assert all(meeting_id.hex in digits for meeting_id in found)


@given(st.uuids(), st.text(st.sampled_from(" \n`<>|/*_~.,?!&;=()[]{}'\"\u202e\u00e9\u4f1a"), max_size=20))
def test_id_is_found_between_any_punctuation(meeting_id: UUID, around: str) -> None:
    assert read_meeting_id(f"{around}{meeting_id}{around}") == OneMeeting(meeting_id)
