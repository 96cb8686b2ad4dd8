"""The bot as a whole: how it starts and stops."""

import gc
import os
import signal
import socket

import pytest
from pytest_mock import MockerFixture
from slack_sdk.web import async_base_client

from bot import __version__
from bot.app import running
from bot.errors import ConfigurationError
from bot.process import tune_gc
from bot.realtimekit.lookup import ConcurrencyLimit
from sandbox.bot_process import BotDidNotStart, Mode, bot_process, settings_for
from sandbox.realtimekit import seeds
from sandbox.slack import ANN
from tests.conftest import PATIENCE, World
from tests.scenarios.scenario import until


async def test_requests_in_flight_are_answered_before_the_stop(world: World) -> None:
    world.kit.latency = 0.3
    async with world.bot():
        await world.slack.command(seeds.LIVE)

    [answer] = world.slack.messages("C0GENERAL01", ANN)
    assert answer.text.startswith("Launch keynote is live")


async def test_hanging_request_is_cut_off_at_the_drain_deadline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0.1)
    world.kit.latency = 60
    async with world.bot():
        await world.slack.command(seeds.LIVE)

    assert (await world.logged("drain_timed_out"))["requests"] == 1


async def test_hanging_lookups_do_not_delay_help(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.livestream_sources.ConcurrencyLimit", lambda: ConcurrencyLimit(limit=1))
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0.1)
    world.kit.latency = 60
    async with world.bot():
        for _ in range(3):
            await world.slack.command(seeds.LIVE)
        answer = await world.ask("help")

    assert "/livestream" in answer.text


async def test_proxy_environment_is_not_read_per_request(world: World, mocker: MockerFixture) -> None:
    """Bolt makes a client for each request, which reads the environment for a proxy where it has none."""
    searched = mocker.spy(async_base_client, "load_http_proxy_from_env")
    async with world.bot():
        searched.reset_mock()
        await world.ask(seeds.LIVE)

    assert searched.call_count == 0


def test_tune_gc_freezes_startup_objects_and_raises_the_threshold() -> None:
    thresholds = gc.get_threshold()
    try:
        tune_gc()

        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > thresholds[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


async def test_port_in_use_is_a_configuration_error(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = world.settings(port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match=r"^Port \d+ is already in use\."):
            async with running(settings):
                pass


async def test_host_of_another_machine_is_a_configuration_error(world: World) -> None:
    with pytest.raises(ConfigurationError, match=r"^HOST 192\.0\.2\.1 is not an address of this machine"):
        async with running(world.settings(host="192.0.2.1")):
            pass


@pytest.mark.parametrize(("mode", "mode_name"), [("http", "HTTP"), ("socket", "Socket Mode")])
async def test_start_is_logged_with_version_team_mode_and_database(world: World, mode: Mode, mode_name: str) -> None:
    async with world.bot(mode):
        line = await world.logged("bot_started")

    address = world.bot_url.removeprefix("http://")
    assert (
        line["summary"] == f"livestream-bot {__version__} connected to Sandbox as @livestream ({mode_name}, {address})"
    )
    assert line["database"] == "sqlite"


async def test_bolts_environment_variables_are_ignored(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With them, Bolt would silently drop the token."""
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "shh")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-from-the-environment")
    async with world.bot():
        answer = await world.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")


@pytest.mark.parametrize("mode", ["http", "socket"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_process_answers_and_exits_cleanly_on_a_signal(world: World, mode: Mode, number: signal.Signals) -> None:
    world.kit.latency = 0.2
    environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, mode)
    async with bot_process(environment) as bot:
        world.slack.request_url = f"{bot.url}/slack/events" if mode == "http" else None
        if mode == "socket":
            await world.slack.wait_for_connections(timeout=PATIENCE)
        await world.slack.command(seeds.LIVE)
        os.kill(bot.pid, number)
        assert await bot.process.wait() == 0
        log = bot.log.read_text()

    answer = await world.slack.wait_for_message(lambda message: message.ephemeral_to == ANN, timeout=PATIENCE)
    assert answer.text.startswith("Launch keynote is live")
    assert '"event": "bot_stopped"' in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("again", "status"), [(signal.SIGTERM, 0), (signal.SIGHUP, 0), (signal.SIGINT, -signal.SIGINT)]
)
async def test_repeated_sigterm_still_drains_but_a_second_ctrl_c_exits(
    world: World, again: signal.Signals, status: int
) -> None:
    world.kit.latency = 2
    environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "http")
    async with bot_process(environment) as bot:
        world.slack.request_url = f"{bot.url}/slack/events"
        await world.slack.command(seeds.LIVE)
        for number in (signal.SIGINT, again):
            os.kill(bot.pid, number)
            await until(lambda: '"event": "bot_stopping"' in bot.log.read_text())
        assert await bot.process.wait() == status
        log = bot.log.read_text()

    assert ('"event": "bot_stopped"' in log) is (status == 0)
    assert "Traceback" not in log


async def test_failed_start_reports_the_bots_log(world: World) -> None:
    environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "http")

    with pytest.raises(BotDidNotStart, match="SLACK_BOT_TOKEN is refused by Slack"):
        async with bot_process({**environment, "SLACK_BOT_TOKEN": "xoxb-another"}):
            pass
