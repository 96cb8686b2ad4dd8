"""The menu of a followed meeting's card."""

from bot.errors import NotFollowing
from bot.notifications.timing import EDIT_DEBOUNCE_SECONDS
from bot.slack.messages import follow_replies, lookup_card
from bot.slack.messages.message import MenuAction
from sandbox.realtimekit import seeds
from sandbox.slack import BEN
from tests.conftest import World
from tests.slack.listeners.helpers import BOTH_MODES, changed, choose, follow, following, paused, told


@BOTH_MODES
async def test_anyone_can_change_the_level_and_unfollow(connected: World) -> None:
    """That person gets a confirmation, and the card's menu a tick at the new level."""
    _, card = await follow(connected)

    for choice, said, listed in (
        (MenuAction.QUIET, "Set to quiet: only the card updates.", "; card only;"),
        (MenuAction.LOUD, "Set to loud: updates go to the card's", "; thread and channel;"),
    ):
        answer = await told(connected, card, choice, user=BEN)
        card = await changed(connected, card)
        connected.slack.clock.advance(EDIT_DEBOUNCE_SECONDS)

        assert answer.startswith(said)
        assert listed in await following(connected)
        options = card.blocks[0]["accessory"]["options"]
        ticked = [option["value"] for option in options if option["text"]["text"].startswith("✓")]
        assert [f'"do":"{choice}"' in value for value in ticked] == [True]

    answer = await told(connected, card, MenuAction.UNFOLLOW, user=BEN)
    await changed(connected, card, "no longer followed")

    assert answer == "Stopped following *Launch keynote* in this channel."
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED


async def test_menu_refresh_updates_the_card(connected: World) -> None:
    """Cloudflare gets a request at once."""
    _, card = await follow(connected)
    connected.kit.end(seeds.LIVE)

    answer = await told(connected, card, MenuAction.REFRESH)
    await changed(connected, card, "reconnecting")

    assert answer == follow_replies.REFRESHING


async def test_refresh_of_a_meeting_that_was_deleted_says_that_it_was_not_found(connected: World) -> None:
    """It is not “not live yet”."""
    _, card = await follow(connected, seeds.NEVER_LIVE)
    connected.kit.remove_meeting(seeds.NEVER_LIVE)

    await choose(connected, card, MenuAction.REFRESH, meeting_id=seeds.NEVER_LIVE)
    now = await changed(connected, card, "was not found")

    assert "Not live yet" not in str(now.blocks)
    listed = str((await connected.ask("following")).blocks)
    assert "meeting not found" in listed
    assert "not live yet" not in listed


async def test_menu_on_a_paused_card_explains_the_pause(connected: World) -> None:
    card = await paused(connected)

    for choice, said in (
        (MenuAction.REFRESH, "This card is paused: I'm not in this channel."),
        (MenuAction.QUIET, "Set to quiet, but paused: I'm not in this channel."),
    ):
        assert (await told(connected, card, choice)).startswith(f"{said} Type `/invite @livestream`")


async def test_menu_on_a_card_that_could_not_show_its_end_says_that_it_is_not_followed(connected: World) -> None:
    _, card = await follow(connected)
    connected.slack.refuse_next("chat.update", "cant_update_message")
    await connected.ask(f"unfollow {seeds.LIVE}")
    await connected.logged("card_update_skipped")

    for choice in (MenuAction.QUIET, MenuAction.REFRESH, MenuAction.UNFOLLOW):
        assert await told(connected, card, choice) == NotFollowing().sentence


async def test_option_of_another_version_is_answered_with_what_to_do(connected: World) -> None:
    _, card = await follow(connected)
    for value in ('{"from": "long ago"}', f'{{"m": "{seeds.LIVE}"}}'):
        for option in card.blocks[0]["accessory"]["options"]:
            option["value"] = value

        answer = await connected.answer(await connected.slack.click(card, lookup_card.FOLLOW_MENU, value=value))

        assert "too old to use" in answer.text
        assert "Type `/livestream` and the meeting ID" in answer.text
