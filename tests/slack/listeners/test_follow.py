"""`/livestream follow ...`, *Follow here* and *Follow again*."""

import pytest
from pytest_mock import MockerFixture

from bot.errors import (
    ChannelArchived,
    DatabaseUnavailable,
    FollowLimitReached,
    MeetingNotFound,
    NotInChannel,
    ServerError,
)
from bot.slack.messages import follow_replies, lookup_card
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BACKSTAGE, BEN, EVENTS, GENERAL, RANDOM, Message
from tests.conftest import World
from tests.slack.helpers import is_public
from tests.slack.listeners.helpers import BOTH_MODES, actions, changed, follow, following

NO_SUCH_MEETING = "00000000-0000-4000-8000-000000000000"


def public(world: World, channel: str = GENERAL) -> list[Message]:
    return [message for message in world.slack.messages(channel, BEN) if is_public(message)]


async def test_follow_posts_a_public_card(connected: World) -> None:
    """The person gets a private reply. A meeting that was never live can be followed, too."""
    answer, card = await follow(connected)

    assert answer.text == "Now following *Launch keynote* here. Updates go to the card's thread."
    assert answer.ephemeral_to == ANN
    assert public(connected) == [card]
    assert card.text.startswith("Launch keynote is live")

    _, card = await follow(connected, seeds.NEVER_LIVE)

    assert card.text.startswith("Hiring committee is not live yet.")


async def test_each_channel_has_its_own_card_and_level(connected: World) -> None:
    for channel, how, heard, listed in (
        (GENERAL, "quiet", "Only the card updates.", "; card only;"),
        (EVENTS, "LOUD", "also to the channel.", "; thread and channel;"),
    ):
        answer, card = await follow(connected, how=how, channel=channel)

        assert heard in answer.text
        assert listed in await following(connected, channel)
        assert [message.ts for message in public(connected, channel)] == [card.ts]


@BOTH_MODES
async def test_follow_here_replaces_the_private_answer(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE)

    await connected.slack.click(answer, lookup_card.FOLLOW_HERE)
    card = await connected.next_message(is_public)
    now = await changed(connected, answer)

    assert card.text.startswith("Launch keynote is live")
    assert now.text.startswith("Now following *Launch keynote* here.")
    assert actions(now) == []


async def test_second_follow_links_the_card_and_changes_only_the_level_that_it_names(connected: World) -> None:
    _, card = await follow(connected, how="quiet")

    again = await connected.ask(f"follow {seeds.LIVE}", user=BEN)
    louder = await connected.ask(f"follow {seeds.LIVE} loud")
    as_before = await connected.ask(f"follow {seeds.LIVE}")

    assert again.text.startswith("This channel already follows *Launch keynote*.")
    assert f"https://sandbox.slack.com/archives/{GENERAL}/p{card.ts.replace('.', '')}" in again.text
    assert "*Set to loud.* Updates go to the card's thread, and" in louder.text
    assert "Set to" not in again.text + as_before.text
    assert "; thread and channel;" in await following(connected)
    assert len(public(connected)) == 1


async def test_meeting_that_cannot_be_found_now_is_not_followed(connected: World) -> None:
    """After an outage the person can try again."""
    missing = await connected.ask(f"follow {NO_SUCH_MEETING}")
    connected.kit.fault = Fault.SERVER_ERROR
    failed = await connected.ask(f"follow {seeds.LIVE}")
    connected.kit.fault = Fault.NONE

    assert (missing.text, actions(missing)) == (MeetingNotFound().sentence, [])
    assert (failed.text, actions(failed)) == (ServerError(500).sentence, [lookup_card.FOLLOW_HERE])
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED
    assert public(connected) == []


async def test_channel_without_the_bot_follows_nothing_until_it_is_invited(connected: World) -> None:
    for channel in (RANDOM, BACKSTAGE):
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

    assert (await connected.logged("request_failed"))["error"] == ChannelArchived.code


async def test_card_that_slack_accepts_only_later_is_announced(connected: World) -> None:
    connected.slack.rate_limit_next("chat.postMessage", retry_after=1)
    answer = await connected.ask(f"follow {seeds.LIVE}")
    card = await connected.next_message(is_public)

    assert "Slack hasn't accepted the card yet" in answer.text
    assert card.text.startswith("Launch keynote is live")


async def test_channel_follows_a_limited_number_of_meetings(connected: World, mocker: MockerFixture) -> None:
    """Its existing follows still work."""
    mocker.patch("bot.following.service.MAX_FOLLOWS", 1)
    await follow(connected)

    one_more = await connected.ask(f"follow {seeds.IDLE}")
    again = await connected.ask(f"follow {seeds.LIVE}")

    assert one_more.text == FollowLimitReached().sentence
    assert again.text.startswith("This channel already follows *Launch keynote*.")


async def test_unreachable_database_is_reported(connected: World, mocker: MockerFixture) -> None:
    mocker.patch("bot.store.follows.Follows.in_channel", side_effect=DatabaseUnavailable)

    answer = await connected.ask(f"follow {seeds.LIVE}")

    assert answer.text == DatabaseUnavailable().sentence


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
