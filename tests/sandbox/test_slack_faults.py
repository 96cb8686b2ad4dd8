"""Planned faults and rate limits of the sandbox's Slack."""

import asyncio

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncConnectionErrorRetryHandler
from slack_sdk.http_retry.builtin_interval_calculators import FixedValueRetryIntervalCalculator
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import ANN, BOT_TOKEN, EVENTS, GENERAL, Direction, Event, EventKind, Fault, Rate, Slack


async def rejection(web_client: AsyncWebClient, channel: str = GENERAL) -> tuple[int, str, str | None]:
    """Return status, error and Retry-After of a rejected post."""
    with pytest.raises(SlackApiError) as caught:
        await web_client.chat_postMessage(channel=channel, text="one too many")
    response = caught.value.response
    return response.status_code, response.get("error", ""), response.headers.get("Retry-After")


async def test_channel_takes_one_message_a_second_after_a_burst(slack: Slack, web_client: AsyncWebClient) -> None:
    for _ in range(5):
        await web_client.chat_postMessage(channel=GENERAL, text="burst")

    assert await rejection(web_client) == (429, "ratelimited", "1")
    await web_client.chat_postMessage(channel=EVENTS, text="elsewhere")
    slack.clock.advance(1)
    await web_client.chat_postMessage(channel=GENERAL, text="a second later")
    assert await rejection(web_client) == (429, "ratelimited", "1")


async def test_rates_can_be_set_and_switched_off(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.limits.rates["chat.postMessage"] = Rate(per_second=0.1, burst=1)
    await web_client.chat_postMessage(channel=GENERAL, text="first")
    assert await rejection(web_client) == (429, "ratelimited", "10")

    slack.limits.enabled = False

    await web_client.chat_postMessage(channel=GENERAL, text="second")


async def test_planned_rejections_come_in_order_for_their_method(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.rate_limit_next("chat.postMessage", retry_after=7)
    slack.refuse_next("chat.postMessage", "account_inactive")

    await web_client.auth_test()
    assert await rejection(web_client) == (429, "ratelimited", "7")
    assert await rejection(web_client) == (200, "account_inactive", None)
    await web_client.chat_postMessage(channel=GENERAL, text="well")
    assert [message.text for message in slack.messages(GENERAL)] == ["well"]


async def test_standing_fault_rejects_everything_until_removed(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.fault = Fault.RATE_LIMITED
    assert await rejection(web_client) == (429, "ratelimited", "1")
    slack.fault = Fault.SERVER_ERROR
    assert await rejection(web_client) == (503, "", None)

    slack.fault = Fault.NONE

    await web_client.auth_test()


async def test_hanging_slack_applies_nothing_and_never_responds(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.fault = Fault.HANG

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(web_client.chat_postMessage(channel=GENERAL, text="hello"), 0.1)

    assert not slack.messages(GENERAL, ANN)


async def test_drop_after_accepting_skips_calls_with_another_fault(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.drop_after_accepting_next("chat.postMessage", times=1)
    slack.refuse_next("chat.postMessage", "fatal_error")

    assert await rejection(web_client) == (200, "fatal_error", None)
    slack.fault = Fault.SERVER_ERROR
    assert await rejection(web_client) == (503, "", None)
    slack.fault = Fault.NONE
    await web_client.auth_test()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await web_client.chat_postMessage(channel=GENERAL, text="accepted")
    await web_client.chat_postMessage(channel=GENERAL, text="answered")

    assert [message.text for message in slack.messages(GENERAL)] == ["accepted", "answered"]
    outcomes = [(call.status, call.error) for call in slack.calls if call.method == "chat.postMessage"]
    assert outcomes == [(200, "fatal_error"), (503, "server_error"), (None, "drop"), (200, None)]


async def test_dropped_connection_hides_the_posted_message_so_that_a_retry_posts_twice(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    slack.fault = Fault.DROP
    web_client.retry_handlers.append(AsyncConnectionErrorRetryHandler(1, FixedValueRetryIntervalCalculator(0)))

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await web_client.chat_postMessage(channel=GENERAL, text="hello")

    assert len(slack.messages(GENERAL, ANN)) == 2


async def test_each_call_is_logged_and_reported_without_a_token(slack: Slack, web_client: AsyncWebClient) -> None:
    events: list[Event] = []
    slack.events.subscribe(events.append)
    await web_client.auth_test()
    slack.refuse_next("chat.postMessage", "fatal_error")
    await rejection(web_client)
    slack.fault = Fault.SERVER_ERROR
    await rejection(web_client)

    assert [(call.method, call.status, call.error) for call in slack.calls] == [
        ("auth.test", 200, None),
        ("chat.postMessage", 200, "fatal_error"),
        ("chat.postMessage", 503, "server_error"),
    ]
    assert {call.direction for call in slack.calls} == {Direction.BOT_TO_SLACK}
    assert [event.subject for event in events if event.kind is EventKind.CALL_LOGGED] == list(slack.calls)
    assert BOT_TOKEN not in str([event.to_dict() for event in events]) + str(slack.sent)
    assert "one too many" in slack.sent[-1].body
