"""The bot is invited again, or its channel unarchived."""

import asyncio
import io
from pathlib import Path

import aiohttp
import pytest
from pytest_mock import MockerFixture

from bot.errors import DatabaseUnavailable
from bot.following.maintenance import INTERVAL_SECONDS
from bot.notifications.missed_invitations import CHECK_SECONDS
from bot.slack.handlers import EVENT_RETRY_SECONDS
from sandbox.bot_process import Mode
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, BACKSTAGE, BOT, EVENTS, GENERAL
from tests.conftest import PATIENCE, World
from tests.slack.listeners.helpers import BOTH_MODES, changed, following, paused

UNARCHIVED = {"type": "channel_unarchive", "channel": GENERAL, "user": ANN}


@pytest.mark.parametrize(("mode", "channel"), [("http", GENERAL), ("socket", BACKSTAGE)])
async def test_invitation_resumes_paused_follows(connected: World, channel: str) -> None:
    """In private channels too. The card is brought up to date."""
    card = await paused(connected, channel=channel)
    connected.slack.remove_bot(channel)

    connected.slack.invite_bot(channel)
    now = await changed(connected, card)

    assert "Loud" in str(now.blocks)
    assert "Paused" not in await following(connected, channel)


@pytest.mark.parametrize(("mode", "channel"), [("http", BACKSTAGE), ("socket", GENERAL)])
async def test_unarchived_channel_resumes_its_follows(connected: World, channel: str) -> None:
    card = await paused(connected, "is_archived", channel)
    connected.slack.archive(channel)

    connected.slack.unarchive(channel)
    await changed(connected, card)

    assert "Paused" not in await following(connected, channel)


async def test_invitation_waits_until_slack_has_said_who_the_bot_is(world: World, mode: Mode, tmp_path: Path) -> None:
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


async def test_person_who_joins_resumes_nothing_and_following_again_does(connected: World) -> None:
    card = await paused(connected)
    assert "Paused: I'm not in this channel. Type `/invite @livestream`" in await following(connected)

    await connected.slack.event({"type": "member_joined_channel", "user": ANN, "channel": GENERAL, "inviter": BOT})
    await connected.idle()
    assert "Paused" in await following(connected)

    answer = await connected.ask(f"follow {seeds.LIVE}")
    await changed(connected, card)
    assert answer.text.startswith("Following *Launch keynote* here again.")


async def test_invitation_where_nothing_is_paused_is_acknowledged(connected: World) -> None:
    """An event has no reply: however long it is tried again, replies do not seem slow for it."""
    delivery = await connected.slack.event({"type": "member_joined_channel", "user": BOT, "channel": GENERAL})
    line = await connected.logged("follows_resumed")
    await following(connected)
    await connected.idle()

    assert delivery.acked
    assert line["follows"] == 0
    text = await metrics(connected)
    assert 'reply_duration_seconds_count{action="command"}' in text
    assert 'reply_duration_seconds_count{action="member_joined_channel"}' not in text


async def metrics(world: World) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{world.bot_url}/metrics") as response:
        return await response.text()


async def test_event_is_acknowledged_and_handled_once_the_database_answers(
    connected: World, mocker: MockerFixture
) -> None:
    await paused(connected)
    away = mocker.patch("bot.store.pauses.Pauses.resume", side_effect=DatabaseUnavailable)

    delivery = await connected.slack.event(UNARCHIVED)
    line = await connected.logged("event_postponed")
    mocker.stop(away)
    connected.slack.clock.advance(EVENT_RETRY_SECONDS[0])
    await connected.idle()

    assert delivery.acked
    assert line["error"] == "database_unavailable"
    assert "Paused" not in await following(connected)


async def test_event_is_not_retried_forever(connected: World, mocker: MockerFixture) -> None:
    resume = mocker.patch("bot.store.pauses.Pauses.resume", side_effect=DatabaseUnavailable)

    await connected.slack.event(UNARCHIVED)
    async with asyncio.timeout(PATIENCE):
        while resume.call_count <= len(EVENT_RETRY_SECONDS):
            # Again and again: an advance before the bot has begun to wait shortens no wait.
            connected.slack.clock.advance(max(EVENT_RETRY_SECONDS) / 10)
            await asyncio.sleep(0.01)
    line = await connected.logged("event_failed")

    assert line["error"] == "database_unavailable"
    assert resume.call_count == len(EVENT_RETRY_SECONDS) + 1


@BOTH_MODES
async def test_event_that_waits_for_the_database_does_not_keep_the_bot_from_stopping(
    world: World, mode: Mode, mocker: MockerFixture
) -> None:
    """It is tried once more."""
    async with world.bot(mode):
        mocker.patch("bot.store.pauses.Pauses.resume", side_effect=DatabaseUnavailable)
        await world.slack.event(UNARCHIVED)
        await world.logged("event_postponed")

    assert (await world.logged("event_failed"))["error"] == "database_unavailable"
    assert '"drain_timed_out"' not in world.log.getvalue()


@pytest.mark.parametrize(("reason", "goes_on"), [("not_in_channel", True), ("restricted_action", False)])
async def test_start_resumes_only_follows_that_an_invitation_would_resume(
    world: World, mode: Mode, tmp_path: Path, reason: str, goes_on: bool
) -> None:
    """In channels that the bot is in: it may have been invited while it was down."""
    world.database_url = f"sqlite:///{tmp_path / 'livestream.db'}"
    async with world.bot(mode):
        await paused(world, reason)
    before = checks(world)
    async with world.bot(mode):
        await checked(world, before + 1)

        assert ("Paused" not in await following(world)) is goes_on


async def test_invitation_that_never_arrives_is_found_out_within_half_an_hour(connected: World) -> None:
    """Where the bot is not in the channel, the follow stays paused."""
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


async def test_malformed_event_is_acknowledged_and_logged(connected: World, log: io.StringIO) -> None:
    """The log does not have its content."""
    delivery = await connected.slack.event({"type": "channel_unarchive", "channel": {"id": "secret"}})
    await connected.logged("payload_invalid")

    assert delivery.acked
    assert "secret" not in log.getvalue()


async def test_event_that_fails_is_acknowledged_logged_and_counted_from_zero_to_one(
    connected: World, log: io.StringIO, mocker: MockerFixture
) -> None:
    """The alert for unhandled errors needs the zero."""
    mocker.patch("bot.store.pauses.Pauses.resume", side_effect=ZeroDivisionError)
    series = 'livestream_bot_requests_total{action="channel_unarchive",outcome="error"}'
    assert f"{series} 0.0\n" in await metrics(connected)

    delivery = await connected.slack.event(UNARCHIVED)
    await connected.logged("handler_crashed")
    await connected.idle()

    assert delivery.acked
    assert "ZeroDivisionError" in log.getvalue()
    assert f"{series} 1.0\n" in await metrics(connected)
