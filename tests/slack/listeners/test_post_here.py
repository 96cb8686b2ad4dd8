"""*Post here*: a private answer becomes a card for the channel."""

import asyncio
import io

from bot.errors import ChannelArchived, NotInChannel, SlackBusy
from bot.realtimekit.lookup import ANSWER_SECONDS
from bot.slack.messages import lookup_card
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BACKSTAGE, BEN, EVENTS, RANDOM, Channel, Message
from tests.conftest import World
from tests.slack.helpers import is_public
from tests.slack.listeners.helpers import actions


def cards(world: World) -> list[Message]:
    return [message for message in world.slack.messages(EVENTS) if is_public(message)]


async def test_post_appears_for_all_and_its_private_answer_goes(connected: World) -> None:
    """It shows the current state, in the name of who posted it, and mentions no one: Slack would notify them."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.kit.end(seeds.LIVE)
    connected.slack.clock.advance(ANSWER_SECONDS)

    await connected.slack.click(answer, lookup_card.POST_HERE)
    card = await connected.next_message(is_public)
    await connected.idle()

    assert connected.slack.messages(EVENTS, ANN) == connected.slack.messages(EVENTS, BEN) == [card]
    assert "Posted by ann" in str(card.blocks)
    assert "<@" not in str(card.blocks)
    assert card.text == "Launch keynote is not live."


async def test_double_click_posts_one_card(connected: World) -> None:
    connected.kit.latency = 0.05
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)

    await asyncio.gather(*(connected.slack.click(answer, lookup_card.POST_HERE) for _ in range(2)))
    await connected.next_message(is_public)
    await connected.idle()

    assert len(cards(connected)) == 1


async def test_channel_without_the_bot_gets_no_post_until_it_is_invited(connected: World) -> None:
    for channel in (RANDOM, BACKSTAGE):
        answer = await connected.ask(seeds.LIVE, channel=channel)
        told = await connected.answer(await connected.slack.click(answer, lookup_card.POST_HERE))
        connected.slack.invite_bot(channel)

        connected.look()
        await connected.slack.click(answer, lookup_card.POST_HERE)
        card = await connected.next_message(is_public)

        assert told.text == NotInChannel().sentence.replace("@Livestream", "@livestream")
        assert card.text.startswith("Launch keynote is live")


async def test_direct_message_between_others_is_offered_no_post(connected: World) -> None:
    """The bot can never post there."""
    connected.slack.workspace.put_channel(Channel("D0ANNBEN001", "ben", frozenset({ANN, BEN}), is_im=True))
    answer = await connected.ask(seeds.LIVE, channel="D0ANNBEN001")

    assert actions(answer) == [lookup_card.WATCH, lookup_card.REFRESH]


async def test_post_in_an_archived_channel_is_logged(connected: World, log: io.StringIO) -> None:
    """Slack allows no reply to the person there either."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.archive(EVENTS)

    await connected.slack.click(answer, lookup_card.POST_HERE)
    told = await connected.logged("request_failed")
    await connected.logged("reply_failed")

    assert told["error"] == ChannelArchived.code
    assert '"level": "error"' not in log.getvalue()


async def test_nothing_is_posted_while_slack_or_cloudflare_refuses(connected: World) -> None:
    """The person gets the reason."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.rate_limit_next("chat.postMessage", retry_after=120)
    told = await connected.answer(await connected.slack.click(answer, lookup_card.POST_HERE))
    assert told.text == SlackBusy().sentence

    connected.kit.fault = Fault.UNAUTHORIZED
    connected.slack.clock.advance(ANSWER_SECONDS)
    await connected.slack.click(answer, lookup_card.POST_HERE)
    await connected.idle()

    assert connected.log.getvalue().count('"request_failed"') == 2
    assert cards(connected) == []
