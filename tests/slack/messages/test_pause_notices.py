"""Notices to the people who followed meetings where the bot cannot post."""

import pytest
from hypothesis import given

from bot.slack.messages.pause_notices import expired_notice, paused_notice
from tests.slack.messages.helpers import FOLLOW, MEETING, TEXTS, assert_harmless


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("not_in_channel", "because I'm not in it. Invite me back (`/invite @Livestream`)"),
        ("channel_not_found", "Invite me back"),
        ("is_archived", "Unarchive the channel"),
        ("is_inactive", "Unarchive the channel"),
        ("restricted_action", "because Slack doesn't allow it (restricted_action)"),
    ],
)
def test_paused_notice_gives_the_reason_and_the_remedy(reason: str, remedy: str) -> None:
    message = paused_notice(FOLLOW, reason, ["Launch keynote"])

    assert remedy in message.text
    assert message.text.startswith("I can't post updates about *Launch keynote* in <#C0EVENTS001> because ")
    assert str(MEETING) in message.text


def test_expired_notice_says_how_to_follow_again() -> None:
    """It also says why the channel does not show that the follow has expired."""
    message = expired_notice(FOLLOW, "not_in_channel", ["Launch keynote"])

    assert message.text == (
        "I've stopped following *Launch keynote* in <#C0EVENTS001>: it hasn't been live for 30 days. I couldn't post "
        "this there because I'm not in it. To follow it again, invite me back (`/invite @Livestream`), then type "
        f"`/livestream follow {MEETING}` there. Meeting ID: {MEETING}."
    )


def test_one_notice_names_several_expired_follows() -> None:
    """This holds for a code that the bot does not know, too."""
    message = expired_notice(FOLLOW, "restricted_action", ["Launch keynote", None, "All hands"])

    assert message.text == (
        "I've stopped following *Launch keynote*, *All hands* and another one in <#C0EVENTS001>: they haven't been "
        "live for 30 days. I couldn't post this there because Slack doesn't allow it (restricted_action). To follow "
        "them again, type `/livestream follow` and each meeting's ID there."
    )


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (["A", "B"], "about *A* and *B* in"),
        (["A", "B", "C"], "about *A*, *B* and *C* in"),
        (["A", "B", "C", "D"], "about *A*, *B*, *C* and another one in"),
        (["A", "B", "C", *(str(number) for number in range(97))], "about *A*, *B*, *C* and 97 more in"),
        ([None, None], "about 2 meetings in"),
    ],
)
def test_notice_names_the_first_meetings_and_counts_the_others(names: list[str | None], part: str) -> None:
    assert part in paused_notice(FOLLOW, "not_in_channel", names).text


@given(TEXTS)
def test_notices_notify_no_one_whatever_a_meeting_is_called(name: str | None) -> None:
    assert_harmless(expired_notice(FOLLOW, "not_in_channel", [name]))
    assert_harmless(paused_notice(FOLLOW, name or "not_in_channel", [name]))
