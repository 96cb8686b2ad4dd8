"""*Post here*: a private answer becomes a card for the channel."""

import asyncio
import io

import pytest

from bot.errors import ChannelArchived, NotInChannel, SlackAccessDenied, SlackBusy
from bot.slack.messages import lookup_card
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, EVENTS, RANDOM, Channel, Message
from tests.conftest import World
from tests.slack.listeners.helpers import buttons


def is_public(message: Message) -> bool:
    return message.ephemeral_to is None and message.author == BOT


async def test_posted(connected: World) -> None:
    """The card appears for all, in the name of who posted it, and their private answer goes.

    It mentions no one: Slack would notify the person who has just pressed the button.
    """
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)

    await connected.slack.click(answer, lookup_card.POST_HERE)
    card = await connected.next_message(is_public)
    await connected.idle()

    assert connected.slack.messages(EVENTS, ANN) == connected.slack.messages(EVENTS, BEN) == [card]
    assert "Posted by ann" in str(card.blocks)
    assert "<@" not in str(card.blocks)
    assert card.text.startswith("Launch keynote is live")


async def test_post_shows_the_current_state(connected: World) -> None:
    """Not the state at the time of the private answer."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.kit.end(seeds.LIVE)
    connected.slack.clock.advance(3)

    await connected.slack.click(answer, lookup_card.POST_HERE)
    card = await connected.next_message(is_public)

    assert card.text.endswith("is not live.")


async def test_double_click_posts_one_card(connected: World) -> None:
    connected.kit.latency = 0.05
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)

    await asyncio.gather(*(connected.slack.click(answer, lookup_card.POST_HERE) for _ in range(2)))
    await connected.next_message(is_public)
    await connected.idle()

    assert len([message for message in connected.slack.messages(EVENTS) if is_public(message)]) == 1


@pytest.mark.parametrize("channel", [RANDOM, BACKSTAGE])
async def test_without_the_bot(connected: World, channel: str) -> None:
    """In a channel that the bot is not in, public or private, the answer says to invite it, and offers another try."""
    answer = await connected.ask(seeds.LIVE, channel=channel)
    await connected.slack.click(answer, lookup_card.POST_HERE)
    told = await connected.told_beside(answer)
    connected.slack.invite_bot(channel)

    await connected.slack.click(answer, lookup_card.POST_HERE)
    card = await connected.next_message(is_public)

    assert told.text == NotInChannel().sentence.replace("@Livestream", "@livestream")
    assert card.text.startswith("Launch keynote is live")


async def test_direct_message_between_others(connected: World) -> None:
    """In a direct message between others, where the bot can never post, the answer does not offer it."""
    connected.slack.workspace.put_channel(Channel("D0ANNBEN001", "ben", frozenset({ANN, BEN}), is_im=True))
    answer = await connected.ask(seeds.LIVE, channel="D0ANNBEN001")

    assert buttons(answer) == [lookup_card.WATCH, lookup_card.REFRESH]


async def test_post_in_an_archived_channel_is_logged(connected: World, log: io.StringIO) -> None:
    """Slack allows no reply to the person there either."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.archive(EVENTS)

    await connected.slack.click(answer, lookup_card.POST_HERE)
    told = await connected.logged("request_failed")
    await connected.logged("reply_failed")

    assert told["error"] == ChannelArchived.code
    assert '"level": "error"' not in log.getvalue()


async def test_slack_says_wait(connected: World) -> None:
    """When Slack asks for a long wait, nothing is posted and the answer says so."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.rate_limit_next("chat.postMessage", retry_after=120)

    await connected.slack.click(answer, lookup_card.POST_HERE)
    told = await connected.told_beside(answer)

    assert told.text == SlackBusy().sentence


async def test_missing_scope_refers_to_the_operator(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.scopes = {"commands"}

    await connected.slack.click(answer, lookup_card.POST_HERE)
    told = await connected.told_beside(answer)

    assert told.text == SlackAccessDenied().sentence


async def test_nothing_is_posted_during_an_outage(connected: World) -> None:
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.kit.fault = Fault.UNAUTHORIZED
    connected.slack.clock.advance(3)

    await connected.slack.click(answer, lookup_card.POST_HERE)
    await connected.logged("request_failed")
    await connected.idle()

    assert [message for message in connected.slack.messages(EVENTS) if is_public(message)] == []
