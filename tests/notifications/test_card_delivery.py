"""A card is posted once and kept up to date; changes are announced in its thread in order."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pytest_mock import MockerFixture

from bot.clock import utc
from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import DONE, LATER, DeliveryResult, FollowState, Level
from bot.errors import DatabaseUnavailable
from bot.following.maintenance import RETENTION_SECONDS
from bot.following.service import FollowService
from bot.notifications.timing import backoff
from bot.slack.messages.lookup_card import FOLLOW_AGAIN, FOLLOW_MENU
from bot.slack.publisher import Publisher
from bot.slack.rate_limiter import Rate, SlackRateLimiter
from bot.store.card_queue import LATE_SECONDS
from bot.store.due_cards import DueCard
from bot.store.store import open_store
from sandbox.clock import Clock
from sandbox.slack import ANN, BEN, EVENTS, GENERAL, RANDOM, Fault
from sandbox.slack.watching import first
from tests.notifications.announcer_harness import FREELY, MEETING, NOON, TEAM, Stage, staged
from tests.store.helpers import expire


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


async def test_episode_has_one_card_and_a_thread_of_changes(stage: Stage) -> None:
    await stage.follow()
    assert await stage.work() == [DONE]
    for phase, kinds in (
        (Phase.STARTING, [ChangeKind.STARTING]),
        (Phase.LIVE, [ChangeKind.LIVE]),
        (Phase.INTERRUPTED, []),
        (Phase.ERRORED, [ChangeKind.ERRORED]),
        (Phase.LIVE, [ChangeKind.BACK]),
        (Phase.ENDED, [ChangeKind.ENDED]),
    ):
        stage.clock.advance(30)
        await stage.see(phase, *kinds)
        assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert card.text.startswith("Launch keynote has ended")
    starting, live, errored, back, ended = stage.thread(card)
    assert starting == "Launch keynote is starting."
    assert live.startswith("Launch keynote is live. Watch: ")
    assert errored == "Launch keynote hit an error: Cloudflare gave no reason."
    assert back.startswith("Launch keynote is live again.")
    assert ended.startswith("Launch keynote has ended")
    assert await stage.store.card_queue.due_in() is None


async def test_next_episode_has_its_own_card_and_thread(stage: Stage) -> None:
    """The old card still says how its episode ended."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.settle()
    (old,) = stage.cards()

    stage.next_run()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()

    first, second = stage.cards()
    assert (first.ts, first.text) == (old.ts, old.text)
    assert len(stage.thread(first)) == 2
    assert len(stage.thread(second)) == 1


async def test_card_shows_the_last_version_and_its_thread_every_change(stage: Stage) -> None:
    await stage.follow()
    await stage.work()
    sent = len(stage.slack.sent)
    await stage.see(Phase.STARTING, ChangeKind.STARTING)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)

    await stage.work()

    assert [sent.method for sent in list(stage.slack.sent)[sent:]] == ["chat.update", *["chat.postMessage"] * 2]
    (card,) = stage.cards()
    assert card.text.startswith("Launch keynote is live")


async def test_quiet_follow_shows_changes_only_on_its_card(stage: Stage) -> None:
    await stage.follow(level=Level.QUIET)
    await stage.work()
    stage.clock.advance(3)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)

    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert card.text.startswith("Launch keynote is live")
    assert stage.thread(card) == []


async def test_loud_follow_also_announces_in_the_channel(stage: Stage) -> None:
    """Only that a livestream is live, has an error or has ended."""
    await stage.follow(level=Level.LOUD)
    await stage.see(Phase.STARTING, ChangeKind.STARTING)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()
    stage.clock.advance(60)
    await stage.see(Phase.ERRORED, ChangeKind.ERRORED)
    await stage.work()
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.work()

    (card,) = stage.cards()
    loud = [reply.is_broadcast for reply in stage.slack.replies(card)]
    assert loud == [False, True, True, True]


async def test_loud_follow_announces_outdated_changes_only_in_the_thread(stage: Stage) -> None:
    """Except for the end."""
    await stage.follow(level=Level.LOUD)
    await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.work()

    (card,) = stage.cards()
    assert [reply.is_broadcast for reply in stage.slack.replies(card)] == [False, True]


@pytest.mark.parametrize(("recovered", "loud"), [(Phase.LIVE, False), (Phase.INTERRUPTED, True)])
async def test_loud_follow_announces_a_past_error_only_in_the_thread(
    stage: Stage, recovered: Phase, loud: bool
) -> None:
    await stage.follow(level=Level.LOUD)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()
    stage.slack.refuse_next("chat.postMessage", "ratelimited")
    await stage.see(Phase.ERRORED, ChangeKind.ERRORED)
    await stage.work()
    stage.clock.advance(60)
    await stage.see(recovered)
    await stage.work()

    (card,) = stage.cards()
    assert len(stage.thread(card)) == 2
    assert [reply.is_broadcast for reply in stage.slack.replies(card)] == [True, loud]


@pytest.mark.parametrize("how", ["paused", "slack is down"])
async def test_late_end_of_an_unannounced_livestream_is_only_in_the_thread(stage: Stage, how: str) -> None:
    """The channel did not see that it was live."""
    await stage.follow(level=Level.LOUD)
    await stage.work()
    stage.slack.refuse_next("chat.postMessage", "not_in_channel" if how == "paused" else "fatal_error")
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()
    stage.clock.advance(3 * 3600)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    if how == "paused":
        assert await stage.store.pauses.resume(TEAM, EVENTS)
    await stage.work()

    (card,) = stage.cards()
    assert [text[15:25] for text in stage.thread(card)] == ["has ended."]
    assert [reply.is_broadcast for reply in stage.slack.replies(card)] == [False]


async def test_edits_are_debounced(stage: Stage) -> None:
    """A card that has just been edited is edited again three seconds later, with what it should show by then."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(1)
    await stage.see(Phase.INTERRUPTED)

    assert await stage.work() == [LATER]

    assert await stage.store.card_queue.due_in() == pytest.approx(2)
    await stage.see(Phase.LIVE)
    stage.clock.advance(2)
    assert await stage.work() == [DONE]
    (card,) = stage.cards()
    assert card.text.startswith("Launch keynote is live")
    assert stage.count("edit", "sent") == 1


async def test_change_with_an_announcement_is_not_debounced(stage: Stage) -> None:
    """A card never lags behind its thread."""
    await stage.follow()
    await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)

    assert await stage.work() == [DONE]

    assert stage.cards()[0].text.startswith("Launch keynote is live")


@pytest.mark.parametrize("failure", ["busy", "broken"])
async def test_failed_edit_does_not_delay_the_thread(stage: Stage, failure: str) -> None:
    """The card is edited as soon as Slack allows it."""
    await stage.follow()
    await stage.work()
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
    assert await stage.store.card_queue.due_in() == pytest.approx(wait)
    stage.clock.advance(wait)
    assert await stage.work() == [DONE]
    assert stage.cards()[0].text.startswith("Launch keynote is live")
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
        assert stage.cards()[0].text.startswith("Launch keynote is live")


async def test_failed_edit_is_retried_with_backoff(stage: Stage) -> None:
    await stage.follow()
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.INTERRUPTED)
    stage.slack.refuse_next("chat.update", "internal_error", times=2)

    for wait in (2, 4):
        assert await stage.work() == [LATER]
        assert await stage.store.card_queue.due_in() == pytest.approx(wait)
        stage.clock.advance(wait)

    assert await stage.work() == [DONE]


@pytest.mark.parametrize("code", ["internal_error", "request_timeout"])
async def test_edit_that_failed_for_a_day_is_retried_twice_an_hour(stage: Stage, code: str) -> None:
    """The follow continues: its changes are announced, and the failure is shown."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.INTERRUPTED)
    stage.slack.refuse("chat.update", code)
    for _ in range(2):
        assert await stage.work() == [LATER]
        stage.clock.advance(12 * 3600)
    assert (await stage.store.card_queue.due_in() or 0) <= 0
    assert await stage.work() == [LATER]
    assert await stage.store.card_queue.due_in() == pytest.approx(1800)
    (listed,) = await stage.store.follows.in_channel(TEAM, EVENTS)
    assert [failure["code"] for failing in listed.failing for failure in failing.values()] == [code]
    assert listed.follow.state is FollowState.ACTIVE

    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    assert await stage.work() == [LATER]
    assert len(stage.thread(stage.cards()[0])) == 1
    stage.slack.accept()
    stage.clock.advance(3600)

    assert await stage.work() == [DONE]
    assert stage.cards()[0].text.startswith("Launch keynote is live")


async def test_post_that_failed_for_a_day_is_retried_twice_an_hour(stage: Stage) -> None:
    await stage.follow()
    stage.slack.refuse("chat.postMessage", "internal_error")
    for _ in range(2):
        assert await stage.work() == [LATER]
        stage.clock.advance(12 * 3600)
    assert await stage.work() == [LATER]
    assert await stage.store.card_queue.due_in() == pytest.approx(1800)
    stage.slack.accept()
    stage.clock.advance(3600)

    assert await stage.work() == [DONE]


async def test_card_is_retried_every_five_minutes_without_a_network(stage: Stage) -> None:
    """A failed connection is not Slack's answer; once the network is back, the card is soon up to date."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.INTERRUPTED)
    stage.slack.fault = Fault.SERVER_ERROR
    for _ in range(10):
        assert await stage.work() == [LATER]
        stage.clock.advance(3 * 3600)

    assert await stage.work() == [LATER]

    assert await stage.store.card_queue.due_in() == pytest.approx(300)


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 2), (1, 4), (7, 256), (8, 300), (10_000, 300)])
def test_backoff_doubles_up_to_five_minutes(attempts: int, seconds: float) -> None:
    assert backoff(attempts) == seconds


async def test_rate_limit_is_waited_out(stage: Stage) -> None:
    """Then all changes are announced in order."""
    await stage.follow()
    await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.slack.rate_limit_next("chat.postMessage", retry_after=600)

    assert await stage.work() == [LATER]
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    assert await stage.store.card_queue.due_in() == pytest.approx(600)
    stage.clock.advance(600)
    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert [text[15:25] for text in stage.thread(card)] == ["is live. W", "has ended."]


async def test_announcement_does_not_wait_for_a_deferred_edit(stage: Stage) -> None:
    await stage.follow()
    await stage.work()
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
    assert await stage.store.card_queue.due_in() == pytest.approx(1_740)
    stage.clock.advance(1_740)
    assert await stage.work() == [DONE]
    assert stage.cards()[0].text.startswith("Launch keynote has ended")


@pytest.mark.parametrize("ahead", [3_600, -3_600])
async def test_debounce_ignores_the_machines_clock(stage: Stage, ahead: float) -> None:
    """It may be an hour off the database's clock, which dates the last edit."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(60)
    await stage.see(Phase.INTERRUPTED)
    (due,) = await stage.claim()
    assert due.rendered_at is not None
    here = replace(due, claimed_at=due.claimed_at + ahead, rendered_at=due.rendered_at + timedelta(seconds=ahead))

    assert await stage.announcer.deliver(here) == DONE


@pytest.mark.parametrize("step", ["card", "reply"])
async def test_reply_without_an_answer_appears_once(stage: Stage, step: str) -> None:
    await stage.follow()
    if step == "reply":
        await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.slack.fault = Fault.DROP

    assert await stage.work() == [LATER]

    stage.slack.fault = Fault.NONE
    stage.clock.advance(59)
    assert await stage.work() == []
    stage.clock.advance(1)
    assert await stage.work() == [DONE]
    (card,) = stage.cards()
    assert len(stage.thread(card)) == 1


async def test_card_without_an_answer_is_edited_before_announcements(stage: Stage) -> None:
    """Slack keeps the first version that it accepted, and the card shows the current one before its thread does."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.slack.drop_after_accepting_next("chat.postMessage", 1)
    assert await stage.work() == [LATER]
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    stage.clock.advance(60)

    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert card.text.startswith("Launch keynote has ended")
    methods = [call.method for call in stage.slack.calls][-4:]
    assert methods == ["chat.postMessage", "chat.update", "chat.postMessage", "chat.postMessage"]


async def test_outdated_version_is_remembered_while_edits_fail(stage: Stage) -> None:
    await stage.follow()
    stage.slack.drop_after_accepting_next("chat.postMessage", 1)
    assert await stage.work() == [LATER]
    await stage.see(Phase.LIVE)
    stage.slack.rate_limit_next("chat.update", retry_after=10)
    stage.clock.advance(60)
    assert await stage.work() == [LATER]
    stage.clock.advance(10)

    assert await stage.work() == [DONE]

    assert stage.cards()[0].text.startswith("Launch keynote is live")


async def test_followers_card_without_an_answer_is_edited_later(stage: Stage) -> None:
    """As above, for the card that a person's command posts."""
    followed = await stage.follow(worker_id="announcer")
    assert followed.card is not None
    stage.slack.drop_after_accepting_next("chat.postMessage", 1)
    await stage.announcer.deliver(followed.card)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.clock.advance(60)

    assert await stage.work() == [DONE]

    assert stage.cards()[0].text.startswith("Launch keynote is live")


async def test_card_that_was_rejected_at_first_needs_no_edit(stage: Stage) -> None:
    """It shows the current version once it is posted."""
    await stage.follow()
    stage.slack.rate_limit_next("chat.postMessage", retry_after=10)
    assert await stage.work() == [LATER]
    stage.clock.advance(10)

    assert await stage.work() == [DONE]

    assert [call.method for call in stage.slack.calls] == ["chat.postMessage"] * 2


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
    restart(stage)
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
    assert await stage.store.card_queue.due_in() == pytest.approx(LATE_SECONDS)


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


async def test_deleted_card_is_posted_again(stage: Stage) -> None:
    """Later changes are announced in the new card's thread."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()
    stage.slack.delete_message(stage.cards()[0])
    stage.clock.advance(60)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)

    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert card.text.startswith("Launch keynote has ended")
    assert [text[:18] for text in stage.thread(card)] == ["Launch keynote has"]


async def test_card_deleted_before_a_reply_is_posted_again(stage: Stage) -> None:
    await stage.follow()
    await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE, visible=False)
    stage.slack.refuse_next("chat.postMessage", "thread_not_found")

    assert await stage.work() == [DONE]

    old, card = stage.cards()
    assert stage.thread(old) == []
    assert len(stage.thread(card)) == 1


async def test_card_deleted_before_it_was_recorded_is_posted_again(stage: Stage) -> None:
    await stage.follow()
    stage.slack.refuse_next("chat.postMessage", "duplicate_message_not_found")

    assert await stage.work() == [DONE]

    assert len(stage.cards()) == 1


async def test_reply_deleted_before_it_was_recorded_is_not_repeated(stage: Stage) -> None:
    await stage.follow()
    await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.slack.refuse_next("chat.postMessage", "duplicate_message_not_found")

    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert stage.thread(card) == []
    assert await stage.store.card_queue.due_in() is None


async def test_card_that_keeps_being_deleted_is_posted_with_backoff(stage: Stage) -> None:
    await stage.follow()
    await stage.work()
    waits = []
    for _ in range(3):
        stage.slack.delete_message(stage.cards()[0])
        stage.clock.advance(10)
        await stage.see(Phase.LIVE)
        if await stage.work() == [LATER]:
            wait = await stage.store.card_queue.due_in()
            assert wait is not None
            waits.append(wait)
            stage.clock.advance(wait)
            assert await stage.work() == [DONE]
        assert len(stage.cards()) == 1

    assert waits == pytest.approx([8, 16])


async def test_card_deleted_twice_is_not_posted_again_at_once(stage: Stage) -> None:
    await stage.follow()
    stage.slack.refuse_next("chat.postMessage", "duplicate_message_not_found", times=2)

    assert await stage.work() == [LATER]

    assert stage.cards() == []
    assert await stage.store.card_queue.due_in() == pytest.approx(8)


@pytest.mark.parametrize(("channel", "code"), [(RANDOM, "not_in_channel"), (GENERAL, "is_archived")])
async def test_permanent_rejection_pauses_the_follow(stage: Stage, channel: str, code: str) -> None:
    """Once the follow resumes, pending changes are announced."""
    stage.slack.archive(GENERAL)
    await stage.follow(channel)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)

    assert await stage.work() == [DeliveryResult(refused=code)]

    (listed,) = await stage.store.follows.in_channel(TEAM, channel)
    assert (listed.follow.state, listed.follow.pause_reason) == (FollowState.PAUSED, code)
    assert await stage.store.card_queue.due_in() is None


async def test_resumed_follow_announces_what_was_missed(stage: Stage) -> None:
    await stage.follow()
    await stage.work()
    stage.slack.remove_bot(EVENTS)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()
    stage.slack.invite_bot(EVENTS)
    await stage.store.pauses.resume(TEAM, EVENTS)

    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert len(stage.thread(card)) == 1


async def test_rejection_while_a_person_waits_pauses_nothing(stage: Stage) -> None:
    """No other worker claims the card."""
    followed = await stage.follow(RANDOM, worker_id="somebody", lease_seconds=60)
    assert followed.card is not None

    assert await stage.announcer.deliver(followed.card, pause=False) == DeliveryResult(refused="not_in_channel")

    (listed,) = await stage.store.follows.in_channel(TEAM, RANDOM)
    assert listed.follow.state is FollowState.ACTIVE
    assert await stage.claim() == []
    assert await stage.store.follows.unfollow(TEAM, RANDOM, MEETING, user_id="U2") is not None


async def test_card_posted_by_a_follow_command_is_like_any_other(stage: Stage) -> None:
    followed = await stage.follow(worker_id="somebody", lease_seconds=60)
    assert followed.card is not None
    assert await stage.claim() == []

    assert await stage.announcer.deliver(followed.card, pause=False) == DONE

    assert len(stage.cards()) == 1
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    assert await stage.work() == [DONE]
    assert len(stage.cards()) == 1


async def test_expired_follow_is_announced_and_loses_its_menu(stage: Stage) -> None:
    await stage.follow(level=Level.QUIET)
    await stage.work()
    stage.clock.advance(30 * 24 * 3600)
    await expire(stage.store)

    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert stage.thread(card)[0].startswith("Launch keynote hasn't been live for 30 days")
    assert "accessory" not in card.blocks[0]


async def test_expiry_is_not_announced_if_the_meeting_is_followed_again(stage: Stage) -> None:
    """The announcement would be wrong, and its button pointless."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(30 * 24 * 3600)
    await stage.see(Phase.WAITING)
    await expire(stage.store)
    await stage.follow()

    await stage.settle()

    old, new = stage.cards()
    assert (stage.thread(old), stage.thread(new)) == ([], [])
    assert old.text == "Launch keynote is followed here again, on a newer card."
    assert await stage.store.card_queue.due_in() is None


@pytest.mark.parametrize("again", [False, True])
async def test_expired_card_of_a_waiting_meeting_offers_to_follow_again(stage: Stage, again: bool) -> None:
    """It no longer says that it will update."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(30 * 24 * 3600)
    await expire(stage.store)
    if again:
        await stage.follow()

    await stage.work()

    card = stage.cards()[0]
    assert ("is no longer followed here" in card.text) is not again
    assert (FOLLOW_AGAIN in str(card.blocks)) is not again


async def test_delay_of_an_announcement_is_measured(stage: Stage) -> None:
    """From recording the change to sending the reply."""
    await stage.follow()
    await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.clock.advance(7)
    await stage.work()

    (family,) = stage.metrics.announcement_seconds.collect()
    values = {sample.name.rpartition("_")[2]: sample.value for sample in family.samples}
    assert values["count"] == 1
    assert values["sum"] == pytest.approx(7)


async def test_busy_channel_does_not_delay_others(tmp_path: Path) -> None:
    clock = Clock(NOON, speed=0)
    rate_limiter = SlackRateLimiter(clock, per_channel=Rate(per_second=0.1, burst=1))
    async with staged(tmp_path, clock, rate_limiter) as stage:
        await stage.follow()
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.follow(GENERAL)

        assert await stage.work() == [LATER, DONE]

        assert await stage.store.card_queue.due_in() == pytest.approx(10)
        assert utc(clock) - stage.episode.since < timedelta(seconds=1)


@pytest.mark.parametrize("first", [True, False])
async def test_unfollow_during_a_call_to_slack_updates_the_card(
    stage: Stage, mocker: MockerFixture, first: bool
) -> None:
    """A first card or an edit that was on its way shows the end in the end."""
    await stage.follow()
    if not first:
        await stage.work()
        stage.clock.advance(30)
        await stage.see(Phase.LIVE)
    name = "mark_posted" if first else "mark_rendered"
    write = getattr(stage.store.card_queue, name)

    async def too_late(*args: Any, **kwargs: Any) -> bool:
        mocker.stop(patched)
        await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
        return bool(await write(*args, **kwargs))

    patched = mocker.patch.object(stage.store.card_queue, name, too_late)

    assert await stage.work() == [LATER]
    stage.clock.advance(3)
    await stage.settle()

    (card,) = stage.slack.messages(EVENTS)
    assert "is no longer followed here" in card.text
    assert await stage.store.card_queue.due_in() is None


async def test_unfollowed_card_is_edited_once_the_rate_limit_allows(stage: Stage) -> None:
    await stage.follow()
    await stage.work()
    stage.clock.advance(60)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()
    stage.slack.rate_limit_next("chat.update", retry_after=40)
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)

    stage.clock.advance(3)
    assert await stage.work() == [LATER]
    assert stage.cards()[0].text.startswith("Launch keynote is live")
    stage.clock.advance(40)
    assert await stage.work() == [DONE]

    assert "is no longer followed here" in stage.cards()[0].text
    assert await stage.store.card_queue.due_in() is None


async def test_no_card_of_an_unfollowed_meeting_has_a_menu(stage: Stage) -> None:
    """Cards of earlier episodes still show how those ended."""
    await stage.follow()
    for _ in range(2):
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.see(Phase.ENDED, ChangeKind.ENDED)
        await stage.work()
        stage.next_run()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
    stage.clock.advance(3)

    assert await stage.work() == [DONE]

    first, second, last = stage.cards()
    assert first.text.startswith("Launch keynote has ended")
    assert second.text.startswith("Launch keynote has ended")
    assert "is no longer followed here" in last.text
    assert FOLLOW_MENU not in str([card.blocks for card in stage.cards()])
    assert await stage.store.card_queue.due_in() is None


def count_calls(stage: Stage, method: str) -> int:
    return sum(call.method == method for call in stage.slack.calls)


def count_edits(stage: Stage) -> int:
    return count_calls(stage, "chat.update")


async def end_an_episode(stage: Stage) -> None:
    """Have the followed meeting go live and end, and show it."""
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()
    stage.clock.advance(100)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.settle()
    stage.clock.advance(100)


@pytest.mark.parametrize("level", Level)
async def test_only_the_latest_card_shows_the_level_and_has_a_menu(stage: Stage, level: Level) -> None:
    """So a change of level leaves no card outdated."""
    await stage.follow()
    await end_an_episode(stage)
    assert FOLLOW_MENU in str(stage.cards()[0].blocks)
    stage.next_run()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()

    await stage.store.follows.set_level(TEAM, EVENTS, MEETING, level)
    await stage.settle()

    old, new = stage.cards()
    assert old.text.startswith("Launch keynote has ended")
    assert FOLLOW_MENU not in str(old.blocks)
    labels = {
        Level.QUIET: "Quiet: card only",
        Level.NORMAL: "Updates in thread",
        Level.LOUD: "Loud: thread and channel",
    }
    assert not any(label in str(old.blocks) for label in labels.values())
    assert labels[level] in str(new.blocks)
    assert FOLLOW_MENU in str(new.blocks)


@pytest.mark.parametrize("code", ["message_not_found", "edit_window_closed"])
async def test_earlier_card_that_cannot_be_edited_is_not_posted_again(stage: Stage, code: str) -> None:
    """It would appear below the card of the new episode."""
    await stage.follow()
    await end_an_episode(stage)
    stage.slack.refuse_next("chat.update", code)
    stage.next_run()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)

    await stage.settle()

    assert len(stage.cards()) == 2
    edits = count_edits(stage)
    await stage.store.pauses.resume(TEAM, EVENTS)
    await stage.settle()
    assert count_edits(stage) == edits


async def test_paused_follow_drops_the_menu_of_an_earlier_card_on_resuming(stage: Stage) -> None:
    await stage.follow()
    await end_an_episode(stage)
    stage.slack.refuse("chat.update", "not_in_channel", EVENTS)
    stage.next_run()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()
    assert FOLLOW_MENU in str(stage.cards()[0].blocks)

    stage.slack.accept()
    await stage.store.pauses.resume(TEAM, EVENTS)
    await stage.settle()

    old, new = stage.cards()
    assert FOLLOW_MENU not in str(old.blocks)
    assert FOLLOW_MENU in str(new.blocks)


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("how", ["unfollowed", "expired"])
async def test_card_of_a_past_follow_offers_to_follow_again_until_the_channel_does(
    stage: Stage, how: str, ended: bool
) -> None:
    """Then nothing is left of the past follow, and nothing more is sent."""
    past = await stage.follow()
    await stage.settle()
    if ended:
        await end_an_episode(stage)
    if how == "unfollowed":
        await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
    else:
        stage.clock.advance(31 * 24 * 3600)
        known = {"ended_at": stage.episode.ended_at} if ended else {}
        await stage.see(Phase.ENDED if ended else Phase.WAITING, visible=False, **known)
        await expire(stage.store)
    await stage.settle()
    (old,) = stage.cards()
    assert FOLLOW_AGAIN in str(old.blocks)
    assert not any(FOLLOW_AGAIN in str(reply.blocks) for reply in stage.slack.replies(old))

    await stage.follow()
    await stage.settle()

    old, new = stage.cards()
    assert old.text == "Launch keynote is followed here again, on a newer card."
    assert FOLLOW_AGAIN not in str(old.blocks)
    assert FOLLOW_MENU in str(new.blocks)
    assert not await stage.store.card_queue.remove_ended(past.follow)
    edits = count_edits(stage)
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
    await stage.follow()
    await stage.settle()
    assert [FOLLOW_AGAIN in str(card.blocks) for card in stage.cards()] == [False] * 3
    assert count_edits(stage) == edits + 1


async def test_retracted_follow_leaves_the_offer_to_follow_again(stage: Stage) -> None:
    """Slack refuses the new card, so the channel doesn't follow the meeting again."""
    await stage.follow()
    await stage.settle()
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
    await stage.settle()
    followed = await stage.follow(worker_id="worker")
    assert await stage.work() == []
    assert await stage.store.follows.retract(followed)

    await stage.settle()

    (old,) = stage.cards()
    assert FOLLOW_AGAIN in str(old.blocks)


async def test_past_follow_is_forgotten_after_thirty_days(stage: Stage) -> None:
    """Its card continues to offer to follow again; the press of the button removes that."""
    await stage.follow()
    await stage.settle()
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
    await stage.settle()
    stage.clock.advance(RETENTION_SECONDS - 60)
    await stage.store.maintenance.purge(RETENTION_SECONDS)
    assert not await stage.is_empty()

    stage.clock.advance(120)
    await stage.store.maintenance.purge(RETENTION_SECONDS)

    assert await stage.is_empty()


@pytest.mark.parametrize("honoured", [True, False])
async def test_unfollowed_while_its_first_post_is_unconfirmed(stage: Stage, honoured: bool) -> None:
    """Slack has accepted the card: the same ID finds it, or the final card is posted."""
    stage.slack.honors_client_msg_id = honoured
    await stage.follow()
    stage.slack.drop_after_accepting_next("chat.postMessage", 1)
    assert await stage.work() == [LATER]
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)

    stage.clock.advance(60)
    await stage.settle()

    assert "is no longer followed here" in stage.cards()[-1].text
    assert len(stage.cards()) == (1 if honoured else 2)
    assert await stage.store.card_queue.due_in() is None


async def test_unfollow_after_a_rejected_first_post_sends_nothing(stage: Stage) -> None:
    await stage.follow()
    stage.slack.rate_limit_next("chat.postMessage", retry_after=40)
    assert await stage.work() == [LATER]

    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)

    assert await stage.is_empty()
    assert stage.cards() == []


@pytest.mark.parametrize("how", ["deleted", "removed"])
async def test_unfollowed_card_that_cannot_be_edited_is_left(stage: Stage, how: str) -> None:
    """Nothing is posted in its place."""
    await stage.follow()
    await stage.work()
    if how == "deleted":
        stage.slack.delete_message(stage.cards()[0])
    else:
        stage.slack.refuse_next("chat.update", "channel_not_found")
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
    stage.clock.advance(3)

    assert await stage.work() == [DONE]

    assert await stage.store.card_queue.due_in() is None
    assert len(stage.cards()) == (0 if how == "deleted" else 1)


async def test_unfollow_of_a_paused_follow_updates_the_card(stage: Stage) -> None:
    """If Slack lets the bot edit."""
    await stage.follow()
    await stage.work()
    stage.slack.refuse_next("chat.postMessage", "restricted_action")
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    assert await stage.work() == [DeliveryResult(refused="restricted_action")]

    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
    stage.clock.advance(3)
    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert "is no longer followed here" in card.text
    assert stage.thread(card) == []


async def test_old_card_does_not_offer_to_follow_a_followed_meeting(stage: Stage) -> None:
    """The new follow has a card of its own."""
    await stage.follow()
    await stage.work()
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
    assert (await stage.follow()).is_new
    stage.clock.advance(3)

    assert await stage.work() == [DONE] * 2

    old, new = stage.cards()
    assert old.text == "Launch keynote is followed here again, on a newer card."
    assert FOLLOW_AGAIN not in str(old.blocks)
    assert FOLLOW_MENU in str(new.blocks)


async def test_no_card_of_an_expired_follow_has_a_menu(stage: Stage) -> None:
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.work()
    stage.next_run()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.work()
    stage.clock.advance(30 * 24 * 3600)
    await expire(stage.store)

    assert await stage.work() == [DONE] * 2

    assert FOLLOW_MENU not in str([card.blocks for card in stage.cards()])


@pytest.mark.parametrize("code", ["message_not_found", "edit_window_closed"])
async def test_expiry_reposts_only_the_newest_deleted_card(stage: Stage, code: str) -> None:
    """A deleted card of an earlier episode stays deleted."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.work()
    stage.next_run()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.work()
    stage.clock.advance(30 * 24 * 3600)
    await expire(stage.store)
    for _ in range(2):
        stage.slack.refuse_next("chat.update", code)

    assert await stage.work() == [DONE] * 2

    _, _, new = stage.cards()
    (reply,) = stage.thread(new)
    assert reply.startswith("Launch keynote hasn't been live for 30 days")
    assert await stage.store.card_queue.due_in() is None


# What Slack has not confirmed


async def test_edit_without_an_answer_is_followed_by_one_more(stage: Stage) -> None:
    """Slack carries it out after the next edit, so the card would stay outdated."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE)
    live = await stage.late_edit()
    assert await stage.work() == [LATER]
    stage.clock.advance(10)
    await stage.see(Phase.ENDED)
    assert await stage.work() == [DONE]
    assert stage.cards()[0].text.startswith("Launch keynote has ended")
    stage.clock.advance(80)  # so late was it carried out in a chaos run
    assert await stage.work() == []
    live()
    assert stage.cards()[0].text.startswith("Launch keynote is live")

    stage.clock.advance(LATE_SECONDS - 90)
    assert await stage.work() == [DONE]

    assert stage.cards()[0].text.startswith("Launch keynote has ended")
    assert await stage.store.card_queue.due_in() is None


async def overtaken_for_now(stage: Stage) -> None:
    """Let Slack carry out what it has not answered: the card shows the state before, and at the end the last one."""
    await stage.slack.all_applied()
    assert stage.cards()[0].text.startswith("Launch keynote is live")

    await stage.settle()

    assert stage.cards()[0].text.startswith("Launch keynote has ended")


@pytest.mark.parametrize("kinds", [(), (ChangeKind.LIVE,)])
async def test_edit_after_a_lost_connection_is_followed_by_one_more(
    stage: Stage, kinds: tuple[ChangeKind, ...]
) -> None:
    """Slack drops the connection, answers the second attempt, and carries out the first after the next edit."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE, *kinds)
    stage.slack.apply_late("chat.update", 80, closes=True)
    assert await stage.work() == [LATER]
    stage.clock.advance(backoff(0))
    assert await stage.work() == [DONE]
    assert stage.cards()[0].text.startswith("Launch keynote is live")
    stage.clock.advance(10)
    await stage.see(Phase.ENDED)
    assert await stage.work() == [DONE]
    assert stage.cards()[0].text.startswith("Launch keynote has ended")
    stage.clock.advance(70)
    await overtaken_for_now(stage)


async def test_rejected_edit_after_a_lost_connection_is_followed_by_one_more(stage: Stage) -> None:
    """Slack carries out the first attempt after all, and rejects the second for now."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE)
    stage.slack.apply_late("chat.update", 100, closes=True)
    assert await stage.work() == [LATER]
    stage.slack.rate_limit_next("chat.update", 60, 1)
    stage.clock.advance(backoff(0))
    assert await stage.work() == [LATER]
    stage.slack.accept()
    await stage.see(Phase.ENDED)
    stage.clock.advance(60)
    assert await stage.work() == [DONE]
    assert stage.cards()[0].text.startswith("Launch keynote has ended")
    stage.clock.advance(40)
    await overtaken_for_now(stage)


async def test_pause_remembers_an_edit_without_an_answer(stage: Stage) -> None:
    """Slack carries it out after the bot was removed, invited again, and has edited the card."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.slack.apply_late("chat.update", 80, closes=True)
    stage.slack.refuse_next("chat.postMessage", "not_in_channel")
    assert await stage.work() == [DeliveryResult(refused="not_in_channel", unconfirmed=True)]
    await stage.see(Phase.ENDED)
    await stage.store.pauses.resume(TEAM, EVENTS)
    stage.clock.advance(10)
    assert await stage.work() == [DONE]
    assert stage.cards()[0].text.startswith("Launch keynote has ended")
    stage.clock.advance(70)
    await overtaken_for_now(stage)


async def test_restart_during_an_edit_leads_to_one_more_edit(stage: Stage) -> None:
    """The next worker edits the card, and once more later."""
    await stage.follow()
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE)
    await stage.claim()
    stage.clock.advance(60)
    await stage.see(Phase.ENDED)

    assert await stage.work() == [DONE]

    edits = stage.count("edit", "sent")
    assert await stage.store.card_queue.due_in() == pytest.approx(LATE_SECONDS)
    stage.clock.advance(LATE_SECONDS)
    assert await stage.work() == [DONE]
    assert stage.count("edit", "sent") == edits + 1
    assert await stage.store.card_queue.due_in() is None


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
    await stage.follow()
    await stage.work()
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
    assert stage.cards()[0].text.startswith("Launch keynote is live")

    await stage.settle()

    assert stage.cards()[0].text.startswith("Launch keynote has ended")


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


async def test_recovery_is_announced_after_an_error_whose_post_got_no_answer(stage: Stage) -> None:
    """The error is too old to be posted again; without the recovery the thread would end with it."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()
    await stage.see(Phase.ERRORED, ChangeKind.ERRORED, visible=False)
    stage.slack.fault = Fault.DROP
    assert await stage.work() == [LATER]
    (card,) = stage.cards()
    assert len(stage.thread(card)) == 2

    stage.slack.fault = Fault.NONE
    stage.clock.advance(700)
    await stage.see(Phase.LIVE, ChangeKind.BACK)
    await stage.settle()

    assert [text.split(". ")[0] for text in stage.thread(card)][1:] == [
        "Launch keynote hit an error: Cloudflare gave no reason.",
        "Launch keynote is live again",
    ]


async def test_lease_is_renewed_before_a_call_that_could_outlive_it(stage: Stage, mocker: MockerFixture) -> None:
    await stage.follow()
    await stage.work()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    (card,) = await stage.claim()
    renew = mocker.spy(stage.store.card_queue, "renew")
    stage.clock.advance(40)

    assert await stage.announcer.deliver(card) == DONE

    assert renew.call_count == 1


# What Slack has confirmed


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
    if step == "sent":
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
    await stage.follow(level=Level.LOUD)
    await stage.work()
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


async def test_posts_without_an_answer_are_repeated_with_backoff(stage: Stage) -> None:
    """Slack accepts all of them for ten minutes, answers none, and ignores the ID."""
    stage.slack.honors_client_msg_id = False
    await stage.follow(level=Level.LOUD)
    await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE, visible=False)
    stage.slack.fault = Fault.DROP
    for _ in range(600):
        await stage.work()
        stage.clock.advance(1)

    (card,) = stage.cards()
    assert len(stage.thread(card)) == 4


async def test_post_that_was_not_sent_is_repeated_soon(stage: Stage, mocker: MockerFixture) -> None:
    """Without a connection nothing can have happened."""
    await stage.follow()
    error = aiohttp.ClientConnectorError(mocker.Mock(), OSError("no one there"))
    patched = mocker.patch.object(stage.publisher._client._fresh, "_request", side_effect=error)
    assert await stage.work() == [LATER]
    mocker.stop(patched)

    assert await stage.store.card_queue.due_in() == pytest.approx(2)


# What is no failure


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
        assert await stage.store.card_queue.due_in() == pytest.approx(60)
        clock.advance(60)
        assert await stage.work() == [DONE]
        await stage.see(Phase.INTERRUPTED)
        for _ in range(8):
            assert rate_limiter.acquire_edit() == 0
            assert await stage.work() == [LATER]
            clock.advance(10)
        stage.slack.refuse_next("chat.update", "fatal_error")
        assert await stage.work() == [LATER]
        assert await stage.store.card_queue.due_in() == pytest.approx(2)


async def test_debounce_is_not_a_failure(stage: Stage) -> None:
    """A card that changes all the time still waits only two seconds after its first error."""
    await stage.follow()
    await stage.work()
    await stage.see(Phase.INTERRUPTED)
    for _ in range(5):
        (card,) = await stage.claim()
        assert card.attempts == 0
        shown = replace(card, rendered_at=utc(stage.clock))
        assert await stage.announcer.deliver(shown) == LATER
        stage.clock.advance(3)
    stage.slack.refuse_next("chat.update", "fatal_error")

    assert await stage.work() == [LATER]

    assert await stage.store.card_queue.due_in() == pytest.approx(2)


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
        before = count_calls(stage, call)
        await stage.work()
        tries += [stage.clock.now() - since] * (count_calls(stage, call) - before)
        stage.clock.advance(15 * 60)
    quarters = [round(seconds / 900) for seconds in tries]
    assert quarters[:8] == [0, 1, 2, 4, 8, 16, 32, 64]
    assert len(quarters) <= 13
    waits = [later - earlier for earlier, later in pairwise(quarters)]
    assert waits == sorted(waits)
    assert waits[-1] <= 24 * 4 + 2
    stage.slack.accept()
    assert await stage.work() == []

    await stage.store.pauses.retry_denied(TEAM, EVENTS)

    assert await stage.work() == [DONE]
    assert await stage.store.card_queue.due_in() is None


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


def restart(stage: Stage) -> None:
    """Have another process deliver cards from now on."""
    client = stage.publisher._client
    rate_limiter = SlackRateLimiter(stage.clock, per_channel=FREELY, posts=FREELY, edits=FREELY)
    stage.publisher = Publisher(client, rate_limiter, stage.clock, stage.metrics)
    stage.announcer = stage.another_announcer(worker_id="another")


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
        restart(stage)
        stage.clock.advance(300)

    assert await stage.work() == [DeliveryResult(refused=code)]

    (listed,) = await stage.store.follows.in_channel(TEAM, EVENTS)
    assert (listed.follow.state, listed.follow.pause_reason) == (FollowState.PAUSED, code)


async def test_success_resets_the_time_of_the_failure(stage: Stage) -> None:
    """For its own kind of call only."""
    await stage.follow()
    await stage.work()
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
    restart(stage)
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


async def test_new_messages_mention_no_one(stage: Stage) -> None:
    """Slack notifies the people that a new message mentions. The first edit adds the mentions."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.settle()
    stage.next_run()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()
    stage.slack.delete_message(stage.cards()[-1])
    await stage.see(Phase.ERRORED, ChangeKind.ERRORED)
    await stage.settle()
    stage.clock.advance(30)
    await stage.see(Phase.LIVE, ChangeKind.BACK)
    await stage.settle()
    assert f"Followed by <@{ANN}>" in str(stage.cards()[-1].blocks)
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)
    await stage.settle()

    posts = [json.loads(sent.body) for sent in stage.slack.sent if sent.method == "chat.postMessage"]
    assert len(posts) >= 6
    assert "<@" not in json.dumps(posts)
    assert f"Unfollowed by <@{BEN}>" in str(stage.cards()[-1].blocks)


async def test_final_card_that_is_new_mentions_no_one(stage: Stage) -> None:
    """It is new if the first post was not confirmed."""
    await stage.follow()
    stage.slack.fault = Fault.SERVER_ERROR
    await stage.work()
    stage.slack.fault = Fault.NONE
    await stage.store.follows.unfollow(TEAM, EVENTS, MEETING, user_id=BEN)

    await stage.settle()

    posts = [json.loads(sent.body) for sent in stage.slack.sent if sent.method == "chat.postMessage"]
    assert len(posts) >= 2
    assert "<@" not in json.dumps(posts)


# A backup that is restored


def back_up(tmp_path: Path) -> Path:
    """Copy the database as the guides say."""
    path = tmp_path / "backup.db"
    with closing(sqlite3.connect(tmp_path / "livestream.db")) as database, closing(sqlite3.connect(path)) as backup:
        database.backup(backup)
    return path


def put_back(backup: Path) -> Path:
    for old in backup.parent.glob("livestream.db*"):
        old.unlink()
    return backup.rename(backup.parent / "livestream.db")


@asynccontextmanager
async def restored(stage: Stage, backup: Path) -> AsyncIterator[None]:
    """Have the bot continue with the backup's database."""
    await stage.store.close()
    stage.store = await open_store(f"sqlite:///{put_back(backup)}", clock=stage.clock.now)
    restart(stage)
    yield
    await stage.store.close()


async def test_next_livestream_is_announced_after_a_restored_backup(stage: Stage, tmp_path: Path) -> None:
    """Its episode has the number of another one, whose messages Slack still has."""
    await stage.follow()
    await stage.work()
    backup, before = back_up(tmp_path), stage.episode
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.work()

    async with restored(stage, backup):
        stage.episode = before
        stage.clock.advance(24 * 3600)
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.work()
        await stage.see(Phase.ENDED, ChangeKind.ENDED)
        await stage.work()

    (card,) = stage.cards()
    assert [text[15:25] for text in stage.thread(card)] == ["is live. W", "has ended."] * 2


async def test_next_episode_has_a_card_after_a_restored_backup(stage: Stage, tmp_path: Path) -> None:
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.work()
    backup, before = back_up(tmp_path), stage.episode
    stage.next_run()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()

    async with restored(stage, backup):
        stage.episode = before
        stage.clock.advance(24 * 3600)
        stage.next_run()
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.work()

    *_, card = cards = stage.cards()
    assert len(cards) == 3
    assert [text[15:25] for text in stage.thread(card)] == ["is live. W"]


async def test_deleted_card_is_posted_again_after_a_restored_backup(stage: Stage, tmp_path: Path) -> None:
    """With its current state, though Slack has a message with another one."""
    await stage.follow()
    await stage.work()
    backup, before = back_up(tmp_path), stage.episode
    stage.slack.delete_message(stage.cards()[0])
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()

    async with restored(stage, backup):
        stage.episode = before
        stage.clock.advance(24 * 3600)
        await stage.see(Phase.STARTING, ChangeKind.STARTING)
        await stage.settle()

    card = stage.cards()[-1]
    assert card.text.startswith("Launch keynote is starting")
    assert stage.thread(card) == ["Launch keynote is starting."]
