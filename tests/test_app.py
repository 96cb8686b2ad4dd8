"""The bot as a whole: how it starts, and how it stops."""

import asyncio
import gc
import os
import signal
import socket
import sys
from pathlib import Path

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


async def test_answers_in_flight_survive_the_stop(world: World) -> None:
    """What was asked before the stop is answered before it ends."""
    world.kit.latency = 0.3
    async with world.bot():
        await world.slack.command(seeds.LIVE)

    [answer] = world.slack.messages("C0GENERAL01", ANN)
    assert answer.text.startswith("Launch keynote is live")


async def test_a_hanging_answer_does_not_hold_up_the_stop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not end within the deadline is cut off, and that is logged."""
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0.1)
    world.kit.latency = 60
    async with world.bot():
        await world.slack.command(seeds.LIVE)

    assert (await world.logged("drain_timed_out"))["requests"] == 1


async def test_a_hanging_cloudflare_holds_up_no_other_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for help gets it, though every lookup hangs and others wait for their turn."""
    monkeypatch.setattr("bot.app.ConcurrencyLimit", lambda: ConcurrencyLimit(limit=1))
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0.1)
    world.kit.latency = 60
    async with world.bot():
        for _ in range(3):
            await world.slack.command(seeds.LIVE)
        answer = await world.ask("help")

    assert "/livestream" in answer.text


async def test_no_proxy_is_searched_for(world: World, mocker: MockerFixture) -> None:
    """Bolt makes a client for each request, which searches the environment for a proxy where it has none."""
    searched = mocker.spy(async_base_client, "load_http_proxy_from_env")
    async with world.bot():
        searched.reset_mock()
        await world.ask(seeds.LIVE)

    assert searched.call_count == 0


def test_what_stays_is_not_collected() -> None:
    """The garbage collector passes over what the start has made, and comes less often."""
    thresholds = gc.get_threshold()
    try:
        tune_gc()

        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > thresholds[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


async def test_address_in_use(world: World) -> None:
    """A port that is taken is told in a sentence."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = world.settings(port=taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match=r"^Port \d+ is already in use\."):
            async with running(settings):
                pass


async def test_address_of_another_machine(world: World) -> None:
    """A HOST that is not here is told in a sentence."""
    with pytest.raises(ConfigurationError, match=r"^HOST 192\.0\.2\.1 is not an address of this machine"):
        async with running(world.settings(host="192.0.2.1")):
            pass


@pytest.mark.parametrize(("mode", "said"), [("http", "HTTP"), ("socket", "Socket Mode")])
async def test_the_first_line(world: World, mode: Mode, said: str) -> None:
    """The log says what runs, where it is connected to, how, and on which database."""
    async with world.bot(mode):
        line = await world.logged("bot_started")

    address = world.bot_url.removeprefix("http://")
    assert line["summary"] == f"livestream-bot {__version__} connected to Sandbox as @livestream ({said}, {address})"
    assert line["database"] == "sqlite"


async def test_other_slack_variables_do_no_harm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bolt's own environment variables, with which it would drop the token in silence, change nothing."""
    monkeypatch.setenv("SLACK_CLIENT_ID", "1.2")
    monkeypatch.setenv("SLACK_CLIENT_SECRET", "shh")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-from-the-environment")
    async with world.bot():
        answer = await world.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")


@pytest.mark.parametrize("mode", ["http", "socket"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_process(world: World, mode: Mode, number: signal.Signals) -> None:
    """The real process answers, finishes what runs when it is told to stop, and exits with 0."""
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
async def test_told_to_stop_twice(world: World, again: signal.Signals, status: int) -> None:
    """A supervisor that repeats itself cuts nothing off; a second Ctrl-C does not wait for what runs."""
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


async def test_process_with_mistakes(tmp_path: Path) -> None:
    """Missing settings are told all at once, a sentence each, with exit status 2 and no traceback."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "run", cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()

    lines = errors.decode().splitlines()
    assert process.returncode == 2
    assert [line.split()[0] for line in lines] == [
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
        "CLOUDFLARE_API_TOKEN",
        "CLOUDFLARE_ACCOUNT_ID",
        "REALTIMEKIT_APP_ID",
    ]


async def test_process_that_does_not_start(world: World) -> None:
    """The sandbox tells what a bot logged that did not start."""
    environment = settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, "http")

    with pytest.raises(BotDidNotStart, match="SLACK_BOT_TOKEN is refused by Slack"):
        async with bot_process({**environment, "SLACK_BOT_TOKEN": "xoxb-another"}):
            pass
