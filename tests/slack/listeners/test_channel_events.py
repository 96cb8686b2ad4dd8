"""The bot is invited again, or its channel unarchived."""

import asyncio
import io
from pathlib import Path
from unittest.mock import MagicMock

import aiohttp
import pytest
from pytest_mock import MockerFixture

from bot.errors import DatabaseUnavailable
from bot.following.maintenance import INTERVAL_SECONDS
from bot.notifications.missed_invitations import CHECK_SECONDS
from bot.slack.handlers import EVENT_RETRY_SECONDS
from sandbox.bot_process import Mode
from sandbox.slack import ANN, BACKSTAGE, BOT, EVENTS, GENERAL
from tests.conftest import PATIENCE, World
from tests.slack.listeners.helpers import changed, following, paused


async def test_list_explains_a_pause_after_a_rejection(connected: World) -> None:
    await paused(connected)

    assert "Paused: I'm not in this channel. Type `/invite @livestream`" in await following(connected)


@pytest.mark.parametrize("channel", [GENERAL, BACKSTAGE])
async def test_invitation_resumes_paused_follows(connected: World, channel: str) -> None:
    """In private channels too. The card is brought up to date."""
    card = await paused(connected, channel=channel)
    connected.slack.remove_bot(channel)

    connected.slack.invite_bot(channel)
    now = await changed(connected, card, lambda message: message != card)

    assert "Loud" in str(now.blocks)
    assert "Paused" not in await following(connected, channel)


async def test_invited_before_slack_has_said_who_the_bot_is(world: World, mode: Mode, tmp_path: Path) -> None:
    """The event waits for that; then the paused follows resume."""
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
    """Nothing resumes."""
    await paused(connected)

    await connected.slack.event({"type": "member_joined_channel", "user": ANN, "channel": GENERAL, "inviter": BOT})
    await connected.idle()

    assert "Paused" in await following(connected)


@pytest.mark.parametrize("channel", [GENERAL, BACKSTAGE])
async def test_unarchived_channel_resumes_its_follows(connected: World, channel: str) -> None:
    card = await paused(connected, "is_archived", channel)
    connected.slack.archive(channel)

    connected.slack.unarchive(channel)
    await changed(connected, card, lambda message: message != card)

    assert "Paused" not in await following(connected, channel)


async def test_following_again_resumes_a_paused_follow(connected: World) -> None:
    card = await paused(connected)

    answer = await connected.ask("follow 50c8940e-1b97-402a-97d6-2708b7feca41")
    await changed(connected, card, lambda message: message != card)

    assert answer.text.startswith("Following *Launch keynote* here again.")


async def test_nothing_to_resume(connected: World) -> None:
    """Being invited where nothing is paused is acknowledged, and does nothing."""
    delivery = await connected.slack.event({"type": "member_joined_channel", "user": BOT, "channel": GENERAL})
    line = await connected.logged("follows_resumed")

    assert delivery.acked
    assert line["follows"] == 0


async def test_database_out_of_reach(connected: World, mocker: MockerFixture) -> None:
    """The event is acknowledged, and carried out once the database answers."""
    await paused(connected)
    away = mocker.patch("bot.store.pauses.Pauses.resume", side_effect=DatabaseUnavailable)

    delivery = await connected.slack.event({"type": "channel_unarchive", "channel": GENERAL, "user": ANN})
    line = await connected.logged("event_postponed")
    mocker.stop(away)
    connected.slack.clock.advance(EVENT_RETRY_SECONDS[0])
    await connected.idle()

    assert delivery.acked
    assert line["error"] == "database_unavailable"
    assert "Paused" not in await following(connected)


async def test_database_stays_out_of_reach(connected: World, mocker: MockerFixture) -> None:
    """The event is not retried forever, and its failure is logged."""
    resume = mocker.patch("bot.store.pauses.Pauses.resume", side_effect=DatabaseUnavailable)

    await connected.slack.event({"type": "channel_unarchive", "channel": GENERAL, "user": ANN})
    async with asyncio.timeout(PATIENCE):
        while resume.call_count <= len(EVENT_RETRY_SECONDS):
            # Again and again: an advance before the bot has begun to wait shortens no wait.
            connected.slack.clock.advance(max(EVENT_RETRY_SECONDS) / 10)
            await asyncio.sleep(0.01)
    line = await connected.logged("event_failed")

    assert line["error"] == "database_unavailable"
    assert resume.call_count == len(EVENT_RETRY_SECONDS) + 1


async def test_stopped_while_the_database_is_out_of_reach(world: World, mode: Mode, mocker: MockerFixture) -> None:
    """The event is tried once more, and does not keep the bot from stopping."""
    async with world.bot(mode):
        resume = mocker.patch("bot.store.pauses.Pauses.resume", side_effect=DatabaseUnavailable)
        await world.slack.event({"type": "channel_unarchive", "channel": GENERAL, "user": ANN})
        await called(resume, 1)

    assert (await world.logged("event_failed"))["error"] == "database_unavailable"
    assert '"drain_timed_out"' not in world.log.getvalue()


async def called(mock: MagicMock, times: int) -> None:
    """Wait until it has been called this often, and its caller sleeps again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await asyncio.sleep(0.01)
            if mock.call_count >= times:
                return


@pytest.mark.parametrize(("reason", "goes_on"), [("not_in_channel", True), ("restricted_action", False)])
async def test_invited_while_the_bot_was_away(
    world: World, mode: Mode, tmp_path: Path, reason: str, goes_on: bool
) -> None:
    """At startup, follows that an invitation would resume do so in channels that the bot is in; others stay paused."""
    world.database_url = f"sqlite:///{tmp_path / 'livestream.db'}"
    async with world.bot(mode):
        await paused(world, reason)
    before = checks(world)
    async with world.bot(mode):
        await checked(world, before + 1)

        assert ("Paused" not in await following(world)) is goes_on


async def test_invitation_that_never_arrives(connected: World) -> None:
    """The bot finds out within half an hour; where it is not in the channel, the follow stays paused."""
    await paused(connected)
    await paused(connected, channel=EVENTS)
    connected.slack.remove_bot(EVENTS)
    connected.slack.refuse_next("users.conversations", "internal_error")
    before = checks(connected)

    connected.slack.clock.advance(CHECK_SECONDS)
    await connected.logged("channels_not_checked")
    assert "Paused" in await following(connected)
    await checked(connected, before + 1)

    assert "Paused" not in await following(connected)
    assert "Paused" in await following(connected, EVENTS)


def checks(world: World) -> int:
    """How often the bot has checked in which channels it is again."""
    return world.log.getvalue().count('"channels_checked"')


async def checked(world: World, times: int) -> None:
    """Let time pass until it has checked so often."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if checks(world) >= times:
                return
            world.slack.clock.advance(INTERVAL_SECONDS)
            await asyncio.sleep(0.05)


async def test_event_has_no_reply_whose_time_counts(connected: World) -> None:
    """However long it is tried again, replies do not seem slow for it."""
    await connected.slack.event({"type": "channel_unarchive", "channel": GENERAL, "user": ANN})
    await connected.logged("follows_resumed")
    await following(connected)
    await connected.idle()

    async with aiohttp.ClientSession() as session, session.get(f"{connected.bot_url}/metrics") as response:
        metrics = await response.text()
    assert 'reply_duration_seconds_count{action="command"}' in metrics
    assert 'reply_duration_seconds_count{action="channel_unarchive"}' not in metrics


async def test_unexpected_error_in_an_event_is_logged(
    connected: World, log: io.StringIO, mocker: MockerFixture
) -> None:
    """The event is acknowledged all the same."""
    mocker.patch("bot.store.pauses.Pauses.resume", side_effect=ZeroDivisionError)

    delivery = await connected.slack.event({"type": "channel_unarchive", "channel": GENERAL, "user": ANN})
    await connected.logged("handler_crashed")

    assert delivery.acked
    assert "ZeroDivisionError" in log.getvalue()


async def test_malformed_event_is_acknowledged_and_logged(connected: World, log: io.StringIO) -> None:
    """The log does not have its content."""
    delivery = await connected.slack.event({"type": "channel_unarchive", "channel": {"id": "secret"}})
    await connected.logged("payload_invalid")

    assert delivery.acked
    assert "secret" not in log.getvalue()


async def test_first_event_that_fails_raises_the_count_from_zero_to_one(
    connected: World, mocker: MockerFixture
) -> None:
    mocker.patch("bot.store.pauses.Pauses.resume", side_effect=ZeroDivisionError)
    before = await failures(connected, "channel_unarchive")

    await connected.slack.event({"type": "channel_unarchive", "channel": GENERAL, "user": ANN})
    await connected.logged("handler_crashed")
    await connected.idle()

    assert (before, await failures(connected, "channel_unarchive")) == (0, 1)


async def failures(world: World, action: str) -> float:
    """Return the value of the series that the alert for unhandled errors asks for."""
    series = f'livestream_bot_requests_total{{action="{action}",outcome="error"}} '
    async with aiohttp.ClientSession() as session, session.get(f"{world.bot_url}/metrics") as response:
        lines = (await response.text()).splitlines()
    (value,) = (line.removeprefix(series) for line in lines if line.startswith(series))
    return float(value)
