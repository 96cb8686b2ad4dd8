"""The bot is killed between a change and its announcement; the next bot announces it, and repeats nothing."""

import asyncio
import signal
from pathlib import Path

import pytest

from sandbox.bot_process import BotDidNotStart
from sandbox.realtimekit import seeds
from sandbox.slack import EVENTS, GENERAL
from tests.postgres import Postgres, postgres
from tests.scenarios.fast_bot import method_at
from tests.scenarios.scenario import Scenario, cards, replies_in, shows

__all__ = ["postgres"]

MEETING = seeds.NEVER_LIVE
# Each leaves another state in the database or in Slack.
IN_THE_THREAD = [
    "before:MeetingQueue.record:1",
    "after:MeetingQueue.record:1",
    "after:CardQueue.claim:1",
    "after:Publisher.edit:1",
    "after:Publisher.post:1",
    "after:CardQueue.mark_sent:1",
]
WITH_A_NEW_CARD = [
    "before:Publisher.post:1",
    "after:Publisher.post:1",
    "after:CardQueue.mark_posted:1",
    "after:Publisher.post:2",
    "after:CardQueue.mark_sent:1",
]


async def run_until_killed(scenario: Scenario, database: Path, step: str) -> None:
    """Run a bot that kills itself at this step, maybe before it is ready."""
    try:
        async with scenario.process(f"sqlite:///{database}", step) as bot:
            status = await asyncio.wait_for(bot.ended(), 60)
            assert status == -signal.SIGKILL, bot.last_words()
    except BotDidNotStart as error:
        if "Traceback" in str(error):
            raise


@pytest.mark.parametrize("step", [*IN_THE_THREAD, *WITH_A_NEW_CARD])
def test_every_step_names_a_method_of_the_bot(step: str) -> None:
    assert callable(method_at(step))


@pytest.mark.parametrize("step", IN_THE_THREAD)
async def test_change_is_announced_once_wherever_the_bot_is_killed(fast: Scenario, tmp_path: Path, step: str) -> None:
    async with fast.world.bot():
        await fast.follow(MEETING)
    fast.world.kit.go_live(MEETING)
    await run_until_killed(fast, tmp_path / "livestream-bot.db", step)

    async with fast.world.bot():
        await fast.until_announced(MEETING, "live")
        await fast.pass_time(90)  # longer than any lease
        await fast.until_announced(MEETING, "live")
        fast.world.kit.end(MEETING)
        card = await fast.until_announced(MEETING, "live", "ended")

    assert len(cards(fast.slack, MEETING)) == 1
    assert fast.card(MEETING) == card


@pytest.mark.parametrize("step", WITH_A_NEW_CARD)
async def test_new_card_is_posted_once_wherever_the_bot_is_killed(fast: Scenario, tmp_path: Path, step: str) -> None:
    async with fast.world.bot():
        fast.world.kit.go_live(MEETING)
        await fast.follow(MEETING)
        fast.world.kit.end(MEETING)
        await fast.until_announced(MEETING, "ended")
        await fast.until_shown(MEETING, "ended")
    fast.world.kit.go_live(MEETING)
    await run_until_killed(fast, tmp_path / "livestream-bot.db", step)

    async with fast.world.bot():
        await fast.until_announced(MEETING, "live")
        await fast.pass_time(90)
        await fast.until_announced(MEETING, "live")

    assert [shows(card) for card in cards(fast.slack, MEETING)] == ["ended", "live"]


async def test_three_replicas_announce_every_change_once_when_one_is_killed(fast: Scenario, postgres: Postgres) -> None:
    url = postgres.url(await postgres.create())
    meetings = [seeds.NEVER_LIVE, seeds.OFFLINE, seeds.IDLE]
    async with fast.process(url) as first, fast.process(url), fast.process(url) as third:
        fast.slack.request_url = f"{first.url}/slack/events"
        for meeting in meetings:
            await fast.follow(meeting)
            await fast.follow(meeting, channel=EVENTS)
        for meeting in meetings:
            fast.world.kit.go_live(meeting)
        third.process.kill()
        for meeting in meetings:
            for channel in (GENERAL, EVENTS):
                await fast.until_announced(meeting, "live", channel=channel)
            fast.world.kit.fail(meeting, "Nothing comes in")
        for meeting in meetings:
            for channel in (GENERAL, EVENTS):
                await fast.until_announced(meeting, "live", "errored", channel=channel)
            fast.world.kit.end(meeting)
        for meeting in meetings:
            for channel in (GENERAL, EVENTS):
                await fast.until_announced(meeting, "live", "errored", "ended", channel=channel)
        await fast.pass_time(120)

    for meeting in meetings:
        for channel in (GENERAL, EVENTS):
            [card] = cards(fast.slack, meeting, channel)
            assert replies_in(fast.slack, card) == ["live", "errored", "ended"]
            assert shows(card) == "ended"
