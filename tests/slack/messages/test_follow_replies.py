"""Help, and replies about follows."""

from dataclasses import replace
from typing import Any

import pytest

from bot.domain.episode import Phase
from bot.domain.follow import Follow, FollowState, Level
from bot.following.service import MAX_FOLLOWS, FollowEffect, FollowResult
from bot.slack.messages import follow_replies
from bot.slack.messages.message import Message
from bot.store.follow_list import FollowStatus
from sandbox.slack.blocks import complaints
from tests.slack.messages.helpers import BEGAN, FOLLOW, MEETING, shown

TS = "1795521600.000100"
URL = "https://sandbox.slack.com/archives/C0EVENTS001/p1795521600000100"


def permalink(channel_id: str, ts: str) -> str:
    return f"https://sandbox.slack.com/archives/{channel_id}/p{ts.replace('.', '')}"


def unknown(channel_id: str, ts: str) -> None:
    return None


def listed(**changes: Any) -> FollowStatus:
    made = FollowStatus(follow=FOLLOW, name="All hands", phase=Phase.LIVE, last_checked_at=BEGAN, failures=0, ts=TS)
    return replace(made, **changes)


def paused(reason: str | None) -> Follow:
    return replace(FOLLOW, state=FollowState.PAUSED, pause_reason=reason)


def followed(effect: FollowEffect, *, level: Level = Level.NORMAL, name: str | None = "All hands") -> Message:
    return follow_replies.followed(FollowResult(effect, replace(FOLLOW, level=level), name, None), permalink)


def listing(**changes: Any) -> Message:
    """Return the list of one meeting."""
    (message,) = follow_replies.listing([listed(**changes)], permalink)
    return message


@pytest.mark.parametrize(
    ("effect", "level", "said"),
    [
        (FollowEffect.POSTED, Level.NORMAL, "Now following *All hands* here. Updates go to the card's thread."),
        (FollowEffect.POSTED, Level.QUIET, "Only the card updates."),
        (FollowEffect.POSTED, Level.LOUD, "also to the channel."),
        (
            FollowEffect.QUEUED,
            Level.NORMAL,
            "Updates go to the card's thread. Slack hasn't accepted the card yet, so it will appear a bit later.",
        ),
        (
            FollowEffect.RESUMED,
            Level.NORMAL,
            "Following *All hands* here again. Updates go to the card's thread. If I'm not in",
        ),
        (FollowEffect.ALREADY_FOLLOWED, Level.NORMAL, "This channel already follows *All hands*."),
    ],
)
def test_reply_says_what_following_did_and_what_the_level_means(effect: FollowEffect, level: Level, said: str) -> None:
    message = followed(effect, level=level)

    assert said in message.text
    assert said in shown(message)


def test_changed_level_is_confirmed_in_the_reply_to_follow() -> None:
    result = FollowResult(
        FollowEffect.ALREADY_FOLLOWED, replace(FOLLOW, level=Level.LOUD), "All hands", TS, level_changed=True
    )

    text = follow_replies.followed(result, permalink).text

    assert text.startswith("This channel already follows *All hands*. *Set to loud.* Updates go to the card's")


@pytest.mark.parametrize("level", Level)
def test_reply_confirms_the_new_level(level: Level) -> None:
    assert follow_replies.level_changed(replace(FOLLOW, level=level)).text.startswith(f"Set to {level}: ")


def test_card_is_linked_once_the_workspaces_address_is_known() -> None:
    result = FollowResult(FollowEffect.ALREADY_FOLLOWED, FOLLOW, "All hands", TS)
    message = follow_replies.followed(result, permalink)

    assert message.text.endswith(f"Its card: {URL}")
    assert f"<{URL}|See its card>" in shown(message)
    assert "card:" not in follow_replies.followed(result, unknown).text


@pytest.mark.parametrize("name", [None, "", " \u202e "])
def test_meeting_without_a_visible_name_is_called_by_its_id(name: str | None) -> None:
    assert followed(FollowEffect.POSTED, name=name).text.startswith(f"Now following meeting `{MEETING}` here.")


def test_markup_in_a_name_is_escaped_in_replies() -> None:
    nasty = "<!channel> & <https://evil.example|x>"
    unfollowed = follow_replies.unfollowed(listed(name=nasty))

    for message in (followed(FollowEffect.POSTED, name=nasty), unfollowed, listing(name=nasty)):
        assert "&lt;!channel&gt; &amp;" in message.text
        assert "<!" not in message.text + shown(message).replace("<!date", "")
        assert "<https://evil" not in message.text + shown(message)


def test_unfollow_reply_names_the_meeting() -> None:
    assert follow_replies.unfollowed(listed()).text == "Stopped following *All hands* in this channel."


def test_empty_list_explains_how_to_follow() -> None:
    (message,) = follow_replies.listing([], permalink)

    assert message.text == follow_replies.NOTHING_FOLLOWED


def test_list_line_has_name_state_level_creator_id_and_card() -> None:
    message = listing()

    assert message.text == (
        "This channel follows 1 meeting.\n"
        "*All hands*: live; updates in thread; added by <@U0ANN000001>; "
        f"meeting `{MEETING}`; card: {URL}"
    )
    assert f":red_circle: *<{URL}|All hands>* live · updates in thread · added by <@U0ANN000001>\n" in shown(message)
    assert f"`{MEETING}`" in shown(message)


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_words_in_the_list(phase: Phase) -> None:
    assert f"*All hands*: {follow_replies._PHASES[phase][1]};" in listing(phase=phase.value).text


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("not_in_channel", "Paused: I'm not in this channel. Type `/invite @Livestream` to continue"),
        ("channel_not_found", "Paused: I'm not in this channel."),
        ("is_archived", "Paused: This channel is archived."),
        (
            "restricted_action",
            "Paused: Slack doesn't allow my messages here (restricted_action). Whoever runs this bot",
        ),
        (None, "Paused: Slack doesn't allow my messages here. Whoever runs this bot"),
    ],
)
def test_list_explains_why_a_follow_is_paused_and_how_to_fix_it(reason: str | None, said: str) -> None:
    message = listing(follow=paused(reason))

    assert said in message.text
    assert said in shown(message)


def test_list_says_that_checks_fail_and_when_the_last_one_succeeded() -> None:
    failing, fine = listing(failures=1), listing(failures=0)

    assert "Can't get updates from Cloudflare. Last checked 2026-06-03 10:00 UTC;" in failing.text
    assert "<!date^1780480800^Last checked {date_short_pretty}" in shown(failing)
    assert "Cloudflare" not in fine.text
    assert "Last checked" not in shown(fine)


def test_unchecked_meeting_without_a_card_is_listed() -> None:
    message = listing(last_checked_at=None, ts=None, failures=2)

    assert "Can't get updates from Cloudflare; meeting" in message.text
    assert "card:" not in message.text
    assert ":red_circle: *All hands* live" in shown(message)


def test_list_of_a_hundred_meetings_fits() -> None:
    """In what Slack accepts, and in the five messages of a response_url."""
    long = [listed(name="&" * 500, follow=paused("x" * 80), failures=1_000)] * MAX_FOLLOWS

    messages = follow_replies.listing(long, permalink)

    assert len(messages) <= 4
    assert messages[0].text.startswith("This channel follows 100 meetings.\n")
    assert sum(message.text.count("card: ") for message in messages) == MAX_FOLLOWS
    for message in messages:
        assert complaints(list(message.blocks)) == []
        assert len(message.text) < 40_000


def test_help_names_each_form_of_the_command() -> None:
    message = follow_replies.usage()

    for words in ("&lt;meeting-id&gt;", "follow", "unfollow", "following", "quiet", "loud", "Where is the ID?"):
        assert words in message.text
        assert words in shown(message)
    assert len(message.blocks) == 3
    assert complaints(list(message.blocks)) == []
