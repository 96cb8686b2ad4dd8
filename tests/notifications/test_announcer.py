"""Recorded changes are announced in Slack once, in order, and again where that is necessary."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.domain.episode import ChangeKind, Phase
from bot.errors import DatabaseUnavailable
from bot.notifications.announcer import MAX_CONCURRENCY, MAX_CONCURRENT_EDITS
from bot.notifications.timing import DRAIN_SECONDS, Timing
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


@contextlib.asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[None]:
    task = asyncio.create_task(stage.announcer.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_change_updates_the_card_and_is_announced_in_its_thread(stage: Stage) -> None:
    async with running(stage):
        await stage.follow()
        stage.wake_up()
        card = await stage.slack.wait_for_message(lambda message: message.channel == EVENTS, timeout=PATIENCE)
        assert card.text == "Launch keynote is not live yet."
        await settled(stage)
        stage.clock.advance(60)

        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        stage.wake_up()
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
        stage.wake_up()
        await said(stage, 100)

    assert min(limits) >= 8
    assert max(limits) == 16
    for number in range(50):
        (card,) = stage.cards(f"C{number:010}")
        assert len(stage.thread(card)) == 1


async def test_changes_of_other_replicas_are_found(stage: Stage) -> None:
    """The announcer checks for them every few seconds."""
    async with running(stage):
        await settled(stage)
        await stage.follow()
        stage.clock.advance(5)
        await said(stage, 1)


async def test_card_due_later_is_delivered_then(stage: Stage) -> None:
    await stage.follow()
    (card,) = await stage.claim()
    await stage.store.card_queue.defer(card, 2)
    async with running(stage):
        await settled(stage)
        stage.clock.advance(2)
        await said(stage, 1)


async def test_failing_card_does_not_stop_the_others(stage: Stage, log: io.StringIO) -> None:
    """It is retried later."""
    stage.episode = replace(stage.episode, name=None)
    await stage.follow(GENERAL)
    (broken,) = await stage.claim()
    wrong = replace(broken, stored_episode={"of": "tomorrow"})
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
    ("error", "event"), [(DatabaseUnavailable(), "database_unavailable"), (RuntimeError(), "worker_failed")]
)
async def test_announcer_continues_after_a_database_outage(
    stage: Stage, log: io.StringIO, error: Exception, event: str
) -> None:
    await stage.follow()
    with patched_claims(stage, [error]):
        async with running(stage):
            await logged(log, event)
            await settled(stage)
            stage.clock.advance(5)
            await said(stage, 1)


async def test_results_are_written_after_an_outage_before_new_work(
    stage: Stage, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_pause_is_logged_with_slacks_code(stage: Stage, log: io.StringIO) -> None:
    await stage.follow(RANDOM)

    await stage.work()

    line = await logged(log, "follow_paused")
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


async def test_stopped_announcer_finishes_the_cards_in_progress(stage: Stage) -> None:
    await stage.follow()
    async with running(stage):
        await first(stage.slack.events, lambda: stage.slack.calls or None, PATIENCE)

    assert await stage.store.card_queue.due_in() is None


def test_drain_lasts_longer_than_a_post() -> None:
    """The answer to the last request is received and written."""
    assert DRAIN_SECONDS >= FRESH_TIMEOUT_SECONDS + 15
    assert Timing().post >= FRESH_TIMEOUT_SECONDS


async def test_no_card_is_started_after_stop(stage: Stage) -> None:
    """The rest of the bot is finishing its requests at that time."""
    async with running(stage):
        await settled(stage)
        stage.announcer.stop()
        await stage.follow()
        stage.wake_up()
        await settled(stage)

    assert stage.cards() == []


async def test_edits_do_not_delay_announcements(tmp_path: Path) -> None:
    """A thousand cards that need an edit use none of the announcements' slots."""
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
            stage.wake_up()
            await said(stage, 41)
            await settled(stage)
            assert stage.count("edit", "sent") - edits == 3
            assert stage.count("edit", "waiting") == 0

    assert len(stage.cards(EVENTS)) == 1


async def test_edit_without_an_answer_does_not_delay_announcements(stage: Stage) -> None:
    for number in range(20):
        channel = Channel(f"C{number:010}", f"room-{number}", frozenset({ANN}), has_bot=True)
        stage.slack.workspace.put_channel(channel)
        await stage.follow(channel.id)
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.INTERRUPTED)
    stage.announcer = stage.another_announcer(Timing(drain=0.01))
    stage.slack.fault = Fault.HANG
    async with running(stage):
        stage.wake_up()
        await first(stage.slack.events, lambda: len(edits(stage)) >= MAX_CONCURRENT_EDITS or None, PATIENCE)
        stage.slack.fault = Fault.NONE
        await stage.follow(EVENTS)
        stage.wake_up()
        await stage.slack.wait_for_message(lambda message: message.channel == EVENTS, timeout=PATIENCE)
        assert len(edits(stage)) == MAX_CONCURRENT_EDITS


async def test_edits_without_an_answer_do_not_hold_up_announcements_for_long(stage: Stage) -> None:
    channels = [Channel(f"C{number:010}", f"room-{number}", frozenset({ANN}), has_bot=True) for number in range(20)]
    for channel in channels:
        stage.slack.workspace.put_channel(channel)
        await stage.follow(channel.id)
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.announcer = stage.another_announcer(Timing(drain=0.01))
    stage.slack.answer_late("chat.update", 1000, times=None)

    def announced() -> int:
        return sum(len(stage.thread(stage.cards(channel.id)[0])) for channel in channels)

    def reaching(number: int, count: Callable[[], int]) -> Callable[[], bool | None]:
        return lambda: count() >= number or None

    async with running(stage):
        for number in (MAX_CONCURRENCY, len(channels)):
            stage.wake_up()
            await first(stage.slack.events, reaching(number, lambda: len(edits(stage))), PATIENCE)
            stage.clock.advance(Timing().edit_before_announcement)
            await first(stage.slack.events, reaching(number, announced), PATIENCE)


async def test_expired_leases_are_respected_right_after_an_outage(stage: Stage, log: io.StringIO) -> None:
    """Workers that lost a lease in the outage, in other replicas too, first write what Slack has answered."""
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
            await stage.store.card_queue.mark_posted(card, "1.0", card.desired_version, last=True)
            for _ in range(25):
                stage.clock.advance(1)
                await settled(stage)

    assert stage.cards(EVENTS) == []


async def test_cards_of_a_killed_worker_are_claimed_after_an_outage(stage: Stage, log: io.StringIO) -> None:
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


async def test_drain_gives_up_after_its_timeout(stage: Stage) -> None:
    """The next holder of the lease continues."""
    stage.announcer = stage.another_announcer(Timing(drain=0.01))
    stage.slack.fault = Fault.HANG
    await stage.follow()
    async with running(stage):
        await first(stage.slack.events, lambda: stage.slack.calls or None, PATIENCE)

    assert await stage.store.card_queue.due_in() == pytest.approx(60)


def edits(stage: Stage) -> list[Call]:
    return [call for call in stage.slack.calls if call.method == "chat.update"]


async def settled(stage: Stage) -> None:
    """Wait until the announcer is idle. The clock does not advance."""
    announcer, calm = stage.announcer, 0
    async with asyncio.timeout(PATIENCE):
        # Twice: who has just been woken is counted among the sleepers for a moment still.
        while calm < 2:
            # At first, so that who was woken by the clock is up.
            await asyncio.sleep(0.005)
            asleep = stage.clock._sleepers and not announcer._tasks and not announcer._wake_up.is_set()
            calm = calm + 1 if asleep else 0


async def said(stage: Stage, messages: int) -> None:
    """Wait for this number of messages."""
    every_message = stage.slack.workspace.every_message
    await first(stage.slack.events, lambda: len(list(every_message())) >= messages or None, PATIENCE)


async def logged(log: io.StringIO, event: str) -> dict[str, Any]:
    """Wait for the first log line of this event, and return it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            for line in map(json.loads, log.getvalue().splitlines()):
                if line["event"] == event:
                    return dict(line)
            await asyncio.sleep(0.005)


@contextlib.contextmanager
def patched_claims(stage: Stage, answers: list[list[DueCard] | Exception]) -> Iterator[None]:
    """Have the store answer the first claims in this way."""
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
