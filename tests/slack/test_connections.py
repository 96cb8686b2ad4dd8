"""A kept connection that has died loses nothing: neither an answer to a person nor a post."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.metrics import Metrics
from bot.realtimekit.lookup import ANSWER_SECONDS
from bot.slack.api_client import SlackClient, open_fresh_session, open_session
from bot.slack.messages import lookup_card, message
from sandbox.clock import Clock
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, BOT, EVENTS, GENERAL, Message, Slack
from tests.conftest import World

ID = "5b8efdc2-7c1f-5a4e-9d1a-0a4a8f6f0001"


def is_public(message: Message) -> bool:
    return message.ephemeral_to is None and message.author == BOT


@contextlib.asynccontextmanager
async def client_of(slack: Slack) -> AsyncIterator[SlackClient]:
    async with open_session() as session, open_fresh_session() as fresh:
        token = slack.credentials.bot_token
        yield SlackClient(token=token, base_url=slack.api_url, session=session, metrics=Metrics(), fresh=fresh)


async def test_every_lookup_is_answered_once(connected: World) -> None:
    """Though the connections are dead each time."""
    for number in range(1, 4):
        connected.slack.reset_idle_connections()
        await connected.ask(seeds.LIVE)
        await connected.idle()
        assert len(connected.slack.messages(GENERAL, ANN)) == number


async def test_what_is_posted_here_is_posted_once(connected: World) -> None:
    """And the private answer goes."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.reset_idle_connections()

    await connected.slack.click(answer, lookup_card.POST_HERE)
    card = await connected.next_message(is_public)
    await connected.idle()

    assert connected.slack.messages(EVENTS, ANN) == [card]


async def test_a_public_card_is_refreshed(connected: World) -> None:
    """An edit may happen twice, so it is repeated at once."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    await connected.slack.click(answer, lookup_card.POST_HERE)
    card = await connected.next_message(is_public)
    await connected.idle()
    connected.kit.end(seeds.LIVE)
    connected.slack.clock.advance(ANSWER_SECONDS)
    connected.slack.reset_idle_connections()

    await connected.slack.click(card, lookup_card.REFRESH)
    await connected.idle()

    [after] = connected.slack.messages(EVENTS, ANN)
    assert after.text != card.text


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.postEphemeral"])
async def test_a_post_never_uses_a_connection_that_may_be_dead(clock: Clock, method: str) -> None:
    """It is not sent twice either."""
    async with Slack(clock).running() as slack, client_of(slack) as client:
        for _ in range(3):
            await client.auth_test()
            slack.reset_idle_connections()
            extra: dict[str, Any] = {"user": ANN} if method == "chat.postEphemeral" else {"client_msg_id": ID}
            await client.write(method, message.Message("Hello"), channel=EVENTS, **extra)

        assert [call.method for call in slack.calls].count(method) == 3


async def test_an_edit_never_uses_a_connection_that_may_be_dead(clock: Clock) -> None:
    """Slack could carry out a first attempt, whose answer is lost, after the second one."""
    async with Slack(clock).running() as slack, client_of(slack) as client:
        ts = await client.write("chat.postMessage", message.Message("Hello"), channel=EVENTS)
        for text in ("Bye", "Bye again"):
            await client.auth_test()
            slack.reset_idle_connections()
            await client.write("chat.update", message.Message(text), channel=EVENTS, ts=ts)

        assert [call.method for call in slack.calls].count("chat.update") == 2
        [shown] = slack.messages(EVENTS)
        assert shown.text == "Bye again"
