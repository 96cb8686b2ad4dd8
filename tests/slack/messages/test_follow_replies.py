"""Help, and replies about follows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bot.domain.episode import Phase
from bot.domain.follow import Follow, FollowState, Level
from bot.following.service import MAX_FOLLOWS, FollowEffect, FollowResult
from bot.slack.messages import follow_replies
from bot.slack.messages.message import Message
from bot.store.follow_list import FollowStatus
from sandbox.slack.blocks import complaints

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MEETING = UUID("50c8940e-1b97-402a-97d6-2708b7feca41")
TS = "1795521600.000100"
URL = "https://sandbox.slack.com/archives/C1/p1795521600000100"


def permalink(channel_id: str, ts: str) -> str:
    return f"https://sandbox.slack.com/archives/{channel_id}/p{ts.replace('.', '')}"


def unknown(channel_id: str, ts: str) -> None:
    return None


def follow(**changes: Any) -> Follow:
    made = Follow(
        id=UUID(int=1),
        team_id="T1",
        channel_id="C1",
        meeting_id=MEETING,
        created_by="U1",
        created_at=NOON,
        level=Level.NORMAL,
        state=FollowState.ACTIVE,
        pause_reason=None,
        expires_at=NOON + timedelta(days=30),
    )
    return replace(made, **changes)


def listed(**changes: Any) -> FollowStatus:
    made = FollowStatus(follow=follow(), name="All hands", phase=Phase.LIVE, last_checked_at=NOON, failures=0, ts=TS)
    return replace(made, **changes)


def blocks(message: Message) -> str:
    return "\n".join(block["text"]["text"] for block in message.blocks)


def only(messages: list[Message]) -> Message:
    (message,) = messages
    return message


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (FollowEffect.POSTED, "Now following *All hands* here. Updates go to the card's thread."),
        (
            FollowEffect.QUEUED,
            "Updates go to the card's thread. Slack hasn't accepted the card yet, so it will appear a bit later.",
        ),
        (
            FollowEffect.RESUMED,
            "Following *All hands* here again. Updates go to the card's thread. If I'm not in",
        ),
        (FollowEffect.ALREADY_FOLLOWED, "This channel already follows *All hands*."),
    ],
)
def test_reply_says_what_following_did(effect: FollowEffect, said: str) -> None:
    """The text and the block have the same result."""
    message = follow_replies.followed(FollowResult(effect, follow(), "All hands", None), permalink)

    assert said in message.text
    assert said in blocks(message)


@pytest.mark.parametrize(
    ("level", "heard"), [(Level.QUIET, "Only the card updates."), (Level.LOUD, "also to the channel.")]
)
def test_reply_describes_the_level(level: Level, heard: str) -> None:
    message = follow_replies.followed(
        FollowResult(FollowEffect.POSTED, follow(level=level), "All hands", None), permalink
    )

    assert heard in message.text


def test_the_card_is_linked() -> None:
    """Following twice leads to the card that is there."""
    message = follow_replies.followed(FollowResult(FollowEffect.ALREADY_FOLLOWED, follow(), "All hands", TS), permalink)

    assert message.text.endswith(f"Its card: {URL}")
    assert f"<{URL}|See its card>" in blocks(message)


def test_where_no_link_is_known() -> None:
    """A card has no link before the workspace's address is known."""
    message = follow_replies.followed(FollowResult(FollowEffect.ALREADY_FOLLOWED, follow(), "All hands", TS), unknown)

    assert "card:" not in message.text


@pytest.mark.parametrize("name", [None, "", " \u202e "])
def test_without_a_name(name: str | None) -> None:
    """A meeting that has no name is called by its ID."""
    message = follow_replies.followed(FollowResult(FollowEffect.POSTED, follow(), name, None), permalink)

    assert message.text.startswith(f"Now following meeting `{MEETING}` here.")


def test_markup_in_a_name_is_escaped_in_replies() -> None:
    nasty = "<!channel> & <https://evil.example|x>"
    messages = [
        follow_replies.followed(FollowResult(FollowEffect.POSTED, follow(), nasty, None), permalink),
        follow_replies.unfollowed(listed(name=nasty)),
        *follow_replies.listing([listed(name=nasty)], permalink),
    ]

    for message in messages:
        assert "&lt;!channel&gt; &amp;" in message.text
        assert "<!" not in message.text + blocks(message).replace("<!date", "")
        assert "<https://evil" not in message.text + blocks(message)


def test_unfollow_reply_names_the_meeting() -> None:
    assert follow_replies.unfollowed(listed()).text == "Stopped following *All hands* in this channel."


@pytest.mark.parametrize("level", Level)
def test_reply_confirms_the_new_level(level: Level) -> None:
    assert follow_replies.level_changed(follow(level=level)).text.startswith(f"Set to {level}: ")


def test_empty_list_explains_how_to_follow() -> None:
    message = only(follow_replies.listing([], permalink))

    assert message.text == follow_replies.NOTHING_FOLLOWED


def test_list_line_has_name_state_level_creator_id_and_card() -> None:
    message = only(follow_replies.listing([listed()], permalink))

    assert message.text == (
        "This channel follows 1 meeting.\n"
        "*All hands*: live; updates in thread; added by <@U1>; "
        f"meeting `{MEETING}`; card: {URL}"
    )
    assert f":red_circle: *<{URL}|All hands>* live · updates in thread · added by <@U1>\n" in blocks(message)
    assert f"`{MEETING}`" in blocks(message)


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_words_in_the_list(phase: Phase) -> None:
    message = only(follow_replies.listing([listed(phase=phase.value)], permalink))

    assert f"*All hands*: {follow_replies._PHASES[phase][1]};" in message.text


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
def test_list_explains_why_a_follow_is_paused(reason: str | None, said: str) -> None:
    """It also says how to fix that."""
    paused = listed(follow=follow(state=FollowState.PAUSED, pause_reason=reason))

    message = only(follow_replies.listing([paused], permalink))

    assert said in message.text
    assert said in blocks(message)


@pytest.mark.parametrize(
    ("failures", "said"),
    [(0, ""), (1, "Can't get updates from Cloudflare. Last checked 2026-11-24 12:00 UTC;")],
)
def test_list_says_that_checks_fail(failures: int, said: str) -> None:
    """It also says when the last one succeeded."""
    message = only(follow_replies.listing([listed(failures=failures)], permalink))

    assert said in message.text
    assert ("Cloudflare" in message.text) == bool(failures)
    assert ("<!date^1795521600^Last checked {date_short_pretty}" in blocks(message)) == bool(failures)


def test_unchecked_meeting_without_a_card_is_listed() -> None:
    message = only(follow_replies.listing([listed(last_checked_at=None, ts=None, failures=2)], permalink))

    assert "Can't get updates from Cloudflare; meeting" in message.text
    assert "card:" not in message.text
    assert ":red_circle: *All hands* live" in blocks(message)


def test_list_of_a_hundred_meetings_fits() -> None:
    """In what Slack accepts, and in the five messages of a response_url."""
    long = [
        listed(name="&" * 500, follow=follow(state=FollowState.PAUSED, pause_reason="x" * 80), failures=1_000)
    ] * MAX_FOLLOWS

    messages = follow_replies.listing(long, permalink)

    assert len(messages) <= 4
    assert messages[0].text.startswith("This channel follows 100 meetings.\n")
    assert sum(message.text.count("card: ") for message in messages) == MAX_FOLLOWS
    for message in messages:
        assert len(message.blocks) <= 50
        assert len(message.text) < 40_000
        assert all(len(block["text"]["text"]) <= 3_000 for block in message.blocks)


def test_help_names_each_form_of_the_command() -> None:
    message = follow_replies.usage()

    for words in ("&lt;meeting-id&gt;", "follow", "unfollow", "following", "quiet", "loud", "Where is the ID?"):
        assert words in message.text
        assert words in blocks(message)
    assert len(message.blocks) == 3
    assert complaints(list(message.blocks)) == []


def test_changed_level_is_confirmed() -> None:
    """Following again at another level says which level it is set to."""
    loud = follow(level=Level.LOUD)
    message = follow_replies.followed(
        FollowResult(FollowEffect.ALREADY_FOLLOWED, loud, "All hands", TS, level_changed=True), permalink
    )

    assert message.text.startswith("This channel already follows *All hands*. *Set to loud.* Updates go to the card's")
