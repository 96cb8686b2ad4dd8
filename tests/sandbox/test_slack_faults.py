"""What goes wrong on order, and the limits: the bot meets in the sandbox what it will meet at Slack."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncConnectionErrorRetryHandler
from slack_sdk.http_retry.builtin_interval_calculators import FixedValueRetryIntervalCalculator
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.clock import Clock
from sandbox.slack import ANN, BOT_TOKEN, EVENTS, GENERAL, Direction, Event, EventKind, Fault, Rate, Slack


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack(clock=Clock(speed=0)).running() as slack:
        yield slack


@pytest.fixture
async def client(slack: Slack) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(BOT_TOKEN, base_url=slack.api_url, session=session, retry_handlers=[])


async def refusal(client: AsyncWebClient, channel: str = GENERAL) -> tuple[int, str, str | None]:
    """Status, error and Retry-After of a post that is refused."""
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=channel, text="one too many")
    response = caught.value.response
    return response.status_code, response.get("error", ""), response.headers.get("Retry-After")


async def test_rate_limit(slack: Slack, client: AsyncWebClient) -> None:
    """After a burst a channel takes one message a second; other channels are not concerned."""
    for _ in range(5):
        await client.chat_postMessage(channel=GENERAL, text="burst")

    assert await refusal(client) == (429, "ratelimited", "1")
    await client.chat_postMessage(channel=EVENTS, text="elsewhere")
    slack.clock.advance(1)
    await client.chat_postMessage(channel=GENERAL, text="a second later")
    assert await refusal(client) == (429, "ratelimited", "1")


async def test_rates(slack: Slack, client: AsyncWebClient) -> None:
    """Rates can be set, and all of them switched off."""
    slack.limits.rates["chat.postMessage"] = Rate(per_second=0.1, burst=1)
    await client.chat_postMessage(channel=GENERAL, text="first")
    assert await refusal(client) == (429, "ratelimited", "10")

    slack.limits.enabled = False

    await client.chat_postMessage(channel=GENERAL, text="second")


async def test_planned(slack: Slack, client: AsyncWebClient) -> None:
    """Planned refusals come in order, for their method only, and then all is well."""
    slack.rate_limit_next("chat.postMessage", retry_after=7)
    slack.refuse_next("chat.postMessage", "account_inactive")

    await client.auth_test()
    assert await refusal(client) == (429, "ratelimited", "7")
    assert await refusal(client) == (200, "account_inactive", None)
    await client.chat_postMessage(channel=GENERAL, text="well")
    assert [message.text for message in slack.messages(GENERAL)] == ["well"]


async def test_standing(slack: Slack, client: AsyncWebClient) -> None:
    """A standing fault refuses everything until it is taken away."""
    slack.fault = Fault.RATE_LIMITED
    assert await refusal(client) == (429, "ratelimited", "1")
    slack.fault = Fault.SERVER_ERROR
    assert await refusal(client) == (503, "", None)

    slack.fault = Fault.NONE

    await client.auth_test()


async def test_hang(slack: Slack, client: AsyncWebClient) -> None:
    """A hanging Slack does nothing and never answers."""
    slack.fault = Fault.HANG

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.chat_postMessage(channel=GENERAL, text="hello"), 0.1)

    assert not slack.messages(GENERAL, ANN)


async def test_drop(slack: Slack, client: AsyncWebClient) -> None:
    """A dropped connection hides from the bot that its message was posted."""
    slack.fault = Fault.DROP

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.chat_postMessage(channel=GENERAL, text="hello")

    assert len(slack.messages(GENERAL, ANN)) == 1


async def test_drop_after_accepting(slack: Slack, client: AsyncWebClient) -> None:
    """So many calls of one method are done without an answer; what is refused is not among them."""
    slack.drop_after_accepting_next("chat.postMessage", times=1)
    slack.refuse_next("chat.postMessage", "fatal_error")

    assert await refusal(client) == (200, "fatal_error", None)
    await client.auth_test()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.chat_postMessage(channel=GENERAL, text="accepted")
    await client.chat_postMessage(channel=GENERAL, text="answered")

    assert [message.text for message in slack.messages(GENERAL)] == ["accepted", "answered"]
    assert [(call.status, call.error) for call in slack.calls if call.method == "chat.postMessage"] == [
        (200, "fatal_error"),
        (None, "drop"),
        (200, None),
    ]


async def test_drop_waits_for_work(slack: Slack, client: AsyncWebClient) -> None:
    """A planned drop is not used up by calls that another fault has swallowed."""
    slack.drop_after_accepting_next("chat.postMessage")
    slack.fault = Fault.SERVER_ERROR
    assert await refusal(client) == (503, "", None)
    slack.fault = Fault.NONE

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.chat_postMessage(channel=GENERAL, text="accepted")


async def test_drop_and_retry(slack: Slack, client: AsyncWebClient) -> None:
    """slack_sdk's retry handler for connection errors posts twice when an answer is lost, here as at Slack."""
    slack.fault = Fault.DROP
    client.retry_handlers.append(AsyncConnectionErrorRetryHandler(1, FixedValueRetryIntervalCalculator(0)))

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await client.chat_postMessage(channel=GENERAL, text="hello")

    assert len(slack.messages(GENERAL, ANN)) == 2


async def test_calls(slack: Slack, client: AsyncWebClient) -> None:
    """Each call is in the log with how it ended, is told to those who watch, and bears no token."""
    told: list[Event] = []
    slack.events.subscribe(told.append)
    await client.auth_test()
    slack.refuse_next("chat.postMessage", "fatal_error")
    await refusal(client)
    slack.fault = Fault.SERVER_ERROR
    await refusal(client)

    assert [(call.method, call.status, call.error) for call in slack.calls] == [
        ("auth.test", 200, None),
        ("chat.postMessage", 200, "fatal_error"),
        ("chat.postMessage", 503, "server_error"),
    ]
    assert {call.direction for call in slack.calls} == {Direction.BOT_TO_SLACK}
    assert [event.subject for event in told if event.kind is EventKind.CALL_LOGGED] == list(slack.calls)
    assert BOT_TOKEN not in str([event.to_dict() for event in told]) + str(slack.sent)


async def test_sent(slack: Slack, client: AsyncWebClient) -> None:
    """All that the bot has sent is kept, also what was refused."""
    slack.fault = Fault.SERVER_ERROR
    await refusal(client)

    assert "one too many" in slack.sent[-1].body
