"""`/livestream following`."""

from bot.slack.messages import follow_replies
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, BEN, EVENTS, GENERAL
from tests.conftest import World
from tests.slack.listeners.helpers import follow


async def test_follows_are_listed_oldest_first(connected: World) -> None:
    """Each with its state, its creator and its card."""
    _, card = await follow(connected)
    await follow(connected, seeds.NEVER_LIVE, "quiet")
    await follow(connected, seeds.IDLE, channel=EVENTS)

    answer = await connected.ask("following", user=BEN)

    heading, first, second = answer.text.splitlines()
    assert heading == "This channel follows 2 meetings."
    assert first.startswith(f"*Launch keynote*: live; updates in thread; added by <@{ANN}>; meeting `")
    assert first.endswith(f"card: https://sandbox.slack.com/archives/{GENERAL}/p{card.ts.replace('.', '')}")
    assert second.startswith("*Hiring committee*: not live yet; card only; ")
    assert answer.ephemeral_to == BEN


async def test_empty_channel_list_explains_how_to_follow(connected: World) -> None:
    answer = await connected.ask("Following")

    assert answer.text == follow_replies.NOTHING_FOLLOWED
