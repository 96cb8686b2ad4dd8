"""A kept connection that has died loses nothing: neither an answer to a person nor a post."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.realtimekit.lookup import ANSWER_SECONDS
from bot.slack.api_client import SlackClient, open_fresh_session
from bot.slack.messages import lookup_card
from bot.slack.messages.message import Message
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, EVENTS, GENERAL, Slack
from tests.conftest import World
from tests.slack.helpers import is_public, make_client


@pytest.fixture
async def client(slack: Slack, session: aiohttp.ClientSession) -> AsyncIterator[SlackClient]:
    async with open_fresh_session() as fresh:
        yield make_client(slack.api_url, session, fresh=fresh)


async def test_lookup_is_answered_once_though_the_connections_are_dead(connected: World) -> None:
    for number in range(1, 4):
        connected.slack.reset_idle_connections()
        await connected.ask(seeds.LIVE)
        await connected.idle()
        assert len(connected.slack.messages(GENERAL, ANN)) == number


async def test_card_is_posted_and_refreshed_once_though_the_connections_are_dead(connected: World) -> None:
    """The private answer goes."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.reset_idle_connections()

    await connected.slack.click(answer, lookup_card.POST_HERE)
    card = await connected.next_message(is_public)
    await connected.idle()

    assert connected.slack.messages(EVENTS, ANN) == [card]
    connected.kit.end(seeds.LIVE)
    connected.slack.clock.advance(ANSWER_SECONDS)
    connected.slack.reset_idle_connections()

    await connected.slack.click(card, lookup_card.REFRESH)
    await connected.idle()

    [after] = connected.slack.messages(EVENTS, ANN)
    assert after.text != card.text


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.postEphemeral", "chat.update"])
async def test_write_never_uses_a_connection_that_may_be_dead(slack: Slack, client: SlackClient, method: str) -> None:
    """It is sent once: a post could appear twice, and Slack could carry out the first edit after the second."""
    extra: dict[str, Any] = {"user": ANN} if method == "chat.postEphemeral" else {}
    if method == "chat.update":
        extra["ts"] = await client.write("chat.postMessage", Message("Hello"), channel=EVENTS)
    for text in ("Bye", "Bye again"):
        await client.auth_test()
        slack.reset_idle_connections()
        await client.write(method, Message(text), channel=EVENTS, **extra)

    assert [call.method for call in slack.calls].count(method) == 2
    assert slack.messages(EVENTS, ANN)[-1].text == "Bye again"
