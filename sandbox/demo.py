"""The demo as lines for a terminal: either the page in a browser, or a walk-through in the terminal itself."""

import asyncio
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

from bot.errors import ConfigurationError
from bot.uvicorn_server import listen
from bot.wording import DEFAULT_COMMAND
from sandbox import walk_through
from sandbox.bot_process import Mode
from sandbox.running import running_sandbox

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

OpenBrowser = Callable[[str], object]


async def show(
    mode: Mode = "http",
    port: int = 0,
    open_browser: OpenBrowser | None = None,
    command: str = DEFAULT_COMMAND,
) -> AsyncGenerator[str, None]:
    """Run the sandbox and its page, yield the page's address, and keep running until the generator is closed.

    Raises ConfigurationError if the port cannot be used, and BotDidNotStart.
    """
    with _listen(port) as sock:
        yield "Starting a local Slack, a local RealtimeKit and the bot ..."
        async with running_sandbox(mode, sock, command=command) as sandbox:
            yield f"The demo is at {sandbox.url} (Ctrl-C ends it)"
            if open_browser is not None:
                open_browser(sandbox.url)
            status = await sandbox.bot.ended()
            yield f"The bot has stopped with exit status {status}; the page stays open. The end of its log:"
            yield sandbox.bot.last_words()
            await asyncio.Event().wait()


async def script(mode: Mode = "http", command: str = DEFAULT_COMMAND) -> AsyncGenerator[str, None]:
    """Run the sandbox, and yield line by line the commands that Ann types and the replies that she reads.

    Then yield what a channel sees of a meeting that it follows, unless the bot has stopped.
    """
    async with running_sandbox(mode, grace_seconds=walk_through.GRACE_SECONDS, command=command) as sandbox:
        bot = f"livestream-bot {sandbox.bot.url} (process {sandbox.bot.pid})"
        yield f"Slack {sandbox.slack.base_url}, RealtimeKit {sandbox.kit_url}, {bot}"
        async for line in walk_through.questions(sandbox.slack):
            yield line
        if sandbox.bot.process.returncode is None:
            async for line in walk_through.following(sandbox.slack, sandbox.kit):
                yield line


async def tell(lines: AsyncIterator[str], say: Callable[[str], None]) -> None:
    """Pass each line to `say` until the end, or until Ctrl-C, SIGTERM or the terminal closes.

    A signal shuts the demo down cleanly. If it arrives a second time, it interrupts that.
    """

    async def telling() -> None:
        async for line in lines:
            say(line)

    task, loop = asyncio.create_task(telling(), name="demo"), asyncio.get_running_loop()
    for number in _ENDS:
        loop.add_signal_handler(number, task.cancel)
    try:
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
    finally:
        for number in _ENDS:
            loop.remove_signal_handler(number)


def browser(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> OpenBrowser | None:
    """Return a function that opens a URL in the person's browser, or None if there is no display."""
    has_display = platform in ("darwin", "win32") or bool(
        environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    )
    return _open if has_display else None


def _open(url: str) -> None:
    # Some browsers block the caller until they close; a daemon thread keeps the demo from waiting, even at its end.
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _listen(port: int) -> socket.socket:
    try:
        return listen(port=port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError([f"--port: Port {port} can't be used ({reason})."]) from None
