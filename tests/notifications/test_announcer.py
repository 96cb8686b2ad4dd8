"""What is recorded is said in Slack: once, in order, and again where it has to be."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.domain.episode import ChangeKind, Phase
from bot.errors import DatabaseUnavailable
from bot.notifications.announcer import DRAIN_SECONDS, MAX_CONCURRENT_EDITS, Timing
from bot.slack.api_client import FRESH_TIMEOUT_SECONDS
from bot.slack.rate_limiter import Rate, SlackRateLimiter
from bot.store.due_cards import DueCard
from sandbox.clock import Clock
from sandbox.slack import ANN, EVENTS, GENERAL, RANDOM, Fault
from sandbox.slack.log import Call
from sandbox.slack.watching import first
from sandbox.slack.workspace import Channel
from tests.notifications.announcer_harness import FREELY, NOON, Stage, staged

PATIENCE = 30.0


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


@contextlib.asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[None]:
    task = asyncio.create_task(stage.announcer.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_from_a_change_to_its_reply(stage: Stage) -> None:
    """A followed meeting has a card in the channel; what is recorded shows on it, and is told in its thread."""
    async with running(stage):
        await stage.follow()
        stage.announcer.wake()
        card = await stage.slack.wait_for_message(lambda message: message.channel == EVENTS, timeout=PATIENCE)
        assert card.text == "Launch keynote is not live yet."
        await settled(stage)
        stage.clock.advance(60)

        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        stage.announcer.wake()
        reply = await stage.slack.wait_for_message(lambda message: message.thread_ts == card.ts, timeout=PATIENCE)
        await settled(stage)

    assert reply.text.startswith("Launch keynote is live. Watch: https://")
    (card,) = stage.cards()
    assert card.text.startswith("Launch keynote is live")
    assert await stage.store.card_queue.due_in() is None


async def test_due_cards_beyond_the_concurrency_limit_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []
    claim = stage.store.card_queue.claim

    async def noted(owner: str, limit: int, *args: Any, **kwargs: Any) -> list[DueCard]:
        limits.append(limit)
        return await claim(owner, limit, *args, **kwargs)

    monkeypatch.setattr(stage.store.card_queue, "claim", noted)
    for number in range(50):
        channel = Channel(f"C{number:010}", f"room-{number}", frozenset({ANN}), has_bot=True)
        stage.slack.workspace.put_channel(channel)
        await stage.follow(channel.id)
    async with running(stage):
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        stage.announcer.wake()
        await said(stage, 100)

    assert min(limits) >= 8
    assert max(limits) == 16
    for number in range(50):
        (card,) = stage.cards(f"C{number:010}")
        assert len(stage.thread(card)) == 1


async def test_what_others_recorded(stage: Stage) -> None:
    """Nobody has to say that something is due: it looks every few seconds."""
    async with running(stage):
        await settled(stage)
        await stage.follow()
        stage.clock.advance(5)
        await said(stage, 1)


async def test_what_is_due_later(stage: Stage) -> None:
    """It is done when it is due."""
    await stage.follow()
    (card,) = await stage.claim()
    await stage.store.card_queue.defer(card, 2)
    async with running(stage):
        await settled(stage)
        stage.clock.advance(2)
        await said(stage, 1)


async def test_a_card_that_breaks_something(stage: Stage, log: io.StringIO) -> None:
    """It does not keep the others from being posted, and is tried again later."""
    stage.episode = replace(stage.episode, name=None)
    await stage.follow(GENERAL)
    (broken,) = await stage.claim()
    wrong = replace(broken, desired={"of": "tomorrow"})
    await stage.follow(EVENTS)
    (good,) = await stage.claim()

    with patched_claims(stage, [[wrong, good]]):
        async with running(stage):
            await said(stage, 1)
            await logged(log, "card_delivery_failed")
            await settled(stage)

    assert len(stage.cards(EVENTS)) == 1
    assert await stage.store.card_queue.due_in() == pytest.approx(2)


@pytest.mark.parametrize(
    ("error", "event"), [(DatabaseUnavailable(), "database_unavailable"), (RuntimeError(), "announcer_failed")]
)
async def test_a_store_that_is_out_of_reach(stage: Stage, log: io.StringIO, error: Exception, event: str) -> None:
    """It goes on when the store is back."""
    await stage.follow()
    with patched_claims(stage, [error]):
        async with running(stage):
            await logged(log, event)
            await settled(stage)
            stage.clock.advance(5)
            await said(stage, 1)


async def test_a_store_that_goes_away_while_it_works(
    stage: Stage, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be noted is noted when it is back; until then nothing new is begun."""
    posted = stage.store.card_queue.mark_posted

    async def unreachable(*args: Any, **kwargs: Any) -> bool:
        monkeypatch.setattr(stage.store.card_queue, "mark_posted", posted)
        raise DatabaseUnavailable

    monkeypatch.setattr(stage.store.card_queue, "mark_posted", unreachable)
    await stage.follow()
    async with running(stage):
        await logged(log, "result_not_written")
        stage.clock.advance(1)
        await settled(stage)

    assert stage.count("post", "sent") == 1
    assert len(stage.cards()) == 1
    assert await stage.store.card_queue.due_in() is None


async def test_a_refusal_is_logged(stage: Stage, log: io.StringIO) -> None:
    """With Slack's word for it, and where."""
    await stage.follow(RANDOM)

    await stage.work()

    line = await logged(log, "paused")
    assert (line["code"], line["channel"]) == ("not_in_channel", RANDOM)


async def test_announcer_reports_that_it_is_stuck(stage: Stage) -> None:
    """After a minute without a run."""
    async with running(stage):
        await settled(stage)
        stage.clock.advance(59)
        await settled(stage)
        assert stage.announcer.stall_problem() is None
        stage.clock.advance(59)
        assert stage.announcer.stall_problem() is None
    stage.clock.advance(60)

    assert stage.announcer.stall_problem() == "The announcer is stuck, so nothing is posted in Slack."


async def test_what_is_being_said_is_finished(stage: Stage) -> None:
    """An announcer that is stopped ends its sentence."""
    await stage.follow()
    async with running(stage):
        await first(stage.slack.events, lambda: stage.slack.calls or None, PATIENCE)

    assert await stage.store.card_queue.due_in() is None


def test_stopping_takes_longer_than_a_post() -> None:
    """What Slack was asked for at the last moment is answered, and noted."""
    assert DRAIN_SECONDS >= FRESH_TIMEOUT_SECONDS + 15
    assert Timing().post >= FRESH_TIMEOUT_SECONDS


async def test_nothing_is_begun_after_it_was_told_to_stop(stage: Stage) -> None:
    """While the rest of the bot finishes what it has begun."""
    async with running(stage):
        await settled(stage)
        stage.announcer.stop()
        await stage.follow()
        stage.announcer.wake()
        await settled(stage)

    assert stage.cards() == []


async def test_news_go_before_edits(tmp_path: Path) -> None:
    """A thousand cards that want an edit delay no announcement, and hold no hand that could announce."""
    clock = Clock(NOON, speed=0)
    rate_limiter = SlackRateLimiter(clock, per_channel=FREELY, posts=FREELY, edits=Rate(per_second=1, burst=3))
    async with staged(tmp_path, clock, rate_limiter) as stage:
        for number in range(40):
            channel = Channel(f"C{number:010}", f"room-{number}", frozenset({ANN}), has_bot=True)
            stage.slack.workspace.put_channel(channel)
            await stage.follow(channel.id)
        await stage.work()
        clock.advance(10)
        await stage.see(Phase.INTERRUPTED)
        clock.advance(10)
        await stage.follow(EVENTS)
        edits = stage.count("edit", "sent")
        async with running(stage):
            stage.announcer.wake()
            await said(stage, 41)
            await settled(stage)
            assert stage.count("edit", "sent") - edits == 3
            assert stage.count("edit", "waiting") == 0

    assert len(stage.cards(EVENTS)) == 1


async def test_a_hanging_edit_holds_no_hand_for_news(stage: Stage) -> None:
    """Edits that Slack does not answer leave room for what is to be announced."""
    for number in range(20):
        channel = Channel(f"C{number:010}", f"room-{number}", frozenset({ANN}), has_bot=True)
        stage.slack.workspace.put_channel(channel)
        await stage.follow(channel.id)
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.INTERRUPTED)
    stage.announcer = stage.another_announcer(drain_seconds=0.01)
    stage.slack.fault = Fault.HANG
    async with running(stage):
        stage.announcer.wake()
        await first(stage.slack.events, lambda: len(edits(stage)) >= MAX_CONCURRENT_EDITS or None, PATIENCE)
        stage.slack.fault = Fault.NONE
        await stage.follow(EVENTS)
        stage.announcer.wake()
        await stage.slack.wait_for_message(lambda message: message.channel == EVENTS, timeout=PATIENCE)
        assert len(edits(stage)) == MAX_CONCURRENT_EDITS


async def test_after_an_outage_nothing_is_taken_over_at_once(stage: Stage, log: io.StringIO) -> None:
    """Those who lost their lease in it write first what Slack has answered: also another bot's, which was cut off."""
    await stage.follow(EVENTS)
    (card,) = await stage.claim()
    stage.clock.advance(90)
    with patched_claims(stage, [DatabaseUnavailable()]):
        async with running(stage):
            await logged(log, "database_unavailable")
            await settled(stage)
            await stage.follow(GENERAL)
            stage.clock.advance(5)
            await said(stage, 1)
            await settled(stage)
            assert stage.cards(EVENTS) == []
            assert await stage.store.card_queue.mark_posted(card, "1.0", card.desired_version, last=True)
            for _ in range(25):
                stage.clock.advance(1)
                await settled(stage)

    assert stage.cards(EVENTS) == []


async def test_what_was_lost_in_an_outage_is_taken_over_later(stage: Stage, log: io.StringIO) -> None:
    """A bot that was killed in it writes nothing any more."""
    await stage.follow(EVENTS)
    await stage.claim()
    stage.clock.advance(90)
    with patched_claims(stage, [DatabaseUnavailable()]):
        async with running(stage):
            await logged(log, "database_unavailable")
            await settled(stage)
            for _ in range(26):
                stage.clock.advance(1)
                await settled(stage)

    assert len(stage.cards(EVENTS)) == 1


async def test_what_takes_too_long_is_left(stage: Stage) -> None:
    """But it does not wait for ever: whoever has the lease next says it."""
    stage.announcer = stage.another_announcer(drain_seconds=0.01)
    stage.slack.fault = Fault.HANG
    await stage.follow()
    async with running(stage):
        await first(stage.slack.events, lambda: stage.slack.calls or None, PATIENCE)

    assert await stage.store.card_queue.due_in() == pytest.approx(60)


def edits(stage: Stage) -> list[Call]:
    return [call for call in stage.slack.calls if call.method == "chat.update"]


async def settled(stage: Stage) -> None:
    """Until the announcer has nothing to do, and sleeps; the clock stands still."""
    announcer, calm = stage.announcer, 0
    async with asyncio.timeout(PATIENCE):
        # Twice: who has just been woken is counted among the sleepers for a moment still.
        while calm < 2:
            # At first, so that who was woken by the clock is up.
            await asyncio.sleep(0.005)
            asleep = stage.clock._sleepers and not announcer._tasks and not announcer._wake.is_set()
            calm = calm + 1 if asleep else 0


async def said(stage: Stage, messages: int) -> None:
    """Wait until so many messages are there."""
    every_message = stage.slack.workspace.every_message
    await first(stage.slack.events, lambda: len(list(every_message())) >= messages or None, PATIENCE)


async def logged(log: io.StringIO, event: str) -> dict[str, Any]:
    """The first log line of this event, already there or still to come."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for line in map(json.loads, log.getvalue().splitlines()):
                if line["event"] == event:
                    return dict(line)
            await asyncio.sleep(0.005)


@contextlib.contextmanager
def patched_claims(stage: Stage, answers: list[list[DueCard] | Exception]) -> Iterator[None]:
    """Let the store answer so to the first claims."""
    announcing, claim = stage.store.card_queue, stage.store.card_queue.claim

    async def answering(*args: Any, **kwargs: Any) -> list[DueCard]:
        if not answers:
            return await claim(*args, **kwargs)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(announcing, "claim", answering)
        yield
