"""response_urls: what the bot may send to them, how often and for how long."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.webhook.async_client import AsyncWebhookClient
from slack_sdk.webhook.webhook_response import WebhookResponse

from sandbox.clock import Clock
from sandbox.slack import ANN, BEN, BOT, GENERAL, RESPONSE_URL, Fault, Message, Slack
from sandbox.slack.response_urls import ResponseUrls


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack(clock=Clock(speed=0)).running() as slack:
        yield slack


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def issued(slack: Slack, original: Message | None = None) -> str:
    """A response_url as a command of Ann's (or her click in `original`) comes with."""
    urls: ResponseUrls = slack.response_urls
    return slack.base_url + urls.issue("1.2.3", "actions" if original else "commands", GENERAL, ANN, original)


@pytest.fixture
def client(slack: Slack, session: aiohttp.ClientSession) -> AsyncWebhookClient:
    return AsyncWebhookClient(issued(slack), session=session, retry_handlers=[])


def told(response: WebhookResponse) -> tuple[int, str]:
    return response.status_code, response.body


async def test_ephemeral_by_default(slack: Slack, client: AsyncWebhookClient) -> None:
    """Only the person who used the command sees the response."""
    assert told(await client.send(text="hello")) == (200, "ok")

    assert [(message.text, message.trigger_id) for message in slack.messages(GENERAL, ANN)] == [("hello", "1.2.3")]
    assert not slack.messages(GENERAL, BEN)


async def test_in_channel(slack: Slack, client: AsyncWebhookClient) -> None:
    """An in_channel response is for all, and by the bot."""
    await client.send(text="hello", response_type="in_channel")

    (message,) = slack.messages(GENERAL, BEN)
    assert message.author == BOT


async def test_a_command_s_url_replaces_nothing(slack: Slack, client: AsyncWebhookClient) -> None:
    """It has no original message, not even the one that it posted itself: slackapi/bolt-python#1268."""
    await client.send(text="hang on")
    await client.send(text="the answer", replace_original=True)

    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["hang on", "the answer"]


async def test_five_uses(slack: Slack, client: AsyncWebhookClient) -> None:
    """The sixth use is refused; a refused body does not count as one."""
    assert (await client.send_dict({"text": ""})).status_code == 400
    answers = [told(await client.send(text=str(number))) for number in range(6)]

    assert answers == [(200, "ok")] * 5 + [(404, "used_url")]
    assert len(slack.messages(GENERAL, ANN)) == 5


async def test_thirty_minutes(slack: Slack, client: AsyncWebhookClient) -> None:
    """After thirty minutes a URL is expired."""
    slack.clock.advance(1799)
    assert told(await client.send(text="in time")) == (200, "ok")

    slack.clock.advance(1)

    assert told(await client.send(text="too late")) == (404, "expired_url")


async def test_expired_on_order(slack: Slack, client: AsyncWebhookClient) -> None:
    """Tests can expire the URLs that are out; later ones work."""
    slack.expire_response_urls()

    assert told(await client.send(text="too late")) == (404, "expired_url")
    assert told(await AsyncWebhookClient(issued(slack)).send(text="new")) == (200, "ok")


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("{", (400, "invalid_payload")),
        ("[]", (400, "invalid_payload")),
        ("{}", (400, "no_text")),
        ('{"text": "a", "blocks": [{"type": "sparkles"}]}', (400, "invalid_blocks")),
    ],
)
async def test_refused(slack: Slack, session: aiohttp.ClientSession, body: str, answer: tuple[int, str]) -> None:
    """What cannot be shown is refused in words, not in JSON."""
    response = await session.post(issued(slack), data=body, headers={"Content-Type": "application/json"})

    assert (response.status, await response.text()) == answer
    assert not slack.messages(GENERAL, ANN)


@pytest.mark.parametrize("only_to", [None, ANN], ids=["public", "ephemeral"])
async def test_replace_original(slack: Slack, session: aiohttp.ClientSession, only_to: str | None) -> None:
    """The message of a click is replaced in its place, ephemeral ones too, and loses its blocks."""
    divider: dict[str, Any] = {"type": "divider", "block_id": "d"}
    original = slack.workspace.post(Message(GENERAL, "1.000000", BOT, "old", (divider,), ephemeral_to=only_to))
    client = AsyncWebhookClient(issued(slack, original), session=session)

    await client.send(text="new", replace_original=True)

    (message,) = slack.messages(GENERAL, ANN)
    assert (message.ts, message.text, message.blocks) == (original.ts, "new", ())
    assert message.ephemeral_to == only_to


async def test_delete_original(slack: Slack, session: aiohttp.ClientSession) -> None:
    """The message of a click can be deleted; replacing what is gone posts anew."""
    original = slack.workspace.post(Message(GENERAL, "1.000000", BOT, "old", ephemeral_to=ANN))
    client = AsyncWebhookClient(issued(slack, original), session=session)

    await client.send(delete_original=True)
    assert not slack.messages(GENERAL, ANN)

    await client.send(text="new", replace_original=True)
    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["new"]


async def test_without_the_bot(slack: Slack, client: AsyncWebhookClient) -> None:
    """A response needs no membership, but a channel that is still in use."""
    slack.remove_bot(GENERAL)
    assert told(await client.send(text="hello")) == (200, "ok")

    slack.archive(GENERAL)
    assert told(await client.send(text="hello")) == (410, "channel_is_archived")
    slack.delete_channel(GENERAL)
    assert told(await client.send(text="hello")) == (404, "channel_not_found")


async def test_faults(slack: Slack, client: AsyncWebhookClient) -> None:
    """Rate limits and faults reach response_urls as well, and cost no use."""
    slack.rate_limit_next(RESPONSE_URL, retry_after=3)
    limited = await client.send(text="hello")
    slack.fault = Fault.SERVER_ERROR
    failed = await client.send(text="hello")
    slack.fault = Fault.NONE

    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "3")
    assert failed.status_code == 503
    assert [told(await client.send(text="hello"))[0] for _ in range(6)] == [200] * 5 + [404]
