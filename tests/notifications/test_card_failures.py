"""Slack rejects calls for a card, once or for long, or makes them wait."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bot.clock import utc
from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import DONE, LATER, DeliveryResult, FollowState
from bot.following.service import FollowService
from bot.notifications.timing import backoff
from bot.slack.rate_limiter import Rate, SlackRateLimiter
from sandbox.clock import Clock
from sandbox.slack import EVENTS, GENERAL, Fault
from tests.notifications.announcer_harness import FREELY, NOON, TEAM, Stage, staged


@pytest.mark.parametrize("failure", ["busy", "broken"])
async def test_failed_edit_does_not_delay_the_thread(stage: Stage, failure: str) -> None:
    """The card is edited as soon as Slack allows it."""
    await stage.follow_and_post()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    if failure == "busy":
        stage.slack.rate_limit_next("chat.update", retry_after=40)
    else:
        stage.slack.refuse_next("chat.update", "update_failed")

    assert await stage.work() == [LATER]

    (card,) = stage.cards()
    assert len(stage.thread(card)) == 1
    assert card.edited is None
    wait = 40 if failure == "busy" else 3
    assert await stage.due_in() == pytest.approx(wait)
    stage.clock.advance(wait)
    assert await stage.work() == [DONE]
    assert stage.shows("is live")
    assert len(stage.thread(card)) == 1


async def test_thread_does_not_wait_for_the_token_bucket_of_edits(tmp_path: Path) -> None:
    """With a thousand cards to edit, even short waits would add up."""
    clock = Clock(NOON, speed=0)
    rate_limiter = SlackRateLimiter(clock, per_channel=FREELY, posts=FREELY, edits=Rate(per_second=1, burst=1))
    async with staged(tmp_path, clock, rate_limiter) as stage:
        await stage.follow()
        await stage.work()
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        assert rate_limiter.acquire_edit() == 0  # taken by another card

        async with asyncio.timeout(30):
            assert await stage.work() == [LATER]

        (card,) = stage.cards()
        assert len(stage.thread(card)) == 1
        stage.clock.advance(3)
        assert await stage.work() == [DONE]
        assert stage.shows("is live")


async def test_failed_edit_is_retried_with_backoff(stage: Stage) -> None:
    await stage.follow_and_post()
    stage.clock.advance(10)
    await stage.see(Phase.INTERRUPTED)
    stage.slack.refuse_next("chat.update", "internal_error", times=2)

    for wait in (2, 4):
        assert await stage.work() == [LATER]
        assert await stage.due_in() == pytest.approx(wait)
        stage.clock.advance(wait)

    assert await stage.work() == [DONE]


@pytest.mark.parametrize("code", ["internal_error", "request_timeout"])
async def test_edit_that_failed_for_a_day_is_retried_twice_an_hour(stage: Stage, code: str) -> None:
    """The follow continues: its changes are announced, and the failure is shown."""
    await stage.follow_and_post()
    stage.clock.advance(10)
    await stage.see(Phase.INTERRUPTED)
    stage.slack.refuse("chat.update", code)
    for _ in range(2):
        assert await stage.work() == [LATER]
        stage.clock.advance(12 * 3600)
    assert (await stage.due_in() or 0) <= 0
    assert await stage.work() == [LATER]
    assert await stage.due_in() == pytest.approx(1800)
    (listed,) = await stage.store.follows.in_channel(TEAM, EVENTS)
    assert [failure["code"] for failing in listed.failing for failure in failing.values()] == [code]
    assert listed.follow.state is FollowState.ACTIVE

    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    assert await stage.work() == [LATER]
    assert len(stage.thread(stage.cards()[0])) == 1
    stage.slack.accept()
    stage.clock.advance(3600)

    assert await stage.work() == [DONE]
    assert stage.shows("is live")


async def test_post_that_failed_for_a_day_is_retried_twice_an_hour(stage: Stage) -> None:
    await stage.follow()
    stage.slack.refuse("chat.postMessage", "internal_error")
    for _ in range(2):
        assert await stage.work() == [LATER]
        stage.clock.advance(12 * 3600)
    assert await stage.work() == [LATER]
    assert await stage.due_in() == pytest.approx(1800)
    stage.slack.accept()
    stage.clock.advance(3600)

    assert await stage.work() == [DONE]


async def test_card_is_retried_every_five_minutes_without_a_network(stage: Stage) -> None:
    """A failed connection is not Slack's answer; once the network is back, the card is soon up to date."""
    await stage.follow_and_post()
    stage.clock.advance(10)
    await stage.see(Phase.INTERRUPTED)
    stage.slack.fault = Fault.SERVER_ERROR
    for _ in range(10):
        assert await stage.work() == [LATER]
        stage.clock.advance(3 * 3600)

    assert await stage.work() == [LATER]

    assert await stage.due_in() == pytest.approx(300)


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 2), (1, 4), (7, 256), (8, 300), (10_000, 300)])
def test_backoff_doubles_up_to_five_minutes(attempts: int, seconds: float) -> None:
    assert backoff(attempts) == seconds


async def test_rate_limit_is_waited_out(stage: Stage) -> None:
    """Then all changes are announced in order."""
    await stage.follow_and_post()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.slack.rate_limit_next("chat.postMessage", retry_after=600)

    assert await stage.work() == [LATER]
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    assert await stage.due_in() == pytest.approx(600)
    stage.clock.advance(600)
    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert [text[15:25] for text in stage.thread(card)] == ["is live. W", "has ended."]


async def test_announcement_does_not_wait_for_a_deferred_edit(stage: Stage) -> None:
    await stage.follow_and_post()
    stage.clock.advance(60)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()
    stage.clock.advance(60)
    stage.slack.rate_limit_next("chat.update", retry_after=1_800)
    await stage.see(Phase.INTERRUPTED)
    assert await stage.work() == [LATER]

    stage.clock.advance(60)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    assert await stage.work() == [LATER]

    (card,) = stage.cards()
    assert [text[15:25] for text in stage.thread(card)] == ["is live. W", "has ended."]
    assert await stage.due_in() == pytest.approx(1_740)
    stage.clock.advance(1_740)
    assert await stage.work() == [DONE]
    assert stage.shows("has ended")


async def test_busy_channel_does_not_delay_others(tmp_path: Path) -> None:
    clock = Clock(NOON, speed=0)
    rate_limiter = SlackRateLimiter(clock, per_channel=Rate(per_second=0.1, burst=1))
    async with staged(tmp_path, clock, rate_limiter) as stage:
        await stage.follow()
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.follow(GENERAL)

        assert await stage.work() == [LATER, DONE]

        assert await stage.due_in() == pytest.approx(10)
        assert utc(clock) - stage.episode.since < timedelta(seconds=1)


async def test_waiting_for_a_token_bucket_is_not_a_failure(tmp_path: Path) -> None:
    """The backoff after the first error is the shortest, however often the card waited before."""
    clock = Clock(NOON, speed=0)
    rate_limiter = SlackRateLimiter(
        clock, per_channel=Rate(per_second=0.1, burst=1), posts=FREELY, edits=Rate(per_second=0.1, burst=1)
    )
    async with staged(tmp_path, clock, rate_limiter) as stage:
        await stage.follow()
        for _ in range(8):
            assert rate_limiter.acquire_post(EVENTS) == 0
            assert await stage.work() == [LATER]
            clock.advance(10)
        stage.slack.refuse_next("chat.postMessage", "internal_error")
        assert await stage.work() == [LATER]
        assert await stage.due_in() == pytest.approx(60)
        clock.advance(60)
        assert await stage.work() == [DONE]
        await stage.see(Phase.INTERRUPTED)
        for _ in range(8):
            assert rate_limiter.acquire_edit() == 0
            assert await stage.work() == [LATER]
            clock.advance(10)
        stage.slack.refuse_next("chat.update", "fatal_error")
        assert await stage.work() == [LATER]
        assert await stage.due_in() == pytest.approx(2)


async def test_debounce_is_not_a_failure(stage: Stage) -> None:
    """A card that changes all the time still waits only two seconds after its first error."""
    await stage.follow_and_post()
    await stage.see(Phase.INTERRUPTED)
    for _ in range(5):
        (card,) = await stage.claim()
        assert card.attempts == 0
        shown = replace(card, rendered_at=utc(stage.clock))
        assert await stage.announcer.deliver(shown) == LATER
        stage.clock.advance(3)
    stage.slack.refuse_next("chat.update", "fatal_error")

    assert await stage.work() == [LATER]

    assert await stage.due_in() == pytest.approx(2)


@pytest.mark.parametrize("call", ["chat.postMessage", "chat.update"])
async def test_card_is_tried_more_and_more_rarely_until_an_admin_lets_the_bot_in(stage: Stage, call: str) -> None:
    """At first after a quarter of an hour, in the end once a day; at once if a person does something in the channel."""
    await stage.follow()
    if call == "chat.update":
        await stage.work()
        stage.clock.advance(30)
        await stage.see(Phase.STARTING)
    stage.slack.refuse(call, "ekm_access_denied", EVENTS)
    since, tries = stage.clock.now(), list[float]()
    while stage.clock.now() < since + 5 * 24 * 3600:
        before = stage.count_calls(call)
        await stage.work()
        tries += [stage.clock.now() - since] * (stage.count_calls(call) - before)
        stage.clock.advance(15 * 60)
    quarters = [round(seconds / 900) for seconds in tries]
    assert quarters[:8] == [0, 1, 2, 4, 8, 16, 32, 64]
    assert len(quarters) <= 13
    waits = [later - earlier for earlier, later in pairwise(quarters)]
    assert waits == sorted(waits)
    assert waits[-1] <= 24 * 4 + 2
    stage.slack.accept()
    await stage.work()
    assert stage.count_calls(call) == len(quarters), "it waits although Slack would accept the card now"

    await stage.store.pauses.retry_denied(TEAM, EVENTS)

    assert await stage.work() == [DONE]
    assert await stage.due_in() is None


@pytest.mark.parametrize("code", ["token_revoked", "missing_scope"])
async def test_waiting_for_the_bot_token_is_not_a_failure(stage: Stage, code: str) -> None:
    """The backoff after the first error is the shortest, however often Slack refused the token."""
    await stage.follow()
    for _ in range(10):
        # Another process learns of the refusal by itself, from what Slack answers to its own call.
        stage.slack.refuse_next("chat.postMessage", code)
        (result,) = await stage.work()
        assert not result.done
        await stage.publisher._client.auth_test()
        stage.clock.advance(30 * 60)
    stage.slack.refuse_next("chat.postMessage", "update_failed")
    assert await stage.work() == [LATER]
    stage.clock.advance(backoff(0))

    assert await stage.work() == [DONE]

    assert len(stage.cards()) == 1


@pytest.mark.parametrize(("code", "hours"), [("a_word_of_tomorrow", 1), ("update_failed", 24)])
@pytest.mark.parametrize("call", ["chat.postMessage", "chat.update"])
async def test_lasting_failure_pauses_the_follow_despite_restarts(
    stage: Stage, call: str, code: str, hours: int
) -> None:
    """The time since the first failure is stored."""
    await stage.follow()
    if call == "chat.update":
        await stage.work()
        stage.clock.advance(30)
        await stage.see(Phase.STARTING)
    stage.slack.refuse(call, code, EVENTS)
    since = stage.clock.now()
    assert await stage.work() == [LATER]
    while stage.clock.now() < since + hours * 3600:
        assert DeliveryResult(refused=code) not in await stage.work()
        stage.restart()
        stage.clock.advance(hours * 300)

    assert await stage.work() == [DeliveryResult(refused=code)]

    (listed,) = await stage.store.follows.in_channel(TEAM, EVENTS)
    assert (listed.follow.state, listed.follow.pause_reason) == (FollowState.PAUSED, code)


async def test_success_resets_the_time_of_the_failure(stage: Stage) -> None:
    """For its own kind of call only."""
    await stage.follow_and_post()
    stage.slack.refuse("chat.update", "a_word_of_tomorrow", EVENTS)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()
    stage.clock.advance(1800)
    stage.slack.accept()
    assert await stage.work() == [DONE]
    stage.slack.refuse("chat.update", "a_word_of_tomorrow", EVENTS)
    await stage.see(Phase.ERRORED)
    stage.clock.advance(1900)
    assert await stage.work() == [LATER]
    stage.clock.advance(1800)
    await stage.see(Phase.LIVE, ChangeKind.BACK)
    assert await stage.work() == [LATER]
    assert stage.thread(stage.cards()[0])[-1].startswith("Launch keynote is live again.")
    stage.clock.advance(1900)

    assert await stage.work() == [DeliveryResult(refused="a_word_of_tomorrow")]


async def test_lasting_failure_is_listed_after_a_restart(stage: Stage) -> None:
    following = FollowService(stage.store, nothing, stage.announcer.deliver, stage.context.wake_ups, "a")
    await stage.follow()
    stage.slack.refuse("chat.postMessage", "a_word_of_tomorrow", EVENTS)
    await stage.work()
    first = stage.clock.now()
    assert await following.failing(await following.list_follows(TEAM, EVENTS)) is None
    stage.restart()
    stage.clock.advance(200)
    await stage.work()

    failing = await following.failing(await following.list_follows(TEAM, EVENTS))

    assert failing is not None
    assert (failing.code, failing.since.timestamp()) == ("a_word_of_tomorrow", first)
    stage.slack.accept()
    stage.clock.advance(300)
    assert await stage.work() == [DONE]
    assert await following.failing(await following.list_follows(TEAM, EVENTS)) is None


async def nothing(_: object) -> Any:
    raise NotImplementedError
