"""Socket Mode with a Slack that does not keep its connections: how often the bot comes back. Over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.errors import ConfigurationError
from bot.metrics import Metrics
from bot.slack.api_client import SlackClient
from bot.slack.socket_mode import SocketMode, Timing
from bot.uvicorn_server import listen, url_of
from tests.conftest import PATIENCE

Script = Callable[["Slack", web.WebSocketResponse], Awaitable[None]]
PAUSES = 8
"""After so many the bot's clock stands still, and with it the bot."""


@dataclass
class Slack:
    """Does what the script says with each WebSocket, and gives out addresses as long as `refusal` is None."""

    script: Script
    refusal: dict[str, Any] | None = None
    pongs: bool = True
    url: str = ""
    asked: int = 0
    opened: int = 0
    open: int = 0
    most_open: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def connections_open(self, request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response(self.refusal or {"ok": True, "url": f"{self.url}/socket"})

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(autoping=self.pongs)
        await websocket.prepare(request)
        self.opened += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self.script(self, websocket)
        finally:
            self.open -= 1
        return websocket

    async def until_closed(self, websocket: web.WebSocketResponse) -> None:
        """Keep a WebSocket until the bot closes it, or the test is over."""
        reading = asyncio.create_task(websocket.receive())
        over = asyncio.create_task(self.stop.wait())
        await asyncio.wait({reading, over}, return_when=asyncio.FIRST_COMPLETED)
        reading.cancel()
        over.cancel()


@dataclass
class Time:
    """The bot's clock: it moves when the bot waits, and by `each` while a connection is open."""

    moment: float = 0.0
    pauses: list[float] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> float:
        return self.moment

    def monotonic(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.moment += seconds
        if len(self.pauses) >= PAUSES:
            self.enough.set()
            await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def bot(slack: Slack, time: Time, timing: Timing | None = None) -> AsyncIterator[SocketMode]:
    """Yield the bot's Socket Mode, started."""
    app = web.Application()
    app.router.add_post("/api/apps.connections.open", slack.connections_open)
    app.router.add_get("/socket", slack.socket)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    sock = listen()
    await web.SockSite(runner, sock).start()
    slack.url = url_of(sock)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client = SlackClient(token="xoxb-1", base_url=f"{slack.url}/api/", session=session, metrics=Metrics())
        anything: Any = None  # no envelope comes
        mode = SocketMode(anything, "xapp-1", client, session, time, timing)
        try:
            await mode.start()
            yield mode
        finally:
            slack.stop.set()
            await mode.stop()


HELLO = {"type": "hello", "num_connections": 1}
SWITCHED_OFF = "link_disabled (Socket Mode was switched off on the app's page)"
TOO_MANY = "too_many_websockets (the app has as many connections open as Slack allows, 10)"


def parting(reason: str) -> dict[str, Any]:
    return {"type": "disconnect", "reason": reason}


def script(*frames: dict[str, Any], then: str = "close") -> Script:
    """Send these frames, then close the connection, abort it, or keep it."""

    async def run(slack: Slack, websocket: web.WebSocketResponse) -> None:
        for frame in frames:
            await websocket.send_json(frame)
        if then == "keep":
            await slack.until_closed(websocket)
        elif then == "abort":
            transport = websocket._req.transport  # type: ignore[union-attr]
            assert transport is not None
            transport.abort()
        else:
            await websocket.close()

    return run


KEPT_OPEN = script(HELLO, parting("refresh_requested"), then="keep")
"""As Slack does for ten seconds."""


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        pytest.param(script(HELLO), None, id="closed"),
        pytest.param(script(HELLO, then="abort"), None, id="aborted"),
        pytest.param(KEPT_OPEN, None, id="announced"),
        pytest.param(script(HELLO, parting("link_disabled")), SWITCHED_OFF, id="switched off"),
        pytest.param(script(parting("too_many_websockets")), TOO_MANY, id="too many"),
        pytest.param(script(), "Slack did not greet it", id="not greeted"),
    ],
)
async def test_connections_that_do_not_last_are_replaced_more_and_more_slowly(ending: Script, why: str | None) -> None:
    """Each attempt waits about twice as long as the one before, never in step with others. /readyz has the reason."""
    slack, time = Slack(ending), Time()
    async with bot(slack, time) as mode:
        await asyncio.wait_for(time.enough.wait(), PATIENCE)

        assert slack.opened == PAUSES
        parts = [pause / longest for pause, longest in zip(time.pauses, [1, 2, 4, 8, 16, 32, 60, 60], strict=True)]
        assert all(0.5 <= part <= 1 for part in parts)
        assert len(set(parts)) > 1
        if why:
            assert await mode.problem() == f"There is no Socket Mode connection to Slack: {why}."


async def test_refused_addresses_are_asked_for_more_and_more_slowly() -> None:
    """A Slack that gives out no address, after a good start, gets no more requests for it."""

    async def closes_and_refuses(slack: Slack, websocket: web.WebSocketResponse) -> None:
        slack.refusal = {"ok": False, "error": "internal_error"}
        await websocket.close()

    slack, time = Slack(closes_and_refuses), Time()
    async with bot(slack, time) as mode:
        await asyncio.wait_for(time.enough.wait(), PATIENCE)

        assert slack.asked == PAUSES
        assert sum(time.pauses) > 60
        assert await mode.problem() == "There is no Socket Mode connection to Slack: internal_error."


async def test_few_connections_are_open_at_a_time() -> None:
    """A Slack that announces the end of each connection and closes none never has more than five of one bot."""
    slack, time = Slack(KEPT_OPEN), Time()
    async with bot(slack, time, Timing(retire_after=3600)):
        await asyncio.wait_for(time.enough.wait(), PATIENCE)

        assert slack.opened == PAUSES
        assert slack.most_open <= 5


async def test_connection_that_lasted_is_replaced_at_once() -> None:
    """Where a connection has lasted for a minute, no pause comes before the next one."""
    second = asyncio.Event()
    time = Time()

    async def lasts(slack: Slack, websocket: web.WebSocketResponse) -> None:
        await websocket.send_json(HELLO)
        if slack.opened == 1:
            time.moment += 60
            await websocket.send_json(parting("warning"))
        else:
            second.set()
        await slack.until_closed(websocket)

    async with bot(Slack(lasts), time) as mode:
        await asyncio.wait_for(second.wait(), PATIENCE)

        assert time.pauses == []
        assert await mode.problem() is None


async def test_lifetime_of_a_connection_shortens_the_pause() -> None:
    """Attempts begin a pause apart: a connection that lasted longer than the pause leaves none to wait for."""
    time = Time()

    async def lasts_a_little(slack: Slack, websocket: web.WebSocketResponse) -> None:
        await websocket.send_json(HELLO)
        time.moment += 10
        await websocket.close()

    async with bot(Slack(lasts_a_little), time):
        await asyncio.wait_for(time.enough.wait(), PATIENCE)

        assert time.pauses[:4] == [0, 0, 0, 0]
        assert 20 <= time.pauses[-1] <= 50


async def test_silent_connection_is_replaced() -> None:
    """A connection whose other end is gone, as after a night's sleep, is replaced."""
    second = asyncio.Event()

    async def says_nothing_more(slack: Slack, websocket: web.WebSocketResponse) -> None:
        await websocket.send_json(HELLO)
        if slack.opened > 1:
            slack.pongs = True
            second.set()
        await slack.stop.wait()

    slack, time = Slack(says_nothing_more, pongs=False), Time()
    async with bot(slack, time, Timing(heartbeat=0.1)):
        await asyncio.wait_for(second.wait(), PATIENCE)


async def test_refused_token_ends_the_start() -> None:
    """A token that Slack refuses for good is said at the start, and no connection is tried."""
    slack = Slack(script(), refusal={"ok": False, "error": "not_allowed_token_type"})
    with pytest.raises(ConfigurationError, match="not_allowed_token_type"):
        async with bot(slack, Time()):
            pass

    assert slack.opened == 0
