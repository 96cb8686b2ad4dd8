"""Workers that die, are suspended or lose a lease leave a card to the next worker without a trace."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import DONE, LATER, DeliveryResult, Level
from bot.errors import DatabaseUnavailable
from bot.slack.rate_limiter import Rate, SlackRateLimiter
from bot.store.card_queue import LATE_SECONDS
from bot.store.due_cards import DueCard
from sandbox.clock import Clock
from sandbox.slack import EVENTS, Fault
from sandbox.slack.watching import first
from tests.notifications.announcer_harness import FREELY, NOON, Stage, staged


@pytest.mark.parametrize("step", ["mark_posted", "mark_sent"])
async def test_crash_before_the_result_is_written_repeats_with_the_same_id(
    stage: Stage, step: str, mocker: MockerFixture
) -> None:
    """Another process continues once the lease has ended."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    dying = mocker.patch.object(stage.store.card_queue, step, side_effect=asyncio.CancelledError)
    with pytest.raises(asyncio.CancelledError):
        await stage.work()
    mocker.stop(dying)

    stage.clock.advance(60)
    stage.restart()
    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert len(stage.thread(card)) == 1
    assert [sent.method for sent in stage.slack.sent].count("chat.postMessage") == 3


async def test_crash_before_the_release_leads_to_one_edit(stage: Stage) -> None:
    """The worker may have died during another edit."""
    await stage.follow()
    (card,) = await stage.claim()
    await stage.store.card_queue.mark_posted(card, "1.0", card.desired_version)

    stage.clock.advance(60)
    assert await stage.work() == [DONE]

    assert stage.cards() == []
    assert await stage.due_in() == pytest.approx(LATE_SECONDS)


async def test_lost_lease_leaves_the_card_to_its_new_holder(stage: Stage) -> None:
    await stage.follow()
    await stage.see(Phase.STARTING, ChangeKind.STARTING)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    (slow,) = await stage.claim()
    stage.clock.advance(60)
    (card,) = await stage.claim()

    assert await stage.announcer.deliver(slow) == LATER
    assert await stage.announcer.deliver(card) == DONE

    (posted,) = stage.cards()
    assert len(stage.thread(posted)) == 2


async def test_restart_during_an_edit_leads_to_one_more_edit(stage: Stage) -> None:
    """The next worker edits the card, and once more later."""
    await stage.follow_and_post()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE)
    await stage.claim()
    stage.clock.advance(60)
    await stage.see(Phase.ENDED)

    assert await stage.work() == [DONE]

    edits = stage.count("edit", "sent")
    assert await stage.due_in() == pytest.approx(LATE_SECONDS)
    stage.clock.advance(LATE_SECONDS)
    assert await stage.work() == [DONE]
    assert stage.count("edit", "sent") == edits + 1
    assert await stage.due_in() is None


async def test_no_call_to_slack_begins_after_the_deadline(stage: Stage) -> None:
    """A process that was suspended for a minute leaves the card to the lease's new holder."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    (frozen,) = await stage.claim()
    calls = len(stage.slack.calls)
    stage.clock.advance(60)

    assert await stage.announcer.deliver(frozen) == LATER

    assert len(stage.slack.calls) == calls


@pytest.mark.parametrize("what", ["post", "reply", "edit"])
async def test_deadline_is_checked_after_the_wait_for_a_token(tmp_path: Path, what: str) -> None:
    clock = Clock(NOON, speed=0)
    busy = Rate(per_second=1, burst=1)
    rate_limiter = SlackRateLimiter(clock, per_channel=FREELY, posts=FREELY if what == "edit" else busy, edits=busy)
    async with staged(tmp_path, clock, rate_limiter) as stage:
        await stage.follow()
        if what != "post":
            await stage.work()
            clock.advance(5)
            await stage.see(Phase.LIVE, *([ChangeKind.LIVE] if what == "reply" else []), visible=what == "edit")
        assert (rate_limiter.acquire_edit() if what == "edit" else rate_limiter.acquire_post(EVENTS)) == 0
        (card,) = await stage.claim()
        calls = len(stage.slack.calls)

        working = asyncio.create_task(stage.announcer.deliver(card))
        async with asyncio.timeout(30):
            while not clock._sleepers:  # noqa: ASYNC110
                await asyncio.sleep(0)
        clock.advance(60)

        assert await working == LATER
        assert len(stage.slack.calls) == calls


async def test_edit_after_the_deadline_is_followed_by_one_more(stage: Stage, mocker: MockerFixture) -> None:
    """The process was suspended between checking the deadline and the call."""
    await stage.follow_and_post()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE)
    (frozen,) = await stage.claim()
    edit = stage.publisher.edit

    async def late(*args: Any, **kwargs: Any) -> None:
        mocker.stop(patched)
        stage.clock.advance(60)
        await stage.see(Phase.ENDED)
        assert await stage.work() == [DONE]
        stage.clock.advance(LATE_SECONDS)
        assert await stage.work() == [DONE]
        kwargs.pop("deadline")
        await edit(*args, **kwargs)

    patched = mocker.patch.object(stage.publisher, "edit", late)
    assert await stage.announcer.deliver(frozen) == LATER
    assert stage.shows("is live")

    await stage.settle()

    assert stage.shows("has ended")


async def test_call_does_not_outlive_the_lease(stage: Stage) -> None:
    """The worker stops waiting for Slack before another may claim the card."""
    await stage.follow()
    stage.slack.fault = Fault.HANG
    (card,) = await stage.claim()
    working = asyncio.create_task(stage.announcer.deliver(card))
    await first(stage.slack.events, lambda: stage.slack.calls or None, 30)

    stage.clock.advance(54)

    assert await working == LATER
    assert stage.count("post", "unconfirmed") == 1


async def test_lease_is_renewed_before_a_call_that_could_outlive_it(stage: Stage, mocker: MockerFixture) -> None:
    await stage.follow_and_post()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    (card,) = await stage.claim()
    renew = mocker.spy(stage.store.card_queue, "renew")
    stage.clock.advance(40)

    assert await stage.announcer.deliver(card) == DONE

    assert renew.call_count == 1


@pytest.mark.parametrize("step", ["mark_posted", "mark_sent"])
async def test_result_is_written_once_the_database_is_back(stage: Stage, mocker: MockerFixture, step: str) -> None:
    """Even if it was down for longer than the lease, and Slack ignores the ID, nothing is posted twice."""
    stage.slack.honors_client_msg_id = False
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    write = getattr(stage.store.card_queue, step)
    back_at = stage.clock.now() + 90

    async def away(*args: Any, **kwargs: Any) -> bool:
        if stage.clock.now() < back_at:
            raise DatabaseUnavailable
        return bool(await write(*args, **kwargs))

    mocker.patch.object(stage.store.card_queue, step, away)
    working = asyncio.create_task(stage.work())
    async with asyncio.timeout(30):
        while not working.done():
            await asyncio.sleep(0)
            if stage.clock._sleepers:
                stage.clock.advance(1)

    assert await working == [DONE]
    (card,) = stage.cards()
    assert len(stage.thread(card)) == 1
    await stage.settle()
    assert len(stage.thread(card)) == 1


@pytest.mark.parametrize("step", ["mark_posted", "mark_sent"])
async def test_duplicate_after_a_lost_lease_is_deleted(stage: Stage, mocker: MockerFixture, step: str) -> None:
    """The next holder has posted the message, too."""
    stage.slack.honors_client_msg_id = False
    await stage.follow()
    if step == "mark_sent":
        await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    (frozen,) = await stage.claim()
    write = getattr(stage.store.card_queue, step)

    async def late(*args: Any, **kwargs: Any) -> bool:
        mocker.stop(patched)
        stage.clock.advance(60)
        assert await stage.work() == [DONE]
        return bool(await write(*args, **kwargs))

    patched = mocker.patch.object(stage.store.card_queue, step, late)
    assert await stage.announcer.deliver(frozen) == LATER

    (card,) = stage.cards()
    assert len(stage.thread(card)) == 1
    await stage.settle()
    assert len(stage.thread(card)) == 1
    assert len(stage.cards()) == 1


async def test_duplicate_reply_is_deleted_in_thread_and_channel(stage: Stage, mocker: MockerFixture) -> None:
    stage.slack.honors_client_msg_id = False
    await stage.follow_and_post(level=Level.LOUD)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    (frozen,) = await stage.claim()
    write = stage.store.card_queue.mark_sent
    repeated, reported = asyncio.Event(), asyncio.Event()
    holders: list[asyncio.Task[DeliveryResult]] = []

    async def late(card: DueCard, *args: Any, **kwargs: Any) -> bool | None:
        if card.lease == frozen.lease:
            stage.clock.advance(60)
            (again,) = await stage.claim()
            holders.append(asyncio.create_task(stage.announcer.deliver(again)))
            await repeated.wait()
        else:
            repeated.set()
            await reported.wait()
        return await write(card, *args, **kwargs)

    mocker.patch.object(stage.store.card_queue, "mark_sent", late)
    async with asyncio.timeout(30):
        assert await stage.announcer.deliver(frozen) == LATER
        reported.set()
        assert await holders[0] == DONE

    (card,) = stage.cards()
    await stage.settle()
    assert len(stage.thread(card)) == 1


async def test_reported_result_is_not_repeated(stage: Stage, mocker: MockerFixture) -> None:
    """A process that was suspended for a minute reports what Slack has answered."""
    stage.slack.honors_client_msg_id = False
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    (frozen,) = await stage.claim()
    write = stage.store.card_queue.mark_posted

    async def late(*args: Any, **kwargs: Any) -> None:
        mocker.stop(patched)
        stage.clock.advance(60)
        (card,) = await stage.claim()
        await stage.store.card_queue.defer(card, 30)
        await write(*args, **kwargs)

    patched = mocker.patch.object(stage.store.card_queue, "mark_posted", late)
    assert await stage.announcer.deliver(frozen) == LATER
    await stage.settle()

    (card,) = stage.cards()
    assert len(stage.thread(card)) == 1
