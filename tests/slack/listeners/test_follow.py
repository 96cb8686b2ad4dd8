"""`/livestream follow ...`, *Follow here* and *Follow again*."""

import pytest
from pytest_mock import MockerFixture

from bot.errors import (
    ChannelArchived,
    ChannelRequired,
    DatabaseUnavailable,
    FollowLimitReached,
    MeetingNotFound,
    NotInChannel,
    ServerError,
)
from bot.slack import command_parser
from bot.slack.messages import follow_replies, lookup_card
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BACKSTAGE, BEN, EVENTS, GENERAL, RANDOM, Channel, Message
from tests.conftest import PATIENCE, World
from tests.slack.listeners.helpers import buttons, follow, following, is_public

NO_SUCH_MEETING = "00000000-0000-4000-8000-000000000000"
DIRECT = "D0ANNBOT001"


def public(world: World, channel: str = GENERAL) -> list[Message]:
    return [message for message in world.slack.messages(channel, BEN) if is_public(message)]


async def test_follow_posts_a_public_card(connected: World) -> None:
    """The person gets a private reply that explains what follows."""
    answer, card = await follow(connected)

    assert answer.text == ("Now following *Launch keynote* here. Updates go to the card's thread.")
    assert public(connected) == [card]
    assert card.text.startswith("Launch keynote is live")
    assert answer.ephemeral_to == ANN


async def test_before_the_livestream_exists(connected: World) -> None:
    """A meeting that was never live can be followed."""
    _, card = await follow(connected, seeds.NEVER_LIVE)

    assert card.text.startswith("Hiring committee is not live yet.")


@pytest.mark.parametrize(("how", "heard"), [("quiet", "Only the card updates."), ("LOUD", "also to the channel.")])
async def test_follow_has_the_requested_level(connected: World, how: str, heard: str) -> None:
    answer, _ = await follow(connected, how=how)

    assert heard in answer.text
    listed = {"quiet": "; card only;", "LOUD": "; thread and channel;"}
    assert listed[how] in await following(connected)


async def test_follow_here_replaces_the_private_answer(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE)

    await connected.slack.click(answer, lookup_card.FOLLOW_HERE)
    card = await connected.next_message(is_public)
    now = await connected.slack.wait_for_message(
        lambda message: message.ts == answer.ts and message != answer, timeout=PATIENCE
    )

    assert card.text.startswith("Launch keynote is live")
    assert now.text.startswith("Now following *Launch keynote* here.")
    assert buttons(now) == []


async def test_second_follow_links_the_existing_card(connected: World) -> None:
    """There is no second card."""
    _, card = await follow(connected)

    again = await connected.ask(f"follow {seeds.LIVE}", user=BEN)

    assert again.text.startswith("This channel already follows *Launch keynote*.")
    assert f"https://sandbox.slack.com/archives/{GENERAL}/p{card.ts.replace('.', '')}" in again.text
    assert len(public(connected)) == 1


async def test_twice_but_louder(connected: World) -> None:
    """The second time with another level changes that; without one it leaves it."""
    await follow(connected, how="quiet")
    louder = await connected.ask(f"follow {seeds.LIVE} loud")
    as_before = await connected.ask(f"follow {seeds.LIVE}")

    assert "*Set to loud.* Updates go to the card's thread, and" in louder.text
    assert "Set to" not in as_before.text
    assert "; thread and channel;" in await following(connected)


async def test_in_another_channel(connected: World) -> None:
    """Each channel has its own card."""
    await follow(connected)
    await follow(connected, channel=EVENTS)

    assert len(public(connected)) == 1
    assert len(public(connected, EVENTS)) == 1


async def test_no_such_meeting(connected: World) -> None:
    """A meeting that does not exist is not followed, and nothing is posted."""
    answer = await connected.ask(f"follow {NO_SUCH_MEETING}")

    assert answer.text == MeetingNotFound().sentence
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED
    assert public(connected) == []


async def test_nothing_is_followed_during_an_outage(connected: World) -> None:
    """The person can try again."""
    connected.kit.fault = Fault.SERVER_ERROR
    answer = await connected.ask(f"follow {seeds.LIVE}")
    connected.kit.fault = Fault.NONE

    assert answer.text == ServerError(500).sentence
    assert buttons(answer) == [lookup_card.FOLLOW_HERE]
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED


@pytest.mark.parametrize("channel", [RANDOM, BACKSTAGE])
async def test_without_the_bot(connected: World, channel: str) -> None:
    """In a channel that the bot is not in, public or private, nothing is followed until it is invited."""
    answer = await connected.ask(f"follow {seeds.LIVE}", channel=channel)
    nothing = await following(connected, channel)
    connected.slack.invite_bot(channel)
    _, card = await follow(connected, channel=channel)

    assert answer.text == NotInChannel().sentence.replace("@Livestream", "@livestream")
    assert nothing == follow_replies.NOTHING_FOLLOWED
    assert card.text.startswith("Launch keynote is live")


async def test_archived_channel_follows_nothing(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.archive(EVENTS)

    await connected.slack.click(answer, lookup_card.FOLLOW_HERE)
    told = await connected.logged("request_failed")

    assert told["error"] == ChannelArchived.code


async def test_direct_message_follows_nothing(connected: World) -> None:
    """Cloudflare gets no request."""
    connected.slack.workspace.put_channel(Channel(DIRECT, "ann", frozenset({ANN}), is_im=True, has_bot=True))
    answer = await connected.ask(f"follow {seeds.LIVE}", channel=DIRECT)

    assert not connected.kit.calls
    assert answer.text == ChannelRequired().sentence


async def test_slack_says_wait(connected: World) -> None:
    """If Slack accepts the card only later, the answer says so, and it appears then."""
    connected.slack.rate_limit_next("chat.postMessage", retry_after=1)
    answer = await connected.ask(f"follow {seeds.LIVE}")
    card = await connected.next_message(is_public)

    assert "Slack hasn't accepted the card yet" in answer.text
    assert card.text.startswith("Launch keynote is live")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("follow", command_parser.FOLLOW_WHICH),
        ("follow the white rabbit", command_parser.FOLLOW_WHICH),
        (f"follow {seeds.LIVE} shouting", command_parser.UNKNOWN_LEVEL),
        (f"follow {seeds.LIVE} {seeds.IDLE}", "I found 2 meeting IDs"),
    ],
)
async def test_follow_command_with_a_mistake_is_explained(connected: World, text: str, sentence: str) -> None:
    """Cloudflare gets no request."""
    answer = await connected.ask(text)

    assert answer.text.startswith(sentence)
    assert not connected.kit.calls


async def test_channel_follows_a_limited_number_of_meetings(connected: World, mocker: MockerFixture) -> None:
    """Its existing follows still work."""
    mocker.patch("bot.following.service.MAX_FOLLOWS", 1)
    await follow(connected)

    one_more = await connected.ask(f"follow {seeds.IDLE}")
    again = await connected.ask(f"follow {seeds.LIVE}")

    assert one_more.text == FollowLimitReached().sentence
    assert again.text.startswith("This channel already follows *Launch keynote*.")


async def test_database_out_of_reach(connected: World, mocker: MockerFixture) -> None:
    """When the database does not answer that is said, in a sentence."""
    mocker.patch("bot.store.follows.Follows.in_channel", side_effect=DatabaseUnavailable)

    answer = await connected.ask(f"follow {seeds.LIVE}")

    assert answer.text == DatabaseUnavailable().sentence


async def test_button_of_another_version(connected: World) -> None:
    """A button whose value is not understood is answered with what to do."""
    answer = await connected.ask(seeds.LIVE)
    for block in answer.blocks:
        for element in block.get("elements", ()):
            if element.get("action_id") == lookup_card.FOLLOW_HERE:
                element["value"] = '{"from": "long ago"}'

    await connected.slack.click(answer, lookup_card.FOLLOW_HERE)
    told = await connected.told_beside(answer)

    assert "This message is too old to use" in told.text


@pytest.mark.parametrize("code", ["ekm_access_denied", "team_access_not_granted", "access_denied"])
async def test_follow_says_if_an_admin_has_to_let_the_bot_in(connected: World, code: str) -> None:
    connected.slack.refuse("chat.postMessage", code, EVENTS)

    answer = await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)

    assert "can't be posted yet" in answer.text
    assert code in answer.text


@pytest.mark.parametrize("how", ["follow", "other_follow"])
async def test_person_who_follows_finds_out_that_an_admin_has_let_the_bot_in(connected: World, how: str) -> None:
    """The card that waited for that is posted at once, not within a day."""
    connected.slack.refuse("chat.postMessage", "ekm_access_denied", EVENTS)
    await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)
    connected.slack.accept()

    await connected.ask(f"follow {seeds.LIVE if how == 'follow' else seeds.IDLE}", channel=EVENTS)

    await connected.next_message(
        lambda message: is_public(message) and message.text.startswith("Launch keynote is live")
    )
