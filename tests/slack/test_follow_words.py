"""What people are told about follows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from bot.following.following import MOST_FOLLOWS, Beginning, Begun
from bot.following.state import Phase
from bot.slack import cards, follow_words
from bot.slack.messages import Message
from bot.store.follows import Listed
from bot.store.tables import FollowState, Volume
from bot.store.values import Follow

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
        volume=Volume.NORMAL,
        state=FollowState.ACTIVE,
        reason=None,
        expires_at=NOON + timedelta(days=30),
    )
    return replace(made, **changes)


def listed(**changes: Any) -> Listed:
    made = Listed(follow=follow(), name="All hands", phase=Phase.LIVE, looked_at=NOON, failures=0, ts=TS)
    return replace(made, **changes)


def blocks(message: Message) -> str:
    return "\n".join(block["text"]["text"] for block in message.blocks)


def only(messages: list[Message]) -> Message:
    (message,) = messages
    return message


@pytest.mark.parametrize(
    ("begun", "said"),
    [
        (Begun.NOW, "This channel follows *All hands* from now on. Each change is told in the card's thread."),
        (Begun.SOON, "from now on. Slack has not taken its card yet, so that comes later."),
        (Begun.AGAIN, "again; it was paused. If I am not in this channel, type `/invite @Livestream` here."),
        (Begun.BEFORE, "This channel follows *All hands* already."),
    ],
)
def test_begun(begun: Begun, said: str) -> None:
    """It is said what came of the wish, in the text and in the block alike."""
    message = follow_words.begun(Beginning(begun, follow(), "All hands", None), permalink)

    assert said in message.text
    assert said in blocks(message)


@pytest.mark.parametrize(
    ("volume", "heard"), [(Volume.QUIET, "There is the card alone"), (Volume.LOUD, "in the channel too")]
)
def test_how_loud(volume: Volume, heard: str) -> None:
    """It is said what the channel will hear."""
    message = follow_words.begun(Beginning(Begun.NOW, follow(volume=volume), "All hands", None), permalink)

    assert heard in message.text


def test_the_card_is_linked() -> None:
    """Following twice leads to the card that is there."""
    message = follow_words.begun(Beginning(Begun.BEFORE, follow(), "All hands", TS), permalink)

    assert message.text.endswith(f"Its card: {URL}")
    assert f"<{URL}|See its card>" in blocks(message)


def test_where_no_link_is_known() -> None:
    """A card is not linked while nobody knows the workspace's address."""
    message = follow_words.begun(Beginning(Begun.BEFORE, follow(), "All hands", TS), unknown)

    assert "card:" not in message.text


@pytest.mark.parametrize("name", [None, "", " \u202e "])
def test_without_a_name(name: str | None) -> None:
    """A meeting that has no name is called by its ID."""
    message = follow_words.begun(Beginning(Begun.NOW, follow(), name, None), permalink)

    assert message.text.startswith(f"This channel follows meeting `{MEETING}` from now on.")


def test_nasty_name() -> None:
    """A name with markup calls nobody, wherever it is told."""
    nasty = "<!channel> & <https://evil.example|x>"
    messages = [
        follow_words.begun(Beginning(Begun.NOW, follow(), nasty, None), permalink),
        follow_words.unfollowed(listed(name=nasty)),
        *follow_words.listing([listed(name=nasty)], permalink),
    ]

    for message in messages:
        assert "&lt;!channel&gt; &amp;" in message.text
        assert "<!" not in message.text + blocks(message).replace("<!date", "")
        assert "<https://evil" not in message.text + blocks(message)


def test_unfollowed() -> None:
    """Who unfollows is told of which meeting."""
    assert follow_words.unfollowed(listed()).text == "This channel does not follow *All hands* any more."


@pytest.mark.parametrize("volume", Volume)
def test_as_loud(volume: Volume) -> None:
    """Who changes the volume is told which one it is now."""
    assert follow_words.as_loud(follow(volume=volume)).text.startswith(f"From now on: {volume} (")


def test_nothing_followed() -> None:
    """A channel that follows nothing is told how to begin."""
    message = only(follow_words.listing([], permalink))

    assert message.text == follow_words.NOTHING_FOLLOWED


def test_listing() -> None:
    """A line has the name, the status, the volume, by whom, when it was last checked, the ID and the card."""
    message = only(follow_words.listing([listed()], permalink))

    assert message.text == (
        "This channel follows 1 meeting.\n"
        "*All hands*: live; normal (changes in the thread); followed by <@U1>; checked 2026-11-24 12:00 UTC; "
        f"meeting `{MEETING}`; card: {URL}"
    )
    assert "<!date^1795521600^{date_short_pretty} {time}|2026-11-24 12:00 UTC>" in blocks(message)
    assert f"<{URL}|See its card>" in blocks(message)
    assert f"`{MEETING}`" in blocks(message)


@pytest.mark.parametrize("phase", Phase)
def test_every_phase(phase: Phase) -> None:
    """Each phase has a word, in which nothing else is hidden."""
    message = only(follow_words.listing([listed(phase=phase.value)], permalink))

    assert f"*All hands*: {follow_words._PHASES[phase]};" in message.text


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("not_in_channel", "Paused: I am not in this channel. Type `/invite @Livestream` to go on"),
        ("channel_not_found", "Paused: I am not in this channel."),
        ("is_archived", "Paused: The channel is archived."),
        ("restricted_action", "Paused: Slack refuses its messages (restricted_action). Whoever runs the bot"),
        (None, "Paused: Slack refuses its messages. Whoever runs the bot"),
    ],
)
def test_paused(reason: str | None, said: str) -> None:
    """Of a paused follow it is said why, and how to mend it."""
    paused = listed(follow=follow(state=FollowState.PAUSED, reason=reason))

    message = only(follow_words.listing([paused], permalink))

    assert said in message.text
    assert said in blocks(message)


@pytest.mark.parametrize(
    ("failures", "said"),
    [(1, "Cloudflare has not answered the last time;"), (7, "Cloudflare has not answered the last 7 times;")],
)
def test_failures(failures: int, said: str) -> None:
    """That Cloudflare does not answer is said beside when it last did."""
    message = only(follow_words.listing([listed(failures=failures)], permalink))

    assert said in message.text


def test_never_checked() -> None:
    """What nobody has looked at yet, and has no card yet, is listed as such."""
    message = only(follow_words.listing([listed(looked_at=None, ts=None)], permalink))

    assert "checked not yet" in message.text
    assert "card:" not in message.text


def test_a_hundred() -> None:
    """A full channel's list fits in what Slack takes, and in the five messages of a response_url."""
    long = [
        listed(name="&" * 500, follow=follow(state=FollowState.PAUSED, reason="x" * 80), failures=1_000)
    ] * MOST_FOLLOWS

    messages = follow_words.listing(long, permalink)

    assert len(messages) <= 4
    assert messages[0].text.startswith("This channel follows 100 meetings.\n")
    assert sum(message.text.count("card: ") for message in messages) == MOST_FOLLOWS
    for message in messages:
        assert len(message.blocks) <= 50
        assert len(message.text) < 40_000
        assert all(len(block["text"]["text"]) <= 3_000 for block in message.blocks)


def test_usage() -> None:
    """How to use the command names each of its words, beside how to look up."""
    message = follow_words.usage()

    assert message.text.startswith(cards.USAGE_TEXT)
    assert cards.USAGE in blocks(message)
    for word in ("follow", "unfollow", "following", "quiet", "loud"):
        assert word in message.text.split(cards.USAGE_TEXT)[1]
        assert word in blocks(message).split(cards.USAGE)[1]
