"""Real Chromium in front of the whole sandbox, with the real bot in a process of its own.

One browser, one sandbox and a few windows serve all tests of a run; each test has a channel of its own, and finds the
meetings as seeded and nothing broken. A test fails when a console shows an error.
"""

import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from sandbox.realtimekit import Fault as CloudflareFault
from sandbox.running import Sandbox, running_sandbox
from sandbox.slack import ANN, BEN, BOT, CHRIS, Channel, Message
from sandbox.slack import Fault as SlackFault
from tests.sandbox.page.browser.chromium import PROGRAMS, chromium, running_chromium
from tests.sandbox.page.browser.drawing import DRAWING, NOW, Drawing, serve_statics
from tests.sandbox.page.browser.tab import SIZE, TAKES, Tab

PROFILE: dict[str, Any] = {"viewport": SIZE, "locale": "en-GB", "timezone_id": "Europe/London"}

expect.set_options(timeout=TAKES)  # the default of five seconds is too short on two cores

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def real_browser() -> AsyncIterator[Browser]:
    path = chromium()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(PROGRAMS)} is on the PATH, and CHROMIUM names none")
    async with running_chromium(path) as browser:
        yield browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(real_browser: Browser) -> AsyncIterator[Sandbox]:
    async with running_sandbox() as sandbox:
        yield sandbox


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(running: Sandbox) -> Sandbox:
    """Return the sandbox with its seeded meetings, real speed, and no faults."""
    running.kit.seed()
    running.kit.fault, running.slack.fault = CloudflareFault.NONE, SlackFault.NONE
    running.kit.retry_after, running.kit.webhooks_held = 30, False
    running.clock.speed = 1
    running.slack.ack_seconds = TAKES / 1_000  # three seconds are too short for a bot on a slow machine
    return running


@dataclass(frozen=True)
class Room:
    """A channel of one test's own, with Ann, Ben, Chris and the bot, and what happens in it without a browser."""

    sandbox: Sandbox
    id: str

    def post(
        self, text: str = "Launch keynote", author: str = BOT, *, channel: str | None = None, **more: Any
    ) -> Message:
        ts = self.sandbox.slack.workspace.next_ts(self.sandbox.clock.now())
        return self.sandbox.slack.workspace.post(Message(channel or self.id, ts, author, text, **more))

    def edit(self, message: Message, *blocks: dict[str, Any]) -> None:
        edited = self.sandbox.slack.workspace.next_ts(self.sandbox.clock.now())
        self.sandbox.slack.workspace.edit(message, message.text, blocks, edited)


@pytest.fixture
def room(sandbox: Sandbox) -> Iterator[Room]:
    number = next(_numbers)
    channel = Channel(f"C0ROOM{number:05}", f"room-{number}", frozenset({ANN, BEN, CHRIS}), has_bot=True)
    yield Room(sandbox, sandbox.slack.workspace.put_channel(channel).id)
    sandbox.slack.delete_channel(channel.id)


class OpenTab(Protocol):
    """Opens a tab; with options, in a browser profile of its own."""

    def __call__(self, user: str = ..., channel: str | None = ..., **options: Any) -> Awaitable[Tab]: ...


@dataclass
class Tabs:
    """The tabs of one test. `expected` are parts of console errors that the test means to happen.

    The `windows` stay open, and the first one's page, if it is as new, serves the next test.
    """

    browser: Browser
    windows: list[Page]
    room: Room
    stack: contextlib.AsyncExitStack
    tabs: list[Tab] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    async def open(self, user: str = ANN, channel: str | None = None, **options: Any) -> Tab:
        if options:
            page = await self._window(**options)
            self.stack.push_async_callback(page.context.close)
        else:
            taken = sum(tab.page in self.windows for tab in self.tabs)
            if taken == len(self.windows):
                self.windows.append(await self._window())
            page = self.windows[taken]
        tab = Tab(page, self.room.sandbox.url)
        self.stack.push_async_callback(tab.leave, for_good=page not in self.windows[:1])
        self.tabs.append(tab)
        await tab.open(user=user, channel=channel or self.room.id)
        return tab

    async def _window(self, **options: Any) -> Page:
        """Open a window of its own: a second tab of one window would be in the background, and slow."""
        return await (await self.browser.new_context(**PROFILE | options)).new_page()

    def troubles(self) -> list[str]:
        every = [trouble for tab in self.tabs for trouble in tab.troubles]
        return [trouble for trouble in every if not any(part in trouble for part in self.expected)]


@pytest.fixture(scope="session")
def windows() -> list[Page]:
    """Return the windows that are open so far."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def tabs(real_browser: Browser, windows: list[Page], room: Room) -> AsyncIterator[Tabs]:
    async with contextlib.AsyncExitStack() as stack:
        tabs = Tabs(real_browser, windows, room, stack)
        yield tabs
        assert tabs.troubles() == []


@pytest.fixture
def open_tab(tabs: Tabs) -> OpenTab:
    """Return a function that opens a tab as a person; by default as Ann, in the test's own channel."""
    return tabs.open


@pytest_asyncio.fixture(loop_scope="session")
async def tab(tabs: Tabs) -> Tab:
    """Ann's tab, in the test's own channel."""
    return await tabs.open()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def drawing_page(real_browser: Browser) -> AsyncIterator[Page]:
    """Yield an empty page with the modules of the real one, and no server behind it."""
    page = await real_browser.new_page(**PROFILE)
    await page.route("http://drawing.test/**", serve_statics)
    await page.goto("http://drawing.test/")
    await page.evaluate(DRAWING, NOW)
    yield page
    await page.close()


@pytest_asyncio.fixture(loop_scope="session")
async def drawing(drawing_page: Page) -> AsyncIterator[Drawing]:
    """Yield a place to draw blocks and mrkdwn in; fails the test on any console error."""
    troubles: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            troubles.append(message.text)

    drawing_page.on("console", note)
    yield Drawing(drawing_page)
    drawing_page.remove_listener("console", note)
    assert troubles == []
