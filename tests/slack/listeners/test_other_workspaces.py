"""People of other workspaces in a shared channel, an app of a whole organisation, and channels whose ID changes."""

from pathlib import Path

from bot.errors import OtherWorkspace
from bot.sandbox.realtimekit import seeds
from bot.sandbox.slack import ANN, GENERAL, User
from bot.slack import cards, follow_words
from bot.slack.messages import Choice
from tests.conftest import World
from tests.slack.listeners.acting import choose, follow, following, told

DANA = User("U0DANA00001", "dana", "Dana", team_id="T0OTHER0001")


async def test_an_outsider_changes_nothing_and_is_told_why(connected: World) -> None:
    """Neither by command nor by the card's menu; to look a meeting up changes nothing."""
    connected.slack.add_person(DANA, GENERAL)
    _, card = await follow(connected)

    assert await told(connected, card, Choice.UNFOLLOW, user=DANA.id) == OtherWorkspace.user_message
    assert await told(connected, card, Choice.LOUD, user=DANA.id) == OtherWorkspace.user_message
    for text in (f"follow {seeds.IDLE}", f"unfollow {seeds.LIVE}"):
        assert (await connected.ask(text, user=DANA.id)).text == OtherWorkspace.user_message
    answer = await connected.ask(seeds.LIVE, user=DANA.id)
    posting = await connected.slack.click(answer, cards.POST_HERE, user=DANA.id)
    assert (await connected.answer(posting)).text == OtherWorkspace.user_message

    assert "live" in answer.text
    assert seeds.LIVE in await following(connected)
    assert seeds.IDLE not in await following(connected)


async def test_an_organisation(world: World) -> None:
    """Commands have a team, clicks have none: it is one installation."""
    world.slack.install_org_wide()
    async with world.bot("http"):
        _, card = await follow(world)
        assert seeds.LIVE in await following(world)
        await choose(world, card, Choice.UNFOLLOW)
        await world.idle()
        assert await following(world) == follow_words.NOTHING_FOLLOWED


async def test_a_channel_that_gets_another_id(connected: World) -> None:
    """What it follows goes on there."""
    await follow(connected)

    connected.slack.change_channel_id(GENERAL, "C0SHARED001")
    line = await connected.logged("channel_moved")

    assert line["follows"] == 1
    assert seeds.LIVE in await following(connected, "C0SHARED001")


async def test_the_token_of_a_person_is_revoked(connected: World) -> None:
    """That ends nothing; the bot's own token does, as Slack revokes it with the app."""
    await follow(connected)
    await connected.slack.event({"type": "tokens_revoked", "tokens": {"oauth": ["U0ANN000001"]}})
    await connected.idle()
    assert seeds.LIVE in await following(connected)

    connected.slack.uninstall()
    await connected.logged("forgotten")


async def test_an_outsider_who_comes_before_slack_has_said_where_the_bot_is_changes_nothing(world: World) -> None:
    """The request waits for that."""
    world.slack.add_person(DANA, GENERAL)
    world.slack.refuse("auth.test", "internal_error")
    async with world.bot("http"):
        delivery = await world.slack.command(f"follow {seeds.LIVE}", user=DANA.id)
        world.slack.accept()
        world.slack.clock.advance(2)

        assert (await world.answer(delivery)).text == OtherWorkspace.user_message
        assert await following(world) == follow_words.NOTHING_FOLLOWED


async def test_a_person_s_token_that_is_revoked_before_slack_has_said_who_the_bot_is_forgets_nothing(
    world: World, tmp_path: Path
) -> None:
    """The event waits for that."""
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
