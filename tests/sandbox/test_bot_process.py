"""The bot in a process of its own."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from sandbox import bot_process as module
from sandbox.bot_process import BotDidNotStart, BotProcess, Mode, bot_process, settings_for
from tests.conftest import World
from tests.sandbox.conftest import logged


def settings(world: World, mode: Mode = "http") -> dict[str, str]:
    return settings_for(world.slack, world.slack.base_url, world.kit, world.kit_url, mode)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_settings_of_the_modes_differ_only_in_their_secret(world: World) -> None:
    http, socket = settings(world, "http"), settings(world, "socket")

    assert http.keys() - socket.keys() == {"SLACK_SIGNING_SECRET"}
    assert socket.keys() - http.keys() == {"SLACK_APP_TOKEN"}
    assert http["SLACK_API_URL"] == f"{world.slack.base_url}/api/"
    assert http["CLOUDFLARE_BASE_URL"] == f"{world.kit_url}/client/v4"


async def test_process_ignores_real_settings_and_ends_with_the_block(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-of-a-real-workspace")
    monkeypatch.setenv("DATABASE_URL", "sqlite+aiosqlite:////real.db")
    async with bot_process(settings(world)) as bot:
        assert is_alive(bot.pid)
        await logged(bot, '"mode": "HTTP"')
        assert os.getsid(bot.pid) != os.getsid(0), "Ctrl-C in the terminal would reach it"

    assert not is_alive(bot.pid)
    assert await bot.ended() == 0


async def test_block_ends_when_the_bot_has_just_exited(world: World) -> None:
    async with bot_process(settings(world)) as bot:
        ended = asyncio.create_task(bot.ended())
        os.kill(bot.pid, signal.SIGKILL)

    assert await ended == await bot.ended() == -signal.SIGKILL


async def test_bot_that_does_not_stop_is_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.01)
    async with bot_process(settings(world)) as bot:
        os.kill(bot.pid, signal.SIGSTOP)

    assert await bot.ended() == -signal.SIGKILL


def test_last_words_are_the_end_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "bot.log"
    log.write_text("x" * 10_000 + "é")

    assert BotProcess("http://127.0.0.1:1", log, process=None).last_words() == "x" * 3_998 + "é"  # type: ignore[arg-type]


async def test_bot_that_is_not_ready_in_time_is_an_error_with_its_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_READY_SECONDS", 0.01)

    with pytest.raises(BotDidNotStart, match="It logged nothing"):
        async with bot_process(settings(world), ("-c", "import time; time.sleep(60)")):
            pass
