"""`/livestream following`."""

from bot.slack.messages import follow_replies
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, BEN, EVENTS, GENERAL
from tests.conftest import World
from tests.slack.listeners.helpers import follow


async def test_listed(connected: World) -> None:
    """A channel's follows are listed, the oldest first, each with its status, by whom, and its card."""
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


async def test_nothing(connected: World) -> None:
    """A channel that follows nothing is told how to begin."""
    answer = await connected.ask("Following")

    assert answer.text == follow_replies.NOTHING_FOLLOWED
