"""HTTP mode: a real Bolt app that verifies signatures, behind the sandbox's Slack."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot.uvicorn_server import listen
from sandbox.slack import ANN, BACKSTAGE, BEN, GENERAL, SIGNING_SECRET, SLACKBOT, Direction, Message, Outcome, Slack
from tests.sandbox.conftest import request_url

WATCH = {"type": "button", "action_id": "watch", "value": "m1", "text": {"type": "plain_text", "text": "Watch"}}
MORE = {
    "type": "overflow",
    "action_id": "more",
    "options": [{"text": {"type": "plain_text", "text": word}, "value": word} for word in ("mute", "stop")],
}
CARD = [{"type": "section", "block_id": "card", "text": {"type": "mrkdwn", "text": "*Live*"}, "accessory": MORE}]
ROW = [{"type": "actions", "block_id": "row", "elements": [WATCH]}]


@pytest.fixture
async def app(slack: Slack, web_client: AsyncWebClient) -> AsyncIterator[AsyncApp]:
    """Yield a Bolt app that Slack reaches over HTTP; each test adds its listeners."""
    app = AsyncApp(client=web_client, signing_secret=SIGNING_SECRET)
    async with answering(slack, AsyncSlackRequestHandler(app).handle):
        yield app


def answering(slack: Slack, handle: Callable[[Request], Awaitable[Response]]) -> AbstractAsyncContextManager[None]:
    """Serve a handler as the app's request URL."""
    return request_url(slack, Route("/slack/events", handle, methods=["POST"]))


def recording(seen: list[Any]) -> Callable[..., Awaitable[None]]:
    async def listener(ack: Any, body: Any) -> None:
        seen.append(body)
        await ack()

    return listener


async def test_command_arrives_signed_with_slacks_fields(slack: Slack, app: AsyncApp) -> None:
    seen: list[Any] = []
    app.command("/livestream")(recording(seen))

    delivery = await slack.command("follow m1", user=BEN, channel=BACKSTAGE)

    assert (delivery.outcome, delivery.status, delivery.acked) == (Outcome.OK, 200, True)
    (body,) = seen
    assert (body["text"], body["command"]) == ("follow m1", "/livestream")
    assert (body["user_id"], body["user_name"]) == (BEN, "ben")
    assert (body["channel_id"], body["channel_name"]) == (BACKSTAGE, "privategroup")
    assert body["response_url"].startswith(slack.base_url + "/commands/")
    assert {"team_id", "team_domain", "api_app_id", "trigger_id", "is_enterprise_install", "token"} <= set(body)


async def test_acknowledgement_with_text_is_ephemeral_unless_in_channel(slack: Slack, app: AsyncApp) -> None:
    @app.command("/livestream")
    async def answer(ack: Any, command: Any) -> None:
        await ack(text=command["text"], blocks=CARD, response_type=command["text"])

    await slack.command("ephemeral")
    await slack.command("in_channel")

    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["ephemeral", "in_channel"]
    assert [message.text for message in slack.messages(GENERAL, BEN)] == ["in_channel"]
    assert slack.messages(GENERAL, BEN)[0].blocks[0]["block_id"] == "card"
    assert slack.sent[-1].method == "/livestream"


async def test_plain_text_acknowledgement_is_a_message(slack: Slack) -> None:
    async def handle(_: Request) -> Response:
        return PlainTextResponse("hello")

    async with answering(slack, handle):
        await slack.command("m1")

    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["hello"]


async def test_bot_can_respond_and_post_after_the_acknowledgement(slack: Slack, app: AsyncApp) -> None:
    @app.command("/livestream")
    async def answer(ack: Any, respond: Any, say: Any) -> None:
        await ack()
        await respond("for you")
        await say("for all")

    await slack.command("m1")
    await slack.wait_for_message(lambda message: message.text == "for all")

    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["for you", "for all"]


async def test_click_names_user_and_message_which_the_bot_can_replace(slack: Slack, app: AsyncApp) -> None:
    seen: list[Any] = []

    @app.action({"block_id": "row", "action_id": "watch"})
    async def clicked(ack: Any, body: Any, respond: Any) -> None:
        seen.append(body)
        await ack()
        await respond("watching", replace_original=True)

    card = (await app.client.chat_postMessage(channel=GENERAL, text="card", blocks=ROW))["ts"]
    message = slack.messages(GENERAL)[0]

    delivery = await slack.click(message, "watch", user=BEN)
    await slack.wait_for_message(lambda message: message.text == "watching")

    assert delivery.acked
    (body,) = seen
    (action,) = body["actions"]
    assert (action["value"], action["type"], action["text"]["text"]) == ("m1", "button", "Watch")
    assert (body["type"], body["user"]["id"], body["channel"]["name"]) == ("block_actions", BEN, "general")
    assert body["container"] == {"type": "message", "message_ts": card, "channel_id": GENERAL, "is_ephemeral": False}
    assert body["message"]["ts"] == card
    assert len(slack.messages(GENERAL)) == 1


async def test_click_has_the_selected_option_and_no_ephemeral_message(slack: Slack, app: AsyncApp) -> None:
    seen: list[Any] = []
    app.action("more")(recording(seen))
    await app.client.chat_postEphemeral(channel=GENERAL, user=ANN, text="card", blocks=CARD)

    await slack.click(slack.messages(GENERAL, ANN)[0], "more", value="stop")

    [body] = seen
    assert body["actions"][0]["selected_option"]["value"] == "stop"
    assert body["actions"][0]["block_id"] == "card"
    assert "message" not in body
    assert body["container"]["is_ephemeral"]


async def test_missing_element_cannot_be_clicked(slack: Slack, app: AsyncApp) -> None:
    ts = (await app.client.chat_postMessage(channel=GENERAL, text="card", blocks=ROW))["ts"]
    message = slack.messages(GENERAL)[0]
    with pytest.raises(LookupError):
        await slack.click(message, "other")

    await app.client.chat_update(channel=GENERAL, ts=ts, text="ended")

    with pytest.raises(LookupError):
        await slack.click(message, "watch")


async def test_message_shortcut_and_event_arrive(slack: Slack, app: AsyncApp) -> None:
    seen: list[Any] = []
    app.message_shortcut("follow_this")(recording(seen))

    @app.event("app_home_opened")
    async def opened(body: Any) -> None:
        seen.append(body)

    message = slack.workspace.post(Message(GENERAL, "1.000000", ANN, "watch m1"))

    assert (await slack.shortcut(message, "follow_this", user=BEN)).acked
    assert (await slack.event({"type": "app_home_opened", "user": ANN, "tab": "home"})).acked

    assert seen[0]["message"]["text"] == "watch m1"
    assert seen[1]["event_id"].startswith("Ev")


async def test_acknowledgement_after_three_seconds_is_a_timeout(slack: Slack) -> None:
    arrived, over = asyncio.Event(), asyncio.Event()

    async def handle(_: Request) -> Response:
        arrived.set()
        await over.wait()
        return PlainTextResponse("too late")

    async with answering(slack, handle):
        pending = asyncio.create_task(slack.command("m1"))
        await arrived.wait()
        slack.clock.advance(2.9)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not pending.done()
        slack.clock.advance(0.1)
        delivery = await pending
        over.set()

    assert (delivery.outcome, delivery.status, delivery.acked) == (Outcome.OPERATION_TIMEOUT, None, False)
    assert delivery.ack_ms == 3000
    (message,) = slack.messages(GENERAL, ANN)
    assert (message.author, message.text) == (SLACKBOT, '/livestream failed with the error "operation_timeout"')
    assert not slack.messages(GENERAL, BEN)


async def test_any_status_but_200_is_a_failed_dispatch(slack: Slack) -> None:
    statuses = [500, 302]

    async def handle(_: Request) -> Response:
        return Response(status_code=statuses[len(slack.calls)], headers={"Location": slack.base_url})

    async with answering(slack, handle):
        deliveries = [await slack.command("m1") for _ in statuses]

    assert [(each.outcome, each.status) for each in deliveries] == [
        (Outcome.DISPATCH_FAILED, status) for status in statuses
    ]
    assert slack.messages(GENERAL, ANN)[0].text == '/livestream failed with the error "dispatch_failed"'


async def test_refused_connection_is_a_failed_dispatch_in_the_log(slack: Slack) -> None:
    with listen() as sock:
        slack.request_url = f"http://127.0.0.1:{sock.getsockname()[1]}/slack/events"

    assert (await slack.command("m1")).outcome is Outcome.DISPATCH_FAILED

    call = slack.calls[-1]
    assert (call.direction, call.method, call.error) == (Direction.SLACK_TO_BOT, "/livestream", "dispatch_failed")


async def test_unregistered_command_stays_in_slack(slack: Slack) -> None:
    delivery = await slack.command("m1", command="/stream")

    assert delivery.outcome is Outcome.UNKNOWN_COMMAND
    assert slack.messages(GENERAL, ANN)[0].text == "/stream is not a valid command."
    assert not slack.calls


async def test_bolt_accepts_only_fresh_unmodified_signatures(
    slack: Slack, app: AsyncApp, session: aiohttp.ClientSession
) -> None:
    app.command("/livestream")(recording([]))
    body = urlencode({"command": "/livestream", "text": "m1", "team_id": "T1", "user_id": ANN}).encode()
    form, forged = {"Content-Type": "application/x-www-form-urlencoded"}, body.replace(b"m1", b"m2")

    for sent, age, status in ((body, 0, 200), (body, 240, 200), (body, 301, 401), (forged, 0, 401)):
        headers = form | slack.sign(body, timestamp=int(time.time()) - age)
        async with session.post(str(slack.request_url), data=sent, headers=headers) as response:
            assert (sent, age, response.status) == (sent, age, status)


async def test_signature_has_the_real_time_and_the_signing_secret(slack: Slack, app: AsyncApp) -> None:
    app.command("/livestream")(recording([]))
    slack.clock.advance(86_400)
    assert (await slack.command("m1")).status == 200

    slack.credentials.signing_secret = "another"
    assert (await slack.command("m1")).status == 401


def test_channels_and_users_are_json() -> None:
    slack = Slack()

    json.dumps([channel.to_dict() for channel in slack.workspace.channels.values()])
    json.dumps([user.to_dict() for user in slack.workspace.users.values()])
