"""response_urls: what the bot may send to them, how often and for how long."""

from typing import Any

import aiohttp
import pytest
from slack_sdk.webhook.async_client import AsyncWebhookClient
from slack_sdk.webhook.webhook_response import WebhookResponse

from sandbox.slack import ANN, BEN, BOT, GENERAL, RESPONSE_URL, Fault, Message, Slack
from sandbox.slack.response_urls import ResponseUrls


def issued(slack: Slack, original: Message | None = None) -> str:
    """Issue a response_url for a command of Ann's, or for her click in `original`."""
    urls: ResponseUrls = slack.response_urls
    return slack.base_url + urls.issue("1.2.3", "actions" if original else "commands", GENERAL, ANN, original)


@pytest.fixture
def client(slack: Slack, session: aiohttp.ClientSession) -> AsyncWebhookClient:
    return AsyncWebhookClient(issued(slack), session=session, retry_handlers=[])


def status_and_body(response: WebhookResponse) -> tuple[int, str]:
    return response.status_code, response.body


async def test_response_is_ephemeral_unless_in_channel(slack: Slack, client: AsyncWebhookClient) -> None:
    assert status_and_body(await client.send(text="hello")) == (200, "ok")
    await client.send(text="hello, all", response_type="in_channel")

    assert [(message.text, message.trigger_id) for message in slack.messages(GENERAL, ANN)] == [
        ("hello", "1.2.3"),
        ("hello, all", "1.2.3"),
    ]
    assert [(message.text, message.author) for message in slack.messages(GENERAL, BEN)] == [("hello, all", BOT)]


async def test_response_url_of_a_command_replaces_nothing(slack: Slack, client: AsyncWebhookClient) -> None:
    """It has no original message, not even the one that it posted: slackapi/bolt-python#1268."""
    await client.send(text="hang on")
    await client.send(text="the answer", replace_original=True)

    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["hang on", "the answer"]


async def test_sixth_use_is_rejected_and_rejected_bodies_do_not_count(slack: Slack, client: AsyncWebhookClient) -> None:
    assert (await client.send_dict({"text": ""})).status_code == 400
    answers = [status_and_body(await client.send(text=str(number))) for number in range(6)]

    assert answers == [(200, "ok")] * 5 + [(404, "used_url")]
    assert len(slack.messages(GENERAL, ANN)) == 5


async def test_response_url_expires_after_thirty_minutes_or_when_told_to(
    slack: Slack, client: AsyncWebhookClient
) -> None:
    slack.clock.advance(1799)
    assert status_and_body(await client.send(text="in time")) == (200, "ok")
    slack.clock.advance(1)
    assert status_and_body(await client.send(text="too late")) == (404, "expired_url")

    client.url = issued(slack)
    slack.expire_response_urls()
    assert status_and_body(await client.send(text="too late")) == (404, "expired_url")
    client.url = issued(slack)
    assert status_and_body(await client.send(text="new")) == (200, "ok")


async def test_invalid_response_is_rejected_in_plain_text(slack: Slack, session: aiohttp.ClientSession) -> None:
    for body, error in (
        ("{", "invalid_payload"),
        ("[]", "invalid_payload"),
        ("{}", "no_text"),
        ('{"text": "a", "blocks": [{"type": "sparkles"}]}', "invalid_blocks"),
    ):
        headers = {"Content-Type": "application/json"}
        async with session.post(issued(slack), data=body, headers=headers) as response:
            assert (body, response.status, await response.text()) == (body, 400, error)

    assert not slack.messages(GENERAL, ANN)


@pytest.mark.parametrize("only_to", [None, ANN], ids=["public", "ephemeral"])
async def test_original_message_is_replaced_in_place_without_its_blocks(
    slack: Slack, session: aiohttp.ClientSession, only_to: str | None
) -> None:
    divider: dict[str, Any] = {"type": "divider", "block_id": "d"}
    original = slack.workspace.post(Message(GENERAL, "1.000000", BOT, "old", (divider,), ephemeral_to=only_to))
    client = AsyncWebhookClient(issued(slack, original), session=session)

    await client.send(text="new", replace_original=True)

    (message,) = slack.messages(GENERAL, ANN)
    assert (message.ts, message.text, message.blocks) == (original.ts, "new", ())
    assert message.ephemeral_to == only_to


async def test_original_message_can_be_deleted(slack: Slack, session: aiohttp.ClientSession) -> None:
    """A replacement of a deleted one is posted as a new message."""
    original = slack.workspace.post(Message(GENERAL, "1.000000", BOT, "old", ephemeral_to=ANN))
    client = AsyncWebhookClient(issued(slack, original), session=session)

    await client.send(delete_original=True)
    assert not slack.messages(GENERAL, ANN)

    await client.send(text="new", replace_original=True)
    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["new"]


async def test_response_needs_no_membership_but_an_active_channel(slack: Slack, client: AsyncWebhookClient) -> None:
    slack.remove_bot(GENERAL)
    assert status_and_body(await client.send(text="hello")) == (200, "ok")

    slack.archive(GENERAL)
    assert status_and_body(await client.send(text="hello")) == (410, "channel_is_archived")
    slack.delete_channel(GENERAL)
    assert status_and_body(await client.send(text="hello")) == (404, "channel_not_found")


async def test_faults_apply_to_response_urls_without_using_them_up(slack: Slack, client: AsyncWebhookClient) -> None:
    slack.rate_limit_next(RESPONSE_URL, retry_after=3)
    limited = await client.send(text="hello")
    slack.fault = Fault.SERVER_ERROR
    failed = await client.send(text="hello")
    slack.fault = Fault.NONE

    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "3")
    assert failed.status_code == 503
    assert [status_and_body(await client.send(text="hello"))[0] for _ in range(6)] == [200] * 5 + [404]
