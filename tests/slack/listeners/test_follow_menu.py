"""The menu of a followed meeting's card."""

import pytest

from bot.errors import NotFollowing
from bot.slack.messages import follow_replies, lookup_card
from bot.slack.messages.message import MenuAction
from sandbox.realtimekit import seeds
from sandbox.slack import BEN, Message
from tests.conftest import World
from tests.slack.listeners.helpers import changed, choose, follow, following, paused, told


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (MenuAction.QUIET, "Set to quiet: only the card updates."),
        (MenuAction.LOUD, "Set to loud: updates go to the card's"),
    ],
)
async def test_anyone_can_change_the_level(connected: World, choice: MenuAction, said: str) -> None:
    """That person gets a confirmation, and the card's menu a tick at the new level."""
    _, card = await follow(connected)

    answer = await told(connected, card, choice, user=BEN)
    now = await changed(connected, card, lambda message: message != card)

    assert answer.startswith(said)
    listed = {MenuAction.QUIET: "; card only;", MenuAction.LOUD: "; thread and channel;"}
    assert listed[choice] in await following(connected)
    options = now.blocks[0]["accessory"]["options"]
    ticked = [option for option in options if option["text"]["text"].startswith("✓")]
    assert [f'"do":"{choice}"' in option["value"] for option in ticked] == [True]


async def test_menu_unfollows_like_the_command(connected: World) -> None:
    _, card = await follow(connected)

    answer = await told(connected, card, MenuAction.UNFOLLOW, user=BEN)
    await changed(connected, card, lambda message: "no longer followed" in message.text)

    assert answer == "Stopped following *Launch keynote* in this channel."
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED


async def test_menu_refresh_updates_the_card(connected: World) -> None:
    """Cloudflare gets a request at once."""
    _, card = await follow(connected)
    connected.kit.end(seeds.LIVE)

    answer = await told(connected, card, MenuAction.REFRESH)
    now = await changed(connected, card, lambda message: "reconnecting" in message.text)

    assert answer == follow_replies.REFRESHING
    assert now.ts == card.ts


async def test_refresh_of_a_meeting_that_was_deleted(connected: World) -> None:
    """It is not “not live yet”, but not found."""
    _, card = await follow(connected, seeds.NEVER_LIVE)
    connected.kit.remove_meeting(seeds.NEVER_LIVE)

    await choose(connected, card, MenuAction.REFRESH, meeting_id=seeds.NEVER_LIVE)
    now = await changed(connected, card, lambda message: "was not found" in message.text)

    assert "Not live yet" not in str(now.blocks)
    listed = str((await connected.ask("following")).blocks)
    assert "meeting not found" in listed
    assert "not live yet" not in listed


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (MenuAction.REFRESH, "This card is paused: I'm not in this channel."),
        (MenuAction.QUIET, "Set to quiet, but paused: I'm not in this channel."),
    ],
)
async def test_menu_on_a_paused_card_explains_the_pause(connected: World, choice: MenuAction, said: str) -> None:
    card = await paused(connected)

    answer = await told(connected, card, choice)

    assert answer.startswith(f"{said} Type `/invite @livestream`")


@pytest.mark.parametrize("choice", [MenuAction.QUIET, MenuAction.REFRESH, MenuAction.UNFOLLOW])
async def test_not_followed_any_more(connected: World, choice: MenuAction) -> None:
    """The menu on a card that could not show its end no longer works, and says so."""
    _, card = await follow(connected)
    connected.slack.refuse_next("chat.update", "cant_update_message")
    await connected.ask(f"unfollow {seeds.LIVE}")
    await connected.logged("card_update_skipped")

    assert await told(connected, card, choice) == NotFollowing().sentence


@pytest.mark.parametrize("value", ['{"from": "long ago"}', '{"m": "50c8940e-1b97-402a-97d6-2708b7feca41"}'])
async def test_option_of_another_version(connected: World, value: str) -> None:
    """An option that is not understood is answered with what to do."""
    _, card = await follow(connected)
    set_values(card, value)

    answer = await connected.answer(await connected.slack.click(card, lookup_card.FOLLOW_MENU, value=value))

    assert "too old to use" in answer.text
    assert "Type `/livestream` and the meeting ID" in answer.text


def set_values(card: Message, value: str) -> None:
    for block in card.blocks:
        for option in block.get("accessory", {}).get("options", ()):
            option["value"] = value
