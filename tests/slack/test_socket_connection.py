"""One WebSocket of Socket Mode, and what a Slack may do at its other end."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.slack.socket_connection import Envelope, HandshakeError, SocketModeConnection
from bot.uvicorn_server import listen, url_of

Script = Callable[[web.WebSocketResponse], Awaitable[None]]
HELLO = json.dumps({"type": "hello", "num_connections": 1})
ENVELOPE = {"envelope_id": "e1", "type": "slash_commands", "payload": {"text": "help"}}


@contextlib.asynccontextmanager
async def slack(script: Script) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Yield a Slack that does what the script says with each WebSocket; a session, and where it is."""

    async def endpoint(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await script(websocket)
        return websocket

    app = web.Application()
    app.router.add_get("/", endpoint)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    sock = listen()
    await web.SockSite(runner, sock).start()
    async with aiohttp.ClientSession() as session:
        yield session, url_of(sock)
    await runner.cleanup()


async def acknowledge(envelope: Envelope) -> Envelope:
    return {}


async def acknowledged(
    *frames: str | bytes, handle: Callable[[Envelope], Awaitable[Envelope]] = acknowledge
) -> list[Any]:
    """Greet the bot, send these frames and an envelope, and return the first acknowledgement."""
    heard: list[Any] = []

    async def script(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str(HELLO)
        for frame in frames:
            await (websocket.send_str(frame) if isinstance(frame, str) else websocket.send_bytes(frame))
        await websocket.send_json(ENVELOPE)
        heard.append(await websocket.receive_json(timeout=15))

    async with slack(script) as (session, url):
        connection = await SocketModeConnection.open(session, url, handle)
        await connection.receive()

    assert connection.closing.is_set()
    assert not connection.is_open
    return heard


@pytest.mark.parametrize(
    "frames",
    [
        [],
        *(
            [nonsense]
            for nonsense in ("", "x", "[]", "null", "{}", '{"envelope_id": 7}', '{"envelope_id": ["a"]}', b"x")
        ),
    ],
)
async def test_envelope_is_acknowledged_also_after_a_malformed_one(frames: list[str | bytes]) -> None:
    assert await acknowledged(*frames) == [{"envelope_id": "e1"}]


async def test_unexpected_error_leaves_the_connection_open(log: Any) -> None:
    """It is logged, and the next envelope is handled."""

    async def broken_at_first(envelope: Envelope) -> Envelope:
        if envelope["envelope_id"] == "e0":
            raise RuntimeError("broken")
        return {}

    first = json.dumps({**ENVELOPE, "envelope_id": "e0"})

    assert await acknowledged(first, handle=broken_at_first) == [{"envelope_id": "e1"}]
    assert "RuntimeError" in log.getvalue()


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ('{"type": "disconnect", "reason": "too_many_websockets"}', "too_many_websockets"),
        ("hello", ""),
        ("[]", ""),
        ('{"type": "hi"}', ""),
        (None, ""),
    ],
)
async def test_connection_without_a_greeting_is_closed(first: str | None, reason: str) -> None:
    """The error has Slack's reason, if there is one."""
    closed = asyncio.Event()

    async def script(websocket: web.WebSocketResponse) -> None:
        if first is None:
            await websocket.close()
        else:
            await websocket.send_str(first)
            assert (await websocket.receive(timeout=15)).type is aiohttp.WSMsgType.CLOSE
        closed.set()

    async with slack(script) as (session, url):
        with pytest.raises(HandshakeError) as refused:
            await SocketModeConnection.open(session, url, acknowledge)
        await asyncio.wait_for(closed.wait(), 15)

    assert str(refused.value) == reason


async def test_envelopes_after_the_warning_are_handled() -> None:
    """Slack warns before it closes the connection."""
    heard: list[Any] = []
    noticed = asyncio.Event()

    async def script(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str(HELLO)
        await websocket.send_json({"type": "disconnect", "reason": "warning"})
        await noticed.wait()
        await websocket.send_json(ENVELOPE)
        heard.append(await websocket.receive_json(timeout=15))

    async with slack(script) as (session, url):
        connection = await SocketModeConnection.open(session, url, acknowledge)
        receiving = asyncio.create_task(connection.receive())
        await asyncio.wait_for(connection.closing.wait(), 15)
        assert connection.is_open
        noticed.set()
        await receiving

    assert heard == [{"envelope_id": "e1"}]


async def test_acknowledgement_on_a_closed_connection_is_logged(log: Any) -> None:
    closed = asyncio.Event()

    async def late(envelope: Envelope) -> Envelope:
        await closed.wait()
        return {}

    async def script(websocket: web.WebSocketResponse) -> None:
        await websocket.send_str(HELLO)
        await websocket.send_json(ENVELOPE)

    async with slack(script) as (session, url):
        connection = await SocketModeConnection.open(session, url, late)
        await connection.receive()
        closed.set()
        await asyncio.gather(*connection.unacknowledged)

    assert '"event": "ack_failed"' in log.getvalue()
