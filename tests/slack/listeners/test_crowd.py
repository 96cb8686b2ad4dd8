"""Many people who want to know about one meeting, and one person who wants to know too often."""

from bot.slack.rate_limiter import USER_BURST
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, BEN
from tests.conftest import World


async def test_a_crowd_that_asks_about_one_meeting_costs_one_lookup(connected: World) -> None:
    """Cloudflare's rate limit is left to other people's lookups and to follows."""
    connected.slack.clock.speed = 0
    first = await connected.ask(seeds.LIVE, user=BEN)
    requests = len(connected.kit.calls)
    for user in (ANN, BEN) * 6:
        assert (await connected.ask(seeds.LIVE, user=user)).text == first.text

    assert len(connected.kit.calls) == requests == 3

    connected.slack.clock.advance(3)
    await connected.ask(seeds.LIVE)

    assert len(connected.kit.calls) > requests


async def test_one_who_asks_too_often_is_told_so_privately(connected: World) -> None:
    """Others are served meanwhile, and so is this one after some seconds."""
    connected.slack.clock.speed = 0
    answers = [await connected.ask(seeds.NEVER_LIVE) for _ in range(USER_BURST + 1)]

    assert all("Try again in 2 seconds" not in answer.text for answer in answers[:-1])
    assert "That was a lot at once" in answers[-1].text
    assert "Try again in 2 seconds" in answers[-1].text
    assert answers[-1].ephemeral_to == ANN
    assert "not live" in (await connected.ask(seeds.NEVER_LIVE, user=BEN)).text

    connected.slack.clock.advance(2)

    assert "not live" in (await connected.ask(seeds.NEVER_LIVE)).text
