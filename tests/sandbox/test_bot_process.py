"""The bot in a process of its own."""

import asyncio
import os
import signal

import pytest

from sandbox import bot_process as module
from sandbox.bot_process import BotDidNotStart, Mode, bot_process, settings_for
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


def test_settings(world: World) -> None:
    """Only the way in differs between the modes."""
    http, socket = settings(world, "http"), settings(world, "socket")

    assert http.keys() - socket.keys() == {"SLACK_SIGNING_SECRET"}
    assert socket.keys() - http.keys() == {"SLACK_APP_TOKEN"}
    assert http["SLACK_API_URL"] == f"{world.slack.base_url}/api/"
    assert http["CLOUDFLARE_BASE_URL"] == f"{world.kit_url}/client/v4"


async def test_own_settings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of a real workspace do not reach it, and it ends with the block."""
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-of-a-real-workspace")
    monkeypatch.setenv("DATABASE_URL", "sqlite+aiosqlite:////real.db")
    async with bot_process(settings(world)) as bot:
        assert is_alive(bot.pid)
        await logged(bot, '"mode": "HTTP"')
        assert os.getsid(bot.pid) != os.getsid(0), "Ctrl-C in the terminal would reach it"

    assert not is_alive(bot.pid)
    assert await bot.ended() == 0


async def test_end(world: World) -> None:
    """Who waits for its end learns its exit status, and the block still ends well."""
    async with bot_process(settings(world)) as bot:
        ended = asyncio.create_task(bot.ended())
        os.kill(bot.pid, signal.SIGKILL)

        assert await ended == -signal.SIGKILL


async def test_end_in_the_last_moment(world: World) -> None:
    """A bot that ends by itself while it is about to be stopped does no harm."""
    async with bot_process(settings(world)) as bot:
        os.kill(bot.pid, signal.SIGKILL)

    assert await bot.ended() == -signal.SIGKILL


async def test_deaf(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot that does not stop when it is told to is killed."""
    monkeypatch.setattr(module, "_STOP_SECONDS", 0.01)
    async with bot_process(settings(world)) as bot:
        os.kill(bot.pid, signal.SIGSTOP)

    assert await bot.ended() == -signal.SIGKILL


async def test_last_words(world: World) -> None:
    """The last words of a bot are the end of its log."""
    async with bot_process(settings(world)) as bot:
        with bot.log.open("a") as log:
            log.write("x" * 10_000 + "é")

        assert bot.last_words() == "x" * 3_998 + "é"


async def test_not_ready_in_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot that does not get ready is given up, and what it logged is told."""
    monkeypatch.setattr(module, "_READY_SECONDS", 0.01)

    with pytest.raises(BotDidNotStart, match="It logged nothing"):
        async with bot_process(settings(world), ("-c", "import time; time.sleep(60)")):
            pass
