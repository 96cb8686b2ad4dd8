"""`/livestream unfollow ...`."""

import pytest

from bot.errors import NotFollowing
from bot.slack import command_parser
from bot.slack.messages import follow_replies, lookup_card
from sandbox.realtimekit import seeds
from sandbox.slack import BEN, EVENTS, GENERAL
from tests.conftest import World
from tests.slack.listeners.helpers import buttons, changed, follow, following, is_public


async def test_unfollow_updates_the_card(connected: World) -> None:
    """Nothing on it can be watched anymore."""
    _, card = await follow(connected)

    answer = await connected.ask(f"unfollow {seeds.LIVE}", user=BEN)
    now = await changed(connected, card, lambda message: "no longer followed" in message.text)

    assert answer.text == "Stopped following *Launch keynote* in this channel."
    assert now.text == "Launch keynote is no longer followed here."
    assert "cloudflarestream" not in str(now.blocks)
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED


async def test_before_its_card_is_posted(connected: World) -> None:
    """A card that Slack has not accepted yet is no longer posted."""
    connected.slack.rate_limit_next("chat.postMessage", retry_after=60)
    await connected.ask(f"follow {seeds.LIVE}")

    answer = await connected.ask(f"unfollow {seeds.LIVE}")
    connected.slack.clock.advance(90)
    nothing = await following(connected)

    assert answer.text == "Stopped following *Launch keynote* in this channel."
    assert nothing == follow_replies.NOTHING_FOLLOWED
    assert not [message for message in connected.slack.messages(GENERAL) if is_public(message)]


async def test_follow_again_posts_a_new_card(connected: World) -> None:
    _, card = await follow(connected)
    await connected.ask(f"unfollow {seeds.LIVE}")
    over = await changed(connected, card, lambda message: "no longer followed" in message.text)

    answer = await connected.answer(await connected.slack.click(over, lookup_card.FOLLOW_AGAIN, user=BEN))
    new = await connected.next_message(lambda message: is_public(message) and message.ts != card.ts)

    assert answer.text.startswith("Now following *Launch keynote* here.")
    assert new.text.startswith("Launch keynote is live")
    assert f"added by <@{BEN}>" in await following(connected)


@pytest.mark.parametrize("how", ["command", "follow_here", "other_card"])
async def test_old_card_stops_offering_follow_again_once_the_meeting_is_followed(connected: World, how: str) -> None:
    """Whether by command, by *Follow here* or by the button of another old card."""
    _, oldest = await follow(connected)
    await connected.ask(f"unfollow {seeds.LIVE}")
    oldest = await changed(connected, oldest, lambda message: buttons(message) == [lookup_card.FOLLOW_AGAIN])
    other = oldest
    if how == "other_card":
        await connected.slack.click(oldest, lookup_card.FOLLOW_AGAIN)
        other = await connected.next_message(lambda message: is_public(message) and message.ts != oldest.ts)
        await changed(connected, oldest, lambda message: buttons(message) == [])
        oldest, _ = other, await connected.ask(f"unfollow {seeds.LIVE}")
        oldest = await changed(connected, oldest, lambda message: buttons(message) == [lookup_card.FOLLOW_AGAIN])

    if how == "command":
        await connected.ask(f"follow {seeds.LIVE}")
    else:
        private = await connected.ask(seeds.LIVE, user=BEN)
        await connected.slack.click(private, lookup_card.FOLLOW_HERE, user=BEN)

    now = await changed(connected, oldest, lambda message: buttons(message) == [])
    assert now.text == "Launch keynote is followed here again, on a newer card."


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_meeting_that_is_not_followed_cannot_be_unfollowed(connected: World, elsewhere: bool) -> None:
    """Even if another channel follows it."""
    if elsewhere:
        await follow(connected, channel=EVENTS)

    answer = await connected.ask(f"unfollow {seeds.LIVE}", channel=GENERAL)

    assert answer.text == NotFollowing().sentence


async def test_a_card_that_cannot_be_edited(connected: World) -> None:
    """If Slack allows no edit of the card, it does not change, and the follow ends all the same."""
    _, card = await follow(connected)
    connected.slack.refuse_next("chat.update", "cant_update_message")

    answer = await connected.ask(f"unfollow {seeds.LIVE}")
    line = await connected.logged("card_update_skipped")

    assert answer.text == "Stopped following *Launch keynote* in this channel."
    assert line["code"] == "cant_update_message"
    assert card in connected.slack.messages(GENERAL)
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("unfollow", command_parser.UNFOLLOW_WHICH),
        (f"unfollow {seeds.LIVE} now", command_parser.NOTHING_MORE),
        (f"unfollow {seeds.LIVE} {seeds.IDLE}", "I found 2 meeting IDs"),
    ],
)
async def test_unfollow_command_with_a_mistake_is_explained(connected: World, text: str, sentence: str) -> None:
    """Nothing is unfollowed."""
    await follow(connected)

    answer = await connected.ask(text)

    assert answer.text.startswith(sentence)
    assert "follows 1 meeting" in await following(connected)
