"""A Slack that is late, that rejects some calls, and whose idle connections are reset."""

import asyncio

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import ANN, ANY_METHOD, BEN, BOT_TOKEN, EVENTS, GENERAL, RESPONSE_URL, Slack
from sandbox.slack.watching import first

SECONDS = 15.0


async def error_of(web_client: AsyncWebClient, method: str, **arguments: str) -> str:
    """Return the error that a call is rejected with, or "" if it is accepted."""
    try:
        await web_client.api_call(method, params=arguments)
    except SlackApiError as error:
        return str(error.response["error"])
    return ""


def texts(slack: Slack, channel: str = GENERAL) -> list[str]:
    return [message.text for message in slack.messages(channel)]


async def accepted(slack: Slack) -> None:
    """Wait until a call is accepted that is applied later."""
    await first(slack.events, lambda: slack.late_work or None, SECONDS)


async def test_late_post_appears_after_the_client_gave_up(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.apply_late("chat.postMessage", 30)
    post = asyncio.ensure_future(web_client.chat_postMessage(channel=GENERAL, text="late"))
    await accepted(slack)
    post.cancel()

    slack.clock.advance(29)
    assert texts(slack) == []
    slack.clock.advance(1)
    await slack.all_applied()

    assert texts(slack) == ["late"]
    assert [(call.method, call.status, call.error) for call in slack.calls] == [("chat.postMessage", None, "late")]
    await web_client.chat_postMessage(channel=GENERAL, text="in time")


async def test_late_edit_overtakes_a_newer_one_but_changes_no_deleted_message(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    """The older content stays."""
    cards = [(await web_client.chat_postMessage(channel=GENERAL, text="waiting"))["ts"] for _ in range(2)]
    for card in cards:
        slack.apply_late("chat.update", 30, closes=True)
        with pytest.raises(aiohttp.ClientError):
            await web_client.chat_update(channel=GENERAL, ts=card, text="live")
    await web_client.chat_update(channel=GENERAL, ts=cards[0], text="ended")
    slack.delete_message(slack.messages(GENERAL)[1])
    assert texts(slack) == ["ended"]

    slack.clock.advance(30)
    await slack.all_applied()

    assert texts(slack) == ["live"]


async def test_late_response_comes_after_the_work_for_which_the_client_may_not_wait(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    slack.answer_late("chat.postMessage", 12, times=2)
    impatient, patient = [
        asyncio.ensure_future(web_client.chat_postMessage(channel=GENERAL, text=text)) for text in ("one", "two")
    ]
    await slack.wait_for_message(lambda _: sorted(texts(slack)) == ["one", "two"])
    impatient.cancel()
    await web_client.auth_test()
    assert not patient.done()

    slack.clock.advance(12)

    assert (await patient)["ok"]


async def test_lateness_can_apply_to_one_channel_until_reset(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.apply_late("chat.postMessage", 30, times=None, about=GENERAL, closes=True)
    for _ in range(3):
        with pytest.raises(aiohttp.ClientError):
            await web_client.chat_postMessage(channel=GENERAL, text="late")
    await web_client.chat_postMessage(channel=EVENTS, text="elsewhere")

    slack.accept("chat.postMessage", GENERAL)
    await web_client.chat_postMessage(channel=GENERAL, text="in time")
    slack.clock.advance(30)
    await slack.all_applied()

    assert texts(slack) == ["in time", "late", "late", "late"]
    assert texts(slack, EVENTS) == ["elsewhere"]


async def test_rejection_can_apply_to_one_method_and_channel_until_reset(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    card = (await web_client.chat_postMessage(channel=GENERAL, text="card"))["ts"]
    there = (await web_client.chat_postMessage(channel=EVENTS, text="card"))["ts"]
    slack.refuse("chat.update", "edit_window_closed", GENERAL)

    for _ in range(3):
        assert await error_of(web_client, "chat.update", channel=GENERAL, ts=card, text="new") == "edit_window_closed"
    assert await error_of(web_client, "chat.update", channel=EVENTS, ts=there, text="new") == ""
    assert await error_of(web_client, "chat.postMessage", channel=GENERAL, text="hello") == ""

    slack.refuse(ANY_METHOD, "token_expired")
    assert await error_of(web_client, "auth.test") == "token_expired"
    slack.accept()
    assert await error_of(web_client, "auth.test") == ""
    assert await error_of(web_client, "chat.update", channel=GENERAL, ts=card, text="new") == ""


async def test_direct_messages_can_be_rejected_per_person(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.scopes = {*slack.scopes, "im:write"}
    direct = (await web_client.conversations_open(users=ANN))["channel"]["id"]
    slack.refuse_direct_messages(ANN, "cannot_dm_bot")

    assert await error_of(web_client, "chat.postMessage", channel=ANN, text="hello") == "cannot_dm_bot"
    assert await error_of(web_client, "chat.postMessage", channel=direct, text="hello") == "cannot_dm_bot"
    assert await error_of(web_client, "conversations.open", users=ANN) == "cannot_dm_bot"
    assert await error_of(web_client, "chat.postMessage", channel=BEN, text="hello") == ""
    assert await error_of(web_client, "chat.postMessage", channel=GENERAL, text="hello") == ""


async def test_response_url_can_reject_with_http_200(slack: Slack, session: aiohttp.ClientSession) -> None:
    path = slack.response_urls.issue("1.2.3", "commands", GENERAL, ANN)
    slack.refuse_next(RESPONSE_URL, "invalid_blocks", soft=True)

    async with session.post(slack.base_url + path, json={"text": "hello"}) as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": False, "error": "invalid_blocks"})
    assert texts(slack) == []


async def test_response_url_can_respond_or_apply_late(slack: Slack, session: aiohttp.ClientSession) -> None:
    path = slack.response_urls.issue("1.2.3", "commands", GENERAL, ANN)

    async def say(text: str) -> int:
        async with session.post(slack.base_url + path, json={"text": text}) as answer:
            return answer.status

    slack.answer_late(RESPONSE_URL, 5)
    slow = asyncio.ensure_future(say("slowly"))
    await slack.wait_for_message(lambda message: message.text == "slowly")
    assert not slow.done()
    slack.clock.advance(5)
    assert await slow == 200

    slack.apply_late(RESPONSE_URL, 5, about=GENERAL, closes=True)
    with pytest.raises(aiohttp.ClientError):
        await say("late")
    assert texts(slack) == ["slowly"]
    slack.clock.advance(5)
    await slack.all_applied()
    assert texts(slack) == ["slowly", "late"]


async def test_idle_connections_are_reset_when_used_again(slack: Slack, session: aiohttp.ClientSession) -> None:
    url, headers = f"{slack.api_url}chat.postMessage", {"Authorization": f"Bearer {BOT_TOKEN}"}

    async def post(text: str) -> None:
        async with session.post(url, data={"channel": GENERAL, "text": text}, headers=headers) as answer:
            await answer.read()

    await post("before")
    assert slack.reset_idle_connections() == 1

    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await post("lost")
    await post("after")

    assert texts(slack) == ["before", "after"]
