"""The demo: one command starts everything, Ctrl-C ends it."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.errors import ConfigurationError
from sandbox import walk_through
from sandbox.__main__ import main
from sandbox.bot_process import Mode
from sandbox.demo import browser, script, show, tell
from sandbox.realtimekit import SEEDS, seeds
from sandbox.running import Sandbox, running_sandbox
from sandbox.slack import ANN, GENERAL
from tests.sandbox.conftest import logged

PROGRAM = """
import asyncio
from sandbox.demo import show, tell
asyncio.run(tell(show(), lambda line: print(line, flush=True)))
"""


@pytest.mark.parametrize("mode", ["http", "socket"])
async def test_page_shows_the_bots_answer_and_its_death(mode: Mode) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(running_sandbox(mode))
        session = await stack.enter_async_context(aiohttp.ClientSession(sandbox.url))
        stream = await stack.enter_async_context(session.get("/api/stream"))
        body = {"user": ANN, "channel": GENERAL, "text": f"/livestream {seeds.LIVE}"}
        async with session.post("/api/messages", json=body) as response:
            assert await response.json() == {"outcome": "ok"}
        await _line_with(stream, "Launch keynote is live")

        os.kill(sandbox.bot.pid, signal.SIGKILL)
        line = await _line_with(stream, "bot_changed")
    assert f'"mode": "{mode}"' in line
    assert '"running": false' in line


async def _line_with(stream: aiohttp.ClientResponse, text: str) -> str:
    async with asyncio.timeout(30):
        while text not in (line := (await stream.content.readline()).decode()):
            assert line, f"the stream ended without {text}"
        return line


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Sandbox]:
    """The sandboxes that the demo starts."""
    sandboxes: list[Sandbox] = []

    @contextlib.asynccontextmanager
    async def recording(*arguments: Any, **options: Any) -> AsyncIterator[Sandbox]:
        async with running_sandbox(*arguments, **options) as sandbox:
            sandboxes.append(sandbox)
            yield sandbox

    monkeypatch.setattr("sandbox.demo.running_sandbox", recording)
    return sandboxes


async def test_show_reports_the_address_and_continues_when_the_bot_dies(started: list[Sandbox]) -> None:
    opened: list[str] = []
    lines = show(open_browser=opened.append)
    assert await anext(lines) == "Starting a local Slack, a local RealtimeKit and the bot ..."
    address = await anext(lines)
    [sandbox] = started
    assert address == f"The demo is at {sandbox.url} (Ctrl-C ends it)"
    await logged(sandbox.bot, '"event": "bot_started"')

    os.kill(sandbox.bot.pid, signal.SIGKILL)

    assert await anext(lines) == "The bot has stopped with exit status -9; the page stays open. The end of its log:"
    assert opened == [sandbox.url]
    assert '"event": "bot_started"' in await anext(lines)
    more = asyncio.ensure_future(anext(lines))
    async with aiohttp.ClientSession() as session, session.get(f"{sandbox.url}/api/state") as response:
        assert (await response.json())["bot"]["running"] is False
    assert not more.done()
    more.cancel()
    with pytest.raises(asyncio.CancelledError):
        await more


async def test_page_uses_the_given_port_or_reports_why_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            await anext(show(port=port))
        assert caught.value.mistakes == [f"--port: Port {port} can't be used (Address already in use)."]
    with pytest.raises(ConfigurationError, match=r"--port: Port 70000 can't be used"):
        await anext(show(port=70_000))

    lines = show(port=port)
    assert await anext(lines)
    assert f"http://127.0.0.1:{port} " in await anext(lines)
    await lines.aclose()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signal_ends_the_demo_silently_with_a_page_open(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.readline()
    [url] = re.findall(r"http://\S+", (await process.stdout.readline()).decode())
    async with asyncio.timeout(30), aiohttp.ClientSession(url) as session:
        async with session.get("/api/state") as response:
            bot = (await response.json())["bot"]["url"]
        async with session.get("/api/stream") as stream:
            process.send_signal(number)
            await stream.content.read()
        assert await process.wait() == 0
        for gone in (url, bot):
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{gone}/healthz")
    assert await process.stderr.read() == b""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "99999"], "Give a port from 0 to 65535."),
        (["--port", "-1"], "Give a port from 0 to 65535."),
        (["--port", "x"], "Give a port from 0 to 65535."),
        (["--mode", "both"], "Give socket or http."),
    ],
)
def test_wrong_argument_names_the_valid_values(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments)

    assert exited.value.code == 2
    assert sentence in capsys.readouterr().err


async def test_slack_command_setting_renames_the_command_everywhere() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "--no-open"),
        env={**os.environ, "SLACK_COMMAND": "/broadcast"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    [url] = re.findall(r"http://\S+", (await process.stdout.readline()).decode())
    try:
        async with contextlib.AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession(url))
            stream = await stack.enter_async_context(session.get("/api/stream"))
            async with session.get("/api/state") as response:
                offered = (await response.json())["command"]["name"]
            outcomes = []
            for text in ("/broadcast help", "/livestream help"):
                body = {"user": ANN, "channel": GENERAL, "text": text}
                async with session.post("/api/messages", json=body) as response:
                    outcomes.append((await response.json())["outcome"])
            await _line_with(stream, "/broadcast follow")
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()

    assert offered == "/broadcast"
    assert outcomes == ["ok", "unknown_command"]


async def test_tell_prints_lines_and_raises_their_error() -> None:
    async def lines() -> AsyncIterator[str]:
        yield "one"
        raise ConfigurationError(["two"])

    printed: list[str] = []
    with pytest.raises(ConfigurationError):
        await tell(lines(), printed.append)

    assert printed == ["one"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("environment", "platform", "opens"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ""}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_browser_is_opened_only_with_a_display(environment: dict[str, str], platform: str, opens: bool) -> None:
    assert (browser(environment, platform) is not None) is opens


def test_blocking_browser_does_not_block_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, may_end = threading.Event(), threading.Event()

    def hold_up(url: str) -> None:
        assert url == "http://127.0.0.1:1"
        opened.set()
        may_end.wait(15)

    monkeypatch.setattr(webbrowser, "open", hold_up)
    open_browser = browser({"DISPLAY": ":0"}, "linux")
    assert open_browser is not None
    open_browser("http://127.0.0.1:1")

    assert opened.wait(15)
    may_end.set()


@pytest.mark.parametrize("mode", ["http", "socket"])
async def test_walk_through_looks_up_every_seed_and_follows_one_to_its_end(
    mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drop in between is not announced."""
    # With a grace period of five seconds, three are over when the card may show the drop.
    monkeypatch.setattr(walk_through, "GRACE_SECONDS", 10)
    monkeypatch.setattr(walk_through, "_PATIENCE", 30)
    lines = [line async for line in script(mode)]

    for seed in SEEDS:
        assert lines[lines.index(f"# {seed.about}") + 1] == f"Ann: /livestream {seed.id}"
        assert lines[lines.index(f"# {seed.about}") + 2].startswith("    ")
    assert "    🔴 Live · started " in "\n".join(lines)
    assert not any("(" + word in line for word in ("operation_timeout", "dispatch_failed") for line in lines)
    story = lines[lines.index(f"Ann: /livestream follow {seeds.NEVER_LIVE}") :]
    announcements = [line.split("Hiring committee ")[1] for line in story if "↳" in line]
    assert [line.partition(". ")[0] for line in announcements] == ["is starting.", "is live.", "has ended"]
    shown = [line.split()[1] for line in story if line.startswith(("    ⚪", "    🟡", "    🔴", "    ✅"))]
    assert shown == ["Not", "Live", "Reconnecting", "Live", "Ended"]
    assert "# No arguments: shows the help" in lines
    assert lines[-1] == "Done. `make demo` opens the page."


async def test_walk_through_shows_the_error_when_the_bot_dies(started: list[Sandbox]) -> None:
    lines = script()
    await anext(lines)
    os.kill(started[0].bot.pid, signal.SIGKILL)
    await started[0].bot.ended()

    more = [line async for line in lines]
    assert more[2:5] == ["Ann: /livestream", "    (dispatch_failed)", ""]
    assert not any("follow" in line for line in more)
