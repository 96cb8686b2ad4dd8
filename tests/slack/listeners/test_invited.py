"""The bot is invited again, or its channel unarchived."""

import io
from pathlib import Path

import aiohttp
import pytest
from pytest_mock import MockerFixture

from bot.errors import StoreUnreachable
from bot.sandbox.bot_process import Mode
from bot.sandbox.slack import ANN, BACKSTAGE, BOT, GENERAL, Message
from bot.slack.messages import Choice
from tests.conftest import World
from tests.slack.listeners.acting import changed, choose, follow, following


async def paused(world: World, reason: str = "not_in_channel", channel: str = GENERAL) -> Message:
    """A card whose follow was set aside when it was to be edited, in a channel that the bot is in."""
    if not world.slack.workspace.channels[channel].has_bot:
        world.slack.invite_bot(channel)
        await world.logged("resumed")  # heard of later, it would end the pause
    _, card = await follow(world, channel=channel)
    world.slack.refuse_next("chat.update", reason)
    await choose(world, card, Choice.LOUD)
    while "Paused" not in await following(world, channel):
        pass  # the announcer is at it
    return card


async def test_paused(connected: World) -> None:
    """Where Slack refuses, the list says why and how to mend it."""
    await paused(connected)

    assert "Paused: I'm not in this channel. Type `/invite @livestream`" in await following(connected)


@pytest.mark.parametrize("channel", [GENERAL, BACKSTAGE])
async def test_invited_again(connected: World, channel: str) -> None:
    """What was paused goes on by itself, in private channels too: the card is brought up to date."""
    card = await paused(connected, channel=channel)
    connected.slack.remove_bot(channel)

    connected.slack.invite_bot(channel)
    now = await changed(connected, card, lambda message: message != card)

    assert "Loud" in str(now.blocks)
    assert "Paused" not in await following(connected, channel)


async def test_invited_before_slack_has_said_who_the_bot_is(world: World, mode: Mode, tmp_path: Path) -> None:
    """The event waits for that, and then what was paused goes on."""
    world.database_url = f"sqlite:///{tmp_path / 'livestream.db'}"
    async with world.bot(mode):
        await paused(world)
    world.slack.refuse("auth.test", "internal_error")
    async with world.bot(mode):
        await world.slack.event({"type": "member_joined_channel", "user": BOT, "channel": GENERAL})
        world.slack.accept("auth.test")
        world.slack.clock.advance(2)
        await world.ready()
        await world.idle()

        assert "Paused" not in await following(world)


async def test_somebody_else_joins(connected: World) -> None:
    """It is no reason to go on."""
    await paused(connected)

    await connected.slack.event({"type": "member_joined_channel", "user": ANN, "channel": GENERAL, "inviter": BOT})
    await connected.idle()

    assert "Paused" in await following(connected)


@pytest.mark.parametrize("channel", [GENERAL, BACKSTAGE])
async def test_unarchived(connected: World, channel: str) -> None:
    """When the channel is open again, what was paused there goes on."""
    card = await paused(connected, "is_archived", channel)
    connected.slack.archive(channel)

    connected.slack.unarchive(channel)
    await changed(connected, card, lambda message: message != card)

    assert "Paused" not in await following(connected, channel)


async def test_followed_again(connected: World) -> None:
    """Following it once more goes on as well, and says so."""
    card = await paused(connected)

    answer = await connected.ask("follow 50c8940e-1b97-402a-97d6-2708b7feca41")
    await changed(connected, card, lambda message: message != card)

    assert answer.text.startswith("Following *Launch keynote* here again.")


async def test_nothing_to_resume(connected: World) -> None:
    """Being invited where nothing is paused is acknowledged, and does nothing."""
    delivery = await connected.slack.event({"type": "member_joined_channel", "user": BOT, "channel": GENERAL})
    line = await connected.logged("resumed")

    assert delivery.acked
    assert line["follows"] == 0


async def test_database_out_of_reach(connected: World, mocker: MockerFixture) -> None:
    """The event is acknowledged, and that it came to nothing is logged."""
    mocker.patch("bot.store.pausing.Pauses.resume", side_effect=StoreUnreachable)

    delivery = await connected.slack.event({"type": "channel_unarchive", "channel": GENERAL, "user": ANN})
    line = await connected.logged("missed")

    assert delivery.acked
    assert line["problem"] == "database_unavailable"


async def test_unforeseen_failure(connected: World, log: io.StringIO, mocker: MockerFixture) -> None:
    """What nobody foresaw is acknowledged too, and the log has all of it."""
    mocker.patch("bot.store.pausing.Pauses.resume", side_effect=ZeroDivisionError)

    delivery = await connected.slack.event({"type": "channel_unarchive", "channel": GENERAL, "user": ANN})
    await connected.logged("broken")

    assert delivery.acked
    assert "ZeroDivisionError" in log.getvalue()


async def test_not_understood(connected: World, log: io.StringIO) -> None:
    """An event that has not what it needs is acknowledged and logged, without its content."""
    delivery = await connected.slack.event({"type": "channel_unarchive", "channel": {"id": "secret"}})
    await connected.logged("not_understood")

    assert delivery.acked
    assert "secret" not in log.getvalue()


async def test_first_event_that_fails_raises_the_count_from_zero_to_one(
    connected: World, mocker: MockerFixture
) -> None:
    mocker.patch("bot.store.pausing.Pauses.resume", side_effect=ZeroDivisionError)
    before = await failures(connected, "channel_unarchive")

    await connected.slack.event({"type": "channel_unarchive", "channel": GENERAL, "user": ANN})
    await connected.logged("broken")
    await connected.idle()

    assert (before, await failures(connected, "channel_unarchive")) == (0, 1)


async def failures(world: World, action: str) -> float:
    """The value of the series that the alert for unhandled errors asks for."""
    series = f'livestream_bot_requests_total{{action="{action}",outcome="broken"}} '
    async with aiohttp.ClientSession() as session, session.get(f"{world.bot_url}/metrics") as response:
        lines = (await response.text()).splitlines()
    (value,) = (line.removeprefix(series) for line in lines if line.startswith(series))
    return float(value)
