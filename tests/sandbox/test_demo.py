"""The demo: one command starts everything, Ctrl-C ends it."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.errors import ConfigurationError
from bot.uvicorn_server import listen
from sandbox import walk_through
from sandbox.__main__ import main
from sandbox.bot_process import below_the_usual
from sandbox.demo import browser, script, show, tell
from sandbox.realtimekit import SEEDS, seeds
from sandbox.running import Sandbox, running_sandbox
from sandbox.slack import ANN, GENERAL


async def send(session: aiohttp.ClientSession, text: str) -> str:
    """Type a text on the page; return the outcome."""
    body = {"user": ANN, "channel": GENERAL, "text": text}
    async with session.post("/api/messages", json=body) as response:
        return str((await response.json())["outcome"])


async def line_with(stream: aiohttp.ClientResponse, text: str) -> str:
    async with asyncio.timeout(30):
        while text not in (line := (await stream.content.readline()).decode()):
            assert line, f"the stream ended without {text}"
        return line


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Sandbox]:
    """Return the sandboxes that the demo starts."""
    sandboxes: list[Sandbox] = []

    @contextlib.asynccontextmanager
    async def recording(*arguments: Any, **options: Any) -> AsyncIterator[Sandbox]:
        async with running_sandbox(*arguments, **options) as sandbox:
            sandboxes.append(sandbox)
            yield sandbox

    monkeypatch.setattr("sandbox.demo.running_sandbox", recording)
    return sandboxes


async def test_page_shows_the_bots_answer_and_its_death_and_stays_open(started: list[Sandbox]) -> None:
    opened: list[str] = []
    lines = show(open_browser=opened.append)
    assert await anext(lines) == "Starting a local Slack, a local RealtimeKit and the bot ..."
    address = await anext(lines)
    [sandbox] = started
    assert address == f"The demo is at {sandbox.url} (Ctrl-C ends it)"
    more = asyncio.ensure_future(anext(lines))

    async with aiohttp.ClientSession(sandbox.url) as session:
        async with session.get("/api/stream") as stream:
            assert await send(session, f"/livestream {seeds.LIVE}") == "ok"
            await line_with(stream, "Launch keynote is live")
            os.kill(sandbox.bot.pid, signal.SIGKILL)
            changed = await line_with(stream, "bot_changed")
        assert await more == "The bot has stopped with exit status -9; the page stays open. The end of its log:"
        assert await anext(lines) == sandbox.bot.last_words() != ""
        more = asyncio.ensure_future(anext(lines))
        async with session.get("/api/state") as response:
            bot = (await response.json())["bot"]

    assert opened == [sandbox.url]
    assert bot == {"mode": "http", "url": sandbox.bot.url, "running": False}
    assert '"running": false' in changed
    assert not more.done()
    more.cancel()
    with pytest.raises(asyncio.CancelledError):
        await more


async def test_page_names_a_port_that_cannot_be_used() -> None:
    with listen() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            await anext(show(port=port))
        assert caught.value.mistakes == [f"--port: Port {port} can't be used (Address already in use)."]
    with pytest.raises(ConfigurationError, match=r"--port: Port 70000 can't be used"):
        await anext(show(port=70_000))


async def test_ctrl_c_ends_the_demo_silently_with_a_page_open() -> None:
    """It has the port and the command's name that were asked for."""
    with below_the_usual() as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox", "--no-open", "--port", str(port)),
        env={**os.environ, "SLACK_COMMAND": "/broadcast"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    url = f"http://127.0.0.1:{port}"
    assert (await process.stdout.readline()).decode() == f"The demo is at {url} (Ctrl-C ends it)\n"
    async with asyncio.timeout(30), aiohttp.ClientSession(url) as session:
        async with session.get("/api/state") as response:
            state = await response.json()
        async with session.get("/api/stream") as stream:
            assert [await send(session, f"{name} help") for name in ("/broadcast", "/livestream")] == [
                "ok",
                "unknown_command",
            ]
            await line_with(stream, "/broadcast follow")
            process.send_signal(signal.SIGINT)
            await stream.content.read()
        assert await process.communicate() == (b"", b"")
        assert process.returncode == 0
        for gone in (url, state["bot"]["url"]):
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{gone}/healthz")

    assert state["command"]["name"] == "/broadcast"


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


async def test_tell_passes_lines_on_until_an_error_or_a_signal() -> None:
    """Afterwards, signals have their usual effect."""

    async def lines() -> AsyncIterator[str]:
        yield "one"
        raise ConfigurationError(["two"])

    async def endless() -> AsyncIterator[str]:
        yield "one"
        await asyncio.Event().wait()

    printed: list[str] = []
    with pytest.raises(ConfigurationError):
        await tell(lines(), printed.append)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        async with asyncio.timeout(15):
            await tell(endless(), lambda _, number=number: os.kill(os.getpid(), number))  # type: ignore[misc]

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


async def test_walk_through_looks_up_every_seed_and_follows_one_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over Socket Mode. The drop in between is not announced."""
    # With a grace period of five seconds, three are over when the card may show the drop.
    monkeypatch.setattr(walk_through, "GRACE_SECONDS", 10)
    monkeypatch.setattr(walk_through, "_PATIENCE", 30)
    lines = [line async for line in script("socket")]

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
