"""HTTP mode: a real Bolt app that verifies signatures, behind the sandbox's Slack."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot.uvicorn_server import listen, serving
from sandbox.slack import (
    ANN,
    BACKSTAGE,
    BEN,
    BOT_TOKEN,
    GENERAL,
    SIGNING_SECRET,
    SLACKBOT,
    Direction,
    Message,
    Outcome,
    Slack,
)

WATCH = {"type": "button", "action_id": "watch", "value": "m1", "text": {"type": "plain_text", "text": "Watch"}}
MORE = {
    "type": "overflow",
    "action_id": "more",
    "options": [{"text": {"type": "plain_text", "text": word}, "value": word} for word in ("mute", "stop")],
}
CARD = [{"type": "section", "block_id": "card", "text": {"type": "mrkdwn", "text": "*Live*"}, "accessory": MORE}]
ROW = [{"type": "actions", "block_id": "row", "elements": [WATCH]}]


@pytest.fixture
async def app(slack: Slack) -> AsyncIterator[AsyncApp]:
    """A Bolt app that Slack reaches over HTTP; each test adds its listeners."""
    app = AsyncApp(
        client=AsyncWebClient(BOT_TOKEN, base_url=slack.api_url, retry_handlers=[]), signing_secret=SIGNING_SECRET
    )
    async with answering(slack, AsyncSlackRequestHandler(app).handle):
        yield app


@contextlib.asynccontextmanager
async def answering(slack: Slack, handle: Callable[..., Awaitable[Response]]) -> AsyncIterator[None]:
    """Serve a handler as the app's request URL."""
    web = Starlette(routes=[Route("/slack/events", handle, methods=["POST"])])
    async with serving(web, listen(), drain_seconds=1) as url:
        slack.request_url = f"{url}/slack/events"
        yield


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
    assert (body["text"], body["command"], body["user_id"], body["user_name"]) == (
        "follow m1",
        "/livestream",
        BEN,
        "ben",
    )
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
    async def handle(_: Any) -> Response:
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
    assert body["container"] == {
        "type": "message",
        "message_ts": card,
        "channel_id": GENERAL,
        "is_ephemeral": False,
    }
    assert body["message"]["ts"] == card
    assert len(slack.messages(GENERAL)) == 1


async def test_click_in_an_ephemeral_message_has_no_message(slack: Slack, app: AsyncApp) -> None:
    seen: list[Any] = []
    app.action("watch")(recording(seen))
    await app.client.chat_postEphemeral(channel=GENERAL, user=ANN, text="card", blocks=ROW)

    await slack.click(slack.messages(GENERAL, ANN)[0], "watch")

    assert "message" not in seen[0]
    assert seen[0]["container"]["is_ephemeral"]


async def test_overflow_choice_has_the_selected_option(slack: Slack, app: AsyncApp) -> None:
    seen: list[Any] = []
    app.action("more")(recording(seen))
    await app.client.chat_postMessage(channel=GENERAL, text="card", blocks=CARD)

    await slack.click(slack.messages(GENERAL)[0], "more", value="stop")

    assert seen[0]["actions"][0]["selected_option"]["value"] == "stop"
    assert seen[0]["actions"][0]["block_id"] == "card"


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

    async def handle(_: Any) -> Response:
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


@pytest.mark.parametrize("status", [500, 302])
async def test_any_status_but_200_is_a_failed_dispatch(slack: Slack, status: int) -> None:
    async def handle(_: Any) -> Response:
        return Response(status_code=status, headers={"Location": slack.base_url})

    async with answering(slack, handle):
        delivery = await slack.command("m1")

    assert (delivery.outcome, delivery.status) == (Outcome.DISPATCH_FAILED, status)
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


@pytest.mark.parametrize(
    ("age", "forged", "status"), [(0, False, 200), (240, False, 200), (301, False, 401), (0, True, 401)]
)
async def test_bolt_accepts_only_fresh_unmodified_signatures(
    slack: Slack, app: AsyncApp, age: int, forged: bool, status: int
) -> None:
    app.command("/livestream")(recording([]))
    body = urlencode({"command": "/livestream", "text": "m1", "team_id": "T1", "user_id": ANN}).encode()
    headers = slack.sign(body, timestamp=int(time.time()) - age)
    sent = body.replace(b"m1", b"m2") if forged else body

    async with aiohttp.ClientSession() as session:
        form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        response = await session.post(str(slack.request_url), data=sent, headers=form)

    assert response.status == status


async def test_signature_has_the_real_time(slack: Slack, app: AsyncApp) -> None:
    app.command("/livestream")(recording([]))
    slack.clock.advance(86_400)

    assert (await slack.command("m1")).status == 200


async def test_wrong_signing_secret_is_rejected(slack: Slack, app: AsyncApp) -> None:
    app.command("/livestream")(recording([]))
    slack.credentials.signing_secret = "another"

    assert (await slack.command("m1")).status == 401


def test_channels_and_users_are_json() -> None:
    slack = Slack()

    json.dumps([channel.to_dict() for channel in slack.workspace.channels.values()])
    json.dumps([user.to_dict() for user in slack.workspace.users.values()])
