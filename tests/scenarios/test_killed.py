"""The bot dies between a change and its being told; the next one tells it, and tells nothing twice."""

import asyncio
import contextlib
import signal
from pathlib import Path

import pytest

from sandbox.bot_process import BotDidNotStart
from sandbox.realtimekit import seeds
from sandbox.slack import EVENTS, GENERAL
from tests.postgres import Postgres, postgres
from tests.scenarios.scenario import Story, cards, shows, told

__all__ = ["postgres"]

MEETING = seeds.NEVER_LIVE
IN_THE_THREAD = [
    "before:Tracking.record:1",
    "after:Tracking.record:1",
    "after:Announcing.claim:1",
    "before:Delivery.edit:1",
    "after:Delivery.edit:1",
    "before:Delivery.post:1",
    "after:Delivery.post:1",
    "before:Announcing.sent:1",
    "after:Announcing.sent:1",
]
WITH_A_NEW_CARD = [
    "before:Delivery.post:1",
    "after:Delivery.post:1",
    "before:Announcing.posted:1",
    "after:Announcing.posted:1",
    "after:Delivery.post:2",
    "after:Announcing.sent:1",
]


async def killed(story: Story, database: Path, step: str) -> None:
    """Run a bot that dies there."""
    with contextlib.suppress(BotDidNotStart):
        async with story.process(f"sqlite:///{database}", step) as bot:
            status = await asyncio.wait_for(bot.ended(), 60)
            assert status == -signal.SIGKILL, bot.last_words()


@pytest.mark.parametrize("step", IN_THE_THREAD)
async def test_a_change_is_told_once(fast: Story, tmp_path: Path, step: str) -> None:
    """Wherever it is killed, "live" is in the thread once, and what follows too."""
    async with fast.world.bot():
        await fast.follow(MEETING)
    fast.world.kit.go_live(MEETING)
    await killed(fast, tmp_path / "livestream-bot.db", step)

    async with fast.world.bot():
        await fast.until_told(MEETING, "live")
        await fast.pass_time(90)  # longer than any lease
        await fast.until_told(MEETING, "live")
        fast.world.kit.end(MEETING)
        card = await fast.until_told(MEETING, "live", "ended")

    assert len(cards(fast.slack, MEETING)) == 1
    assert fast.card(MEETING) == card


@pytest.mark.parametrize("step", WITH_A_NEW_CARD)
async def test_a_new_card_is_posted_once(fast: Story, tmp_path: Path, step: str) -> None:
    """Wherever it is killed, the next run has one card, and "live" once in its thread."""
    async with fast.world.bot():
        fast.world.kit.go_live(MEETING)
        await fast.follow(MEETING)
        fast.world.kit.end(MEETING)
        await fast.until_told(MEETING, "ended")
        await fast.until_shown(MEETING, "ended")
    fast.world.kit.go_live(MEETING)
    await killed(fast, tmp_path / "livestream-bot.db", step)

    async with fast.world.bot():
        await fast.until_told(MEETING, "live")
        await fast.pass_time(90)
        await fast.until_told(MEETING, "live")

    assert [shows(card) for card in cards(fast.slack, MEETING)] == ["ended", "live"]


async def test_three_replicas(fast: Story, postgres: Postgres) -> None:
    """Three processes on one PostgreSQL, one of which is killed: every change in every channel, once, in order."""
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
                await fast.until_told(meeting, "live", channel=channel)
            fast.world.kit.fail(meeting, "Nothing comes in")
        for meeting in meetings:
            for channel in (GENERAL, EVENTS):
                await fast.until_told(meeting, "live", "errored", channel=channel)
            fast.world.kit.end(meeting)
        for meeting in meetings:
            for channel in (GENERAL, EVENTS):
                await fast.until_told(meeting, "live", "errored", "ended", channel=channel)
        await fast.pass_time(120)

    for meeting in meetings:
        for channel in (GENERAL, EVENTS):
            [card] = cards(fast.slack, meeting, channel)
            assert told(fast.slack, card) == ["live", "errored", "ended"]
            assert shows(card) == "ended"
