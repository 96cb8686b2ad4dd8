"""A Slack that is late, that refuses some and takes others, and whose idle connections die."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.clock import Clock
from sandbox.slack import ANN, ANY_METHOD, BEN, BOT_TOKEN, EVENTS, GENERAL, RESPONSE_URL, Slack
from sandbox.slack.watching import first

SECONDS = 15.0


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack(clock=Clock(speed=0)).running() as slack:
        yield slack


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def client(slack: Slack, session: aiohttp.ClientSession) -> AsyncWebClient:
    return AsyncWebClient(BOT_TOKEN, base_url=slack.api_url, session=session, retry_handlers=[])


async def error_of(client: AsyncWebClient, method: str, **arguments: str) -> str:
    """The error that a call is refused with, or "" where it is not."""
    try:
        await client.api_call(method, params=arguments)
    except SlackApiError as error:
        return str(error.response["error"])
    return ""


def texts(slack: Slack, channel: str = GENERAL) -> list[str]:
    return [message.text for message in slack.messages(channel)]


async def accepted(slack: Slack) -> None:
    """Wait until a call is accepted that is applied later."""
    await first(slack.events, lambda: slack.late_work or None, SECONDS)


async def test_a_post_appears_after_the_client_gave_up(slack: Slack, client: AsyncWebClient) -> None:
    """The client hears nothing; what it asked for is done when the time has passed, and not before."""
    slack.apply_late("chat.postMessage", 30)
    post = asyncio.ensure_future(client.chat_postMessage(channel=GENERAL, text="late"))
    await accepted(slack)
    post.cancel()

    slack.clock.advance(29)
    assert texts(slack) == []
    slack.clock.advance(1)
    await slack.all_applied()

    assert texts(slack) == ["late"]
    assert [(call.method, call.status, call.error) for call in slack.calls] == [("chat.postMessage", None, "late")]
    await client.chat_postMessage(channel=GENERAL, text="in time")


async def test_a_late_edit_overtakes_a_newer_one(slack: Slack, client: AsyncWebClient) -> None:
    """An edit that was cut off is applied after one that was answered: the older content stays."""
    card = (await client.chat_postMessage(channel=GENERAL, text="waiting"))["ts"]
    slack.apply_late("chat.update", 30, closes=True)
    with pytest.raises(aiohttp.ClientError):
        await client.chat_update(channel=GENERAL, ts=card, text="live")
    await client.chat_update(channel=GENERAL, ts=card, text="ended")
    assert texts(slack) == ["ended"]

    slack.clock.advance(30)
    await slack.all_applied()

    assert texts(slack) == ["live"]


async def test_what_is_impossible_by_then_is_not_done(slack: Slack, client: AsyncWebClient) -> None:
    """A late edit of a message that was deleted meanwhile changes nothing."""
    card = (await client.chat_postMessage(channel=GENERAL, text="waiting"))["ts"]
    slack.apply_late("chat.update", 30, closes=True)
    with pytest.raises(aiohttp.ClientError):
        await client.chat_update(channel=GENERAL, ts=card, text="live")
    slack.delete_message(slack.messages(GENERAL)[0])

    slack.clock.advance(30)
    await slack.all_applied()

    assert texts(slack) == []


async def test_a_late_answer(slack: Slack, client: AsyncWebClient) -> None:
    """The work is done at once, and the answer comes when the time has passed."""
    slack.answer_late("chat.postMessage", 12)
    post = asyncio.ensure_future(client.chat_postMessage(channel=GENERAL, text="hello"))
    await slack.wait_for_message(lambda message: message.text == "hello")
    await client.auth_test()
    assert not post.done()

    slack.clock.advance(12)

    assert (await post)["ok"]


async def test_a_late_answer_to_who_has_gone(slack: Slack, client: AsyncWebClient) -> None:
    """The client may give up before: that ends the call, and the message stays."""
    slack.answer_late("chat.postMessage", 12)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.chat_postMessage(channel=GENERAL, text="hello"), 0.1)

    assert texts(slack) == ["hello"]


async def test_late_in_one_channel_until_taken_back(slack: Slack, client: AsyncWebClient) -> None:
    """Lateness can concern one channel only, and last until it is taken back."""
    slack.apply_late("chat.postMessage", 30, times=None, about=GENERAL, closes=True)
    for _ in range(3):
        with pytest.raises(aiohttp.ClientError):
            await client.chat_postMessage(channel=GENERAL, text="late")
    await client.chat_postMessage(channel=EVENTS, text="elsewhere")

    slack.accept("chat.postMessage", GENERAL)
    await client.chat_postMessage(channel=GENERAL, text="in time")
    slack.clock.advance(30)
    await slack.all_applied()

    assert texts(slack) == ["in time", "late", "late", "late"]
    assert texts(slack, EVENTS) == ["elsewhere"]


async def test_refused_for_as_long_as_wanted(slack: Slack, client: AsyncWebClient) -> None:
    """Any code, on one method and in one channel, or on all of them, until it is taken back."""
    card = (await client.chat_postMessage(channel=GENERAL, text="card"))["ts"]
    there = (await client.chat_postMessage(channel=EVENTS, text="card"))["ts"]
    slack.refuse("chat.update", "edit_window_closed", GENERAL)

    for _ in range(3):
        assert await error_of(client, "chat.update", channel=GENERAL, ts=card, text="new") == "edit_window_closed"
    assert await error_of(client, "chat.update", channel=EVENTS, ts=there, text="new") == ""
    assert await error_of(client, "chat.postMessage", channel=GENERAL, text="hello") == ""

    slack.refuse(ANY_METHOD, "token_expired")
    assert await error_of(client, "auth.test") == "token_expired"
    slack.accept()
    assert await error_of(client, "auth.test") == ""
    assert await error_of(client, "chat.update", channel=GENERAL, ts=card, text="new") == ""


async def test_direct_messages_are_refused_by_person(slack: Slack, client: AsyncWebClient) -> None:
    """Neither by the person nor by an open direct message does anything reach Ann; Ben is not concerned."""
    slack.scopes = {*slack.scopes, "im:write"}
    direct = (await client.conversations_open(users=ANN))["channel"]["id"]
    slack.refuse_direct_messages(ANN, "cannot_dm_bot")

    assert await error_of(client, "chat.postMessage", channel=ANN, text="hello") == "cannot_dm_bot"
    assert await error_of(client, "chat.postMessage", channel=direct, text="hello") == "cannot_dm_bot"
    assert await error_of(client, "conversations.open", users=ANN) == "cannot_dm_bot"
    assert await error_of(client, "chat.postMessage", channel=BEN, text="hello") == ""
    assert await error_of(client, "chat.postMessage", channel=GENERAL, text="hello") == ""


async def test_a_response_url_refuses_with_http_200(slack: Slack, session: aiohttp.ClientSession) -> None:
    """`ok` is false in an answer whose status says otherwise, and nothing is posted."""
    path = slack.response_urls.issue("1.2.3", "commands", GENERAL, ANN)
    slack.refuse_next(RESPONSE_URL, "invalid_blocks", soft=True)

    async with session.post(slack.base_url + path, json={"text": "hello"}) as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": False, "error": "invalid_blocks"})
    assert texts(slack) == []


async def test_a_response_url_is_late(slack: Slack, session: aiohttp.ClientSession) -> None:
    """It takes its time to answer, or does what it was asked when the client has gone."""
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
    """The next request on a connection from before breaks and does nothing; on a fresh one all is well."""
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
