"""Socket Mode: Bolt's own handler on the sandbox's WebSockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import ANN, APP_TOKEN, BOT_TOKEN, GENERAL, Delivery, EventKind, Message, Outcome, Slack
from sandbox.slack.watching import first


@contextlib.asynccontextmanager
async def bolt(slack: Slack, session: aiohttp.ClientSession) -> AsyncIterator[AsyncApp]:
    """Yield a Bolt app that is connected over Socket Mode."""
    app = AsyncApp(client=AsyncWebClient(BOT_TOKEN, base_url=slack.api_url, session=session, retry_handlers=[]))
    handler = AsyncSocketModeHandler(app, APP_TOKEN, web_client=app.client)
    connected = slack.connections
    await handler.connect_async()  # type: ignore[no-untyped-call]
    await slack.wait_for_connections(connected + 1)
    try:
        yield app
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


async def websocket_url(slack: Slack, session: aiohttp.ClientSession) -> str:
    client = AsyncWebClient(base_url=slack.api_url, session=session)
    return str((await client.apps_connections_open(app_token=APP_TOKEN))["url"])


@contextlib.asynccontextmanager
async def raw_socket(slack: Slack, session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Yield a bare WebSocket, after its hello."""
    connected = slack.connections
    async with session.ws_connect(await websocket_url(slack, session)) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        await first(slack.events, lambda: slack.connections > connected or None, 30)
        yield socket


def answering(seen: list[Any], name: Any) -> Callable[..., Awaitable[None]]:
    async def answer(ack: Any) -> None:
        await ack()
        seen.append(name)

    return answer


async def test_command_and_its_acknowledgement_use_the_websocket(slack: Slack, session: aiohttp.ClientSession) -> None:
    async with bolt(slack, session) as app:

        @app.command("/livestream")
        async def answer(ack: Any, command: Any, say: Any) -> None:
            await ack(f"looking for {command['text']}")
            await say("found")

        delivery = await slack.command("m1")
        await slack.wait_for_message(lambda message: message.text == "found")

    assert (delivery.outcome, delivery.status) == (Outcome.OK, None)
    assert "looking for m1" in [message.text for message in slack.messages(GENERAL, ANN)]


async def test_clicks_shortcuts_and_events_use_the_websocket(slack: Slack, session: aiohttp.ClientSession) -> None:
    seen: list[str] = []
    button = {"type": "button", "action_id": "watch", "text": {"type": "plain_text", "text": "Watch"}}
    row = {"type": "actions", "block_id": "row", "elements": [button]}
    message = slack.workspace.post(Message(GENERAL, "1.000000", ANN, "card", (row,)))
    async with bolt(slack, session) as app:

        @app.action("watch")
        @app.message_shortcut("follow_this")
        async def acted(ack: Any, body: Any) -> None:
            await ack()
            seen.append(body["type"])

        @app.event("app_home_opened")
        async def opened(event: Any) -> None:
            seen.append(event["type"])

        deliveries = [
            await slack.click(message, "watch"),
            await slack.shortcut(message, "follow_this"),
            await slack.event({"type": "app_home_opened", "user": ANN, "tab": "home"}),
        ]

    assert all(delivery.acked for delivery in deliveries)
    assert seen == ["block_actions", "message_action", "app_home_opened"]


async def test_command_without_a_listener_times_out(slack: Slack, session: aiohttp.ClientSession) -> None:
    """Bolt does not acknowledge it."""
    async with bolt(slack, session):
        pending = asyncio.create_task(slack.command("m1"))
        while not pending.done():
            await asyncio.sleep(0)
            slack.clock.advance(0.1)

    assert pending.result().outcome is Outcome.OPERATION_TIMEOUT
    assert slack.messages(GENERAL, ANN)[0].text == '/livestream failed with the error "operation_timeout"'


async def test_command_without_a_connection_fails_at_once(slack: Slack) -> None:
    assert (await slack.command("m1")).outcome is Outcome.DISPATCH_FAILED


async def test_payloads_are_distributed_round_robin(slack: Slack, session: aiohttp.ClientSession) -> None:
    seen: list[int] = []
    async with contextlib.AsyncExitStack() as stack:
        for replica in range(2):
            app = await stack.enter_async_context(bolt(slack, session))
            app.command("/livestream")(answering(seen, replica))
        assert slack.connections == 2
        for _ in range(4):
            await slack.command("m1")

    assert sorted(seen) == [0, 0, 1, 1]


async def test_envelope_is_acknowledged_only_by_its_id(slack: Slack, session: aiohttp.ClientSession) -> None:
    async with raw_socket(slack, session) as socket:
        pending = asyncio.create_task(slack.command("m1"))
        envelope = await socket.receive_json()
        await socket.send_str("no JSON")
        await socket.send_json(["no object"])
        await socket.send_json({"envelope_id": "another"})
        await socket.send_json({"envelope_id": envelope["envelope_id"], "payload": {"text": "hello"}})
        delivery = await pending

    assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
    assert envelope["payload"]["text"] == "m1"
    assert delivery.body == {"text": "hello"}


async def test_lost_connection_fails_its_pending_envelope(slack: Slack, session: aiohttp.ClientSession) -> None:
    async with raw_socket(slack, session) as socket:
        pending = asyncio.create_task(slack.command("m1"))
        await socket.receive_json()

    assert (await pending).outcome is Outcome.DISPATCH_FAILED
    assert slack.connections == 0


async def test_bot_reconnects_when_asked_to_refresh(slack: Slack, session: aiohttp.ClientSession) -> None:
    seen: list[str] = []
    async with bolt(slack, session) as app:
        app.command("/livestream")(answering(seen, "after"))
        await slack.disconnect("refresh_requested")
        await slack.wait_for_connections()

        assert (await slack.command("m1")).acked

    assert seen == ["after"]


async def test_draining_connection_may_acknowledge_and_serves_until_replaced(
    slack: Slack, session: aiohttp.ClientSession
) -> None:
    async def acknowledged(by: aiohttp.ClientWebSocketResponse, pending: asyncio.Task[Delivery]) -> bool:
        await by.send_json({"envelope_id": (await by.receive_json())["envelope_id"]})
        return (await pending).acked

    async with raw_socket(slack, session) as old:
        pending = asyncio.create_task(slack.command("m1"))
        envelope = await old.receive_json()
        await slack.disconnect("warning")
        assert (await old.receive_json())["reason"] == "warning"

        assert await acknowledged(old, asyncio.create_task(slack.command("m2")))
        async with raw_socket(slack, session) as new:
            assert await acknowledged(new, asyncio.create_task(slack.command("m3")))
            assert await acknowledged(new, asyncio.create_task(slack.command("m4")))
        await old.send_json({"envelope_id": envelope["envelope_id"]})
        assert (await pending).acked


async def test_disabled_socket_mode_closes_the_connection(slack: Slack, session: aiohttp.ClientSession) -> None:
    async with raw_socket(slack, session) as socket:
        await slack.disconnect("link_disabled")

        assert (await socket.receive_json())["reason"] == "link_disabled"
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_websocket_url_works_once_and_expires(slack: Slack, session: aiohttp.ClientSession) -> None:
    used, stale = [await websocket_url(slack, session) for _ in range(2)]
    await (await session.ws_connect(used)).close()

    async def refused(url: str) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)

    await refused(used)
    slack.clock.advance(31)
    await refused(stale)
    await refused(slack.base_url + "/socket/invented")


async def test_eleventh_connection_is_rejected(slack: Slack, session: aiohttp.ClientSession) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(10):
            await stack.enter_async_context(raw_socket(slack, session))
        eleventh = await stack.enter_async_context(session.ws_connect(await websocket_url(slack, session)))

        assert (await eleventh.receive_json())["reason"] == "too_many_websockets"
        assert slack.connections == 10


async def test_ping_is_answered_with_its_payload(slack: Slack, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(await websocket_url(slack, session), autoping=False) as socket:
        await socket.receive()
        await socket.ping(b"sdk-ping-pong:1")

        pong = await socket.receive()

    assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"sdk-ping-pong:1")


async def test_observers_get_the_number_of_connections(slack: Slack, session: aiohttp.ClientSession) -> None:
    counts: list[Any] = []
    slack.events.subscribe(
        lambda event: counts.append(event.to_dict()) if event.kind is EventKind.CONNECTIONS_CHANGED else None
    )
    async with raw_socket(slack, session):
        pass
    await first(slack.events, lambda: counts[1:] or None, 30)

    assert [count["subject"]["open"] for count in counts] == [1, 0]
