"""People of other workspaces in a shared channel, an app of a whole organization, and channels whose ID changes."""

import asyncio
from pathlib import Path

from bot.errors import OtherWorkspace, StillConnecting
from bot.slack.messages import follow_replies, lookup_card
from bot.slack.messages.message import MenuAction
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, GENERAL, Delivery, User
from tests.conftest import World
from tests.slack.listeners.helpers import follow, following, told

DANA = User("U0DANA00001", "dana", "Dana", team_id="T0OTHER0001")


async def test_outsider_changes_nothing_and_gets_the_reason(connected: World) -> None:
    """Neither by command nor by the card's menu; to look a meeting up changes nothing."""
    connected.slack.add_person(DANA, GENERAL)
    _, card = await follow(connected)

    for choice in (MenuAction.UNFOLLOW, MenuAction.LOUD):
        assert await told(connected, card, choice, user=DANA.id) == OtherWorkspace.user_message
    for text in (f"follow {seeds.IDLE}", f"unfollow {seeds.LIVE}"):
        assert (await connected.ask(text, user=DANA.id)).text == OtherWorkspace.user_message
    answer = await connected.ask(seeds.LIVE, user=DANA.id)
    posting = await connected.slack.click(answer, lookup_card.POST_HERE, user=DANA.id)
    assert (await connected.answer(posting)).text == OtherWorkspace.user_message

    assert "live" in answer.text
    assert seeds.LIVE in await following(connected)
    assert seeds.IDLE not in await following(connected)


async def test_click_without_an_organization_changes_nothing(world: World) -> None:
    """Commands name the organization. Without it, anyone could have clicked."""
    world.slack.install_org_wide()
    world.slack.add_person(DANA, GENERAL)
    async with world.bot("http"):
        _, card = await follow(world)
        for user in (ANN, DANA.id):
            assert await told(world, card, MenuAction.UNFOLLOW, user=user) == OtherWorkspace.user_message
        assert (await world.ask(f"unfollow {seeds.LIVE}", user=DANA.id)).text == OtherWorkspace.user_message
        assert seeds.LIVE in await following(world)

        await world.ask(f"unfollow {seeds.LIVE}")

        assert await following(world) == follow_replies.NOTHING_FOLLOWED


async def test_follows_continue_in_a_channel_that_gets_another_id(connected: World) -> None:
    await follow(connected)

    connected.slack.change_channel_id(GENERAL, "C0SHARED001")
    line = await connected.logged("channel_moved")

    assert line["follows"] == 1
    assert seeds.LIVE in await following(connected, "C0SHARED001")


async def test_only_the_bots_own_revoked_token_ends_the_installation(connected: World) -> None:
    await follow(connected)
    await connected.slack.event({"type": "tokens_revoked", "tokens": {"oauth": ["U0ANN000001"]}})
    await connected.idle()
    assert seeds.LIVE in await following(connected)

    connected.slack.uninstall()
    await connected.logged("follows_deleted")


async def test_outsiders_request_waits_until_slack_has_said_where_the_bot_is(world: World) -> None:
    world.slack.add_person(DANA, GENERAL)
    world.slack.refuse("auth.test", "internal_error")
    async with world.bot("http"):
        delivery = await world.slack.command(f"follow {seeds.LIVE}", user=DANA.id)
        world.slack.accept()
        world.slack.clock.advance(2)

        assert (await world.answer(delivery)).text == OtherWorkspace.user_message
        assert await following(world) == follow_replies.NOTHING_FOLLOWED


async def test_revoked_token_of_a_person_forgets_nothing_before_slack_has_said_who_the_bot_is(
    world: World, tmp_path: Path
) -> None:
    world.database_url = f"sqlite:///{tmp_path / 'livestream.db'}"
    async with world.bot("http"):
        await follow(world)
    world.slack.refuse("auth.test", "internal_error")
    async with world.bot("http"):
        revoked = {"type": "tokens_revoked", "tokens": {"oauth": [ANN], "bot": ["U0ANOTHER01"]}}
        await world.slack.event(revoked)
        world.slack.accept()
        world.slack.clock.advance(2)
        await world.ready()
        await world.idle()

        assert seeds.LIVE in await following(world)


async def test_until_slack_has_said_where_the_bot_is_only_lookups_are_served(world: World) -> None:
    """Anyone could be a guest, so what changes something is refused; a lookup does not even wait."""
    world.slack.clock.speed = 0
    world.slack.refuse("auth.test", "internal_error")
    async with world.bot("http"):
        answer = await world.ask(seeds.LIVE)
        assert "is live" in answer.text
        assert "/livestream follow" in (await world.ask("help")).text

        texts = (f"follow {seeds.LIVE}", f"unfollow {seeds.LIVE}", "following")
        deliveries = [await world.slack.command(text) for text in texts]
        deliveries += [
            await world.slack.click(answer, button) for button in (lookup_card.POST_HERE, lookup_card.FOLLOW_HERE)
        ]
        assert await answers_in_time(world, deliveries) == [StillConnecting.user_message] * 5

        world.slack.accept()
        world.slack.clock.advance(60)
        await world.ready()
        assert await following(world) == follow_replies.NOTHING_FOLLOWED


async def answers_in_time(world: World, deliveries: list[Delivery]) -> list[str]:
    """Read the answers, while the time passes that the bot waits for Slack."""
    answers = asyncio.gather(*map(world.answer, deliveries))
    while not answers.done():
        # Slowly: a response_url lasts for half an hour only.
        world.slack.clock.advance(0.5)
        await asyncio.sleep(0.05)
    return [answer.text for answer in await answers]
