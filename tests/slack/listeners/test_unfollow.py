"""`/livestream unfollow ...` and `/livestream following`."""

import pytest

from bot.errors import NotFollowing
from bot.slack import command_parser
from bot.slack.messages import follow_replies, lookup_card
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, BEN, EVENTS, GENERAL
from tests.conftest import World
from tests.slack.helpers import is_public
from tests.slack.listeners.helpers import actions, changed, follow, following, unfollowed


async def test_unfollow_updates_the_card_and_follow_again_posts_a_new_one(connected: World) -> None:
    _, card = await follow(connected)

    answer = await connected.ask(f"unfollow {seeds.LIVE}", user=BEN)
    over = await changed(connected, card, "no longer followed")

    assert answer.text == "Stopped following *Launch keynote* in this channel."
    assert over.text == "Launch keynote is no longer followed here."
    assert "cloudflarestream" not in str(over.blocks)
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED

    answer = await connected.answer(await connected.slack.click(over, lookup_card.FOLLOW_AGAIN, user=BEN))
    new = await connected.next_message(lambda message: is_public(message) and message.ts != card.ts)

    assert answer.text.startswith("Now following *Launch keynote* here.")
    assert new.text.startswith("Launch keynote is live")
    assert f"added by <@{BEN}>" in await following(connected)


@pytest.mark.parametrize("how", ["command", "follow_here", "other_card"])
async def test_old_card_stops_offering_follow_again_once_the_meeting_is_followed(connected: World, how: str) -> None:
    """Whether by command, by *Follow here* or by the button of another old card."""
    _, card = await follow(connected)
    oldest = await unfollowed(connected, card)
    if how == "other_card":
        await connected.slack.click(oldest, lookup_card.FOLLOW_AGAIN)
        other = await connected.next_message(lambda message: is_public(message) and message.ts != oldest.ts)
        assert actions(await changed(connected, oldest, "again")) == []
        oldest = await unfollowed(connected, other)

    if how == "command":
        await connected.ask(f"follow {seeds.LIVE}")
    else:
        private = await connected.ask(seeds.LIVE, user=BEN)
        await connected.slack.click(private, lookup_card.FOLLOW_HERE, user=BEN)

    now = await changed(connected, oldest, "again")
    assert actions(now) == []
    assert now.text == "Launch keynote is followed here again, on a newer card."


async def test_card_that_slack_has_not_accepted_yet_is_not_posted_after_unfollow(connected: World) -> None:
    connected.slack.rate_limit_next("chat.postMessage", retry_after=60)
    await connected.ask(f"follow {seeds.LIVE}")

    answer = await connected.ask(f"unfollow {seeds.LIVE}")
    connected.slack.clock.advance(90)
    nothing = await following(connected)

    assert answer.text == "Stopped following *Launch keynote* in this channel."
    assert nothing == follow_replies.NOTHING_FOLLOWED
    assert not [message for message in connected.slack.messages(GENERAL) if is_public(message)]


async def test_unfollow_ends_the_follow_though_slack_allows_no_edit_of_its_card(connected: World) -> None:
    _, card = await follow(connected)
    connected.slack.refuse_next("chat.update", "cant_update_message")

    answer = await connected.ask(f"unfollow {seeds.LIVE}")
    line = await connected.logged("card_update_skipped")

    assert answer.text == "Stopped following *Launch keynote* in this channel."
    assert line["code"] == "cant_update_message"
    assert card in connected.slack.messages(GENERAL)
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED


async def test_unfollow_that_is_not_possible_is_explained_and_changes_nothing(connected: World) -> None:
    """A meeting that only another channel follows cannot be unfollowed here."""
    assert (await connected.ask(f"unfollow {seeds.LIVE}")).text == NotFollowing().sentence
    await follow(connected, channel=EVENTS)

    for text, channel, sentence in (
        (f"unfollow {seeds.LIVE}", GENERAL, NotFollowing().sentence),
        ("unfollow", EVENTS, command_parser.UNFOLLOW_WHICH),
        (f"unfollow {seeds.LIVE} now", EVENTS, command_parser.NOTHING_MORE),
        (f"unfollow {seeds.LIVE} {seeds.IDLE}", EVENTS, "I found 2 meeting IDs"),
    ):
        assert (await connected.ask(text, channel=channel)).text.startswith(sentence)
        assert "follows 1 meeting" in await following(connected, EVENTS)


async def test_follows_are_listed_oldest_first(connected: World) -> None:
    """Each with its state, its creator and its card. An empty list explains how to follow."""
    assert (await connected.ask("Following")).text == follow_replies.NOTHING_FOLLOWED
    _, card = await follow(connected)
    await follow(connected, seeds.NEVER_LIVE, "quiet")
    await follow(connected, seeds.IDLE, channel=EVENTS)

    answer = await connected.ask("following", user=BEN)

    heading, first, second = answer.text.splitlines()
    assert heading == "This channel follows 2 meetings."
    assert first.startswith(f"*Launch keynote*: live; updates in thread; added by <@{ANN}>; meeting `")
    assert first.endswith(f"card: https://sandbox.slack.com/archives/{GENERAL}/p{card.ts.replace('.', '')}")
    assert second.startswith("*Hiring committee*: not live yet; card only; ")
    assert answer.ephemeral_to == BEN
