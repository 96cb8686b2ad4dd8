"""People get one notice if the bot can no longer post about the meetings that they follow."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_mock import MockerFixture

from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import Level
from bot.errors import DatabaseUnavailable
from bot.notifications.pause_notices import BATCH_SIZE, MAX_ATTEMPTS, PauseNotifier
from bot.slack.messages.follow_replies import listing
from bot.slack.messages.lookup_card import FOLLOW_MENU
from sandbox.slack import ANN, BEN, EVENTS, RANDOM, Fault, Message
from sandbox.slack.watching import first
from tests.conftest import PATIENCE
from tests.notifications.announcer_harness import TEAM, Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Set up a channel with a follow, from which the bot was removed."""
    async with staged(tmp_path) as stage:
        await stage.follow()
        await stage.work()
        stage.slack.remove_bot(EVENTS)
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.work()
        yield stage


def notices(stage: Stage) -> list[Message]:
    """Return the notices in Ann's direct message."""
    channel = f"D{ANN[1:]}"
    return stage.slack.messages(channel) if channel in stage.slack.workspace.channels else []


async def test_notice_is_sent_once(stage: Stage) -> None:
    """It says why the follow is paused, and how to fix that."""
    for _ in range(3):
        await stage.notices.run()

    (notice,) = notices(stage)
    assert f"<#{EVENTS}>" in notice.text
    assert "Invite me back" in notice.text


def another_notifier(stage: Stage) -> PauseNotifier:
    """Return the notifier of another replica."""
    context = replace(stage.context, worker_id="b")
    return PauseNotifier(stage.store.pauses, stage.store.singleton_jobs, stage.publisher, context)


async def test_only_one_replica_sends_a_notice(stage: Stage) -> None:
    other = PauseNotifier(
        stage.store.pauses, stage.store.singleton_jobs, stage.publisher, replace(stage.context, worker_id="b")
    )

    await asyncio.gather(stage.notices.run(), other.run())

    assert len(notices(stage)) == 1


class Killed(Exception):
    """Stands for the end of the process."""


async def test_crash_after_sending_repeats_the_notice_with_the_same_id(stage: Stage, mocker: MockerFixture) -> None:
    """It appears once."""
    dying = mocker.patch.object(stage.store.pauses, "mark_notified", side_effect=Killed)
    with pytest.raises(Killed):
        await stage.notices.run()
    mocker.stop(dying)
    stage.clock.advance(300)

    await PauseNotifier(
        stage.store.pauses, stage.store.singleton_jobs, stage.publisher, replace(stage.context, worker_id="b")
    ).run()

    assert len(notices(stage)) == 1
    assert await stage.store.pauses.due_notices(10) == []


async def test_each_new_pause_has_a_notice(stage: Stage) -> None:
    await stage.notices.run()
    stage.slack.invite_bot(EVENTS)
    await stage.store.pauses.resume(TEAM, EVENTS)
    stage.slack.remove_bot(EVENTS)
    stage.clock.advance(1)
    await stage.work()

    await stage.notices.run()

    assert len(notices(stage)) == 2


async def test_notice_that_an_admin_has_to_allow_is_given_up_in_the_end(stage: Stage) -> None:
    """It is not tried every quarter of an hour forever."""
    stage.slack.refuse_direct_messages(ANN, "ekm_access_denied")
    before = len(stage.slack.calls)
    for _ in range(200):
        await stage.notices.run()
        stage.clock.advance(15 * 60)

    tries = len(stage.slack.calls) - before
    assert 1 < tries <= MAX_ATTEMPTS + 1
    (status,) = await stage.store.follows.in_channel(TEAM, EVENTS)
    assert status.follow.notice_error == "ekm_access_denied"


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.DROP])
async def test_unconfirmed_notice_is_sent_again_and_appears_once(stage: Stage, fault: Fault) -> None:
    stage.slack.fault = fault
    await stage.notices.run()
    stage.slack.fault = Fault.NONE
    stage.clock.advance(59)
    await stage.notices.run()
    stage.clock.advance(1)

    await stage.notices.run()
    await stage.notices.run()

    assert len(notices(stage)) == 1


async def test_sent_notice_is_recorded_once_the_database_is_back(stage: Stage, mocker: MockerFixture) -> None:
    """Also if Slack does not honor the message's ID."""
    stage.slack.honors_client_msg_id = False
    mark_notified = stage.store.pauses.mark_notified
    errors = [DatabaseUnavailable(), DatabaseUnavailable()]

    async def fail_twice(*arguments: Any) -> None:
        if errors:
            raise errors.pop()
        await mark_notified(*arguments)

    mocker.patch.object(stage.store.pauses, "mark_notified", fail_twice)
    running = asyncio.create_task(stage.notices.run())
    while not running.done():
        await asyncio.sleep(0.01)
        stage.clock.advance(0.5)
    await running
    stage.clock.advance(600)
    await stage.notices.run()

    assert len(notices(stage)) == 1


async def test_stop_waits_for_the_notice_that_is_being_sent(stage: Stage) -> None:
    stage.slack.honors_client_msg_id = False
    stage.slack.answer_late("chat.postMessage", 7)
    running = asyncio.create_task(stage.notices.run())
    await first(stage.slack.events, lambda: notices(stage) or None, PATIENCE)

    running.cancel()
    await asyncio.sleep(0)
    stage.clock.advance(7)
    await asyncio.gather(running, return_exceptions=True)
    stage.clock.advance(600)
    await stage.notices.run()

    assert len(notices(stage)) == 1


async def test_notice_is_not_sent_after_the_lease(stage: Stage, mocker: MockerFixture) -> None:
    """A process that was suspended leaves it to another replica."""
    due_notices = stage.store.pauses.due_notices
    calls = 0

    async def freeze_before_the_batch(limit: int) -> Any:
        nonlocal calls
        calls += 1
        due = await due_notices(limit)
        if calls == 2:
            stage.clock.advance(400)
        return due

    mocker.patch.object(stage.store.pauses, "due_notices", freeze_before_the_batch)
    await stage.notices.run()

    assert notices(stage) == []


async def test_rejected_notice_is_given_up(stage: Stage) -> None:
    stage.slack.refuse_next("chat.postMessage", "user_disabled")
    await stage.notices.run()

    await stage.notices.run()

    assert notices(stage) == []


def direct(stage: Stage, user: str) -> list[Message]:
    channel = f"D{user[1:]}"
    return stage.slack.messages(channel) if channel in stage.slack.workspace.channels else []


async def pause_for(stage: Stage, channel: str, user: str, meetings: int = 1) -> None:
    """Create follows of one person in a channel where the bot cannot post."""
    for _ in range(meetings):
        followed = await stage.store.follows.follow(
            TEAM, channel, uuid4(), user_id=user, level=Level.NORMAL, episode=stage.episode
        )
        (card,) = [card for card in await stage.claim() if card.follow.id == followed.follow.id]
        assert await stage.store.pauses.pause(card, "not_in_channel") is not None


async def test_one_notice_is_sent_per_person_and_channel(stage: Stage) -> None:
    """It covers all meetings that the person follows there, including one that is paused later."""
    await pause_for(stage, RANDOM, BEN, meetings=5)

    await stage.notices.run()
    await pause_for(stage, RANDOM, BEN)
    await stage.notices.run()

    (notice,) = direct(stage, BEN)
    assert "and 2 more in" in notice.text
    assert len(notices(stage)) == 1
    assert await stage.store.pauses.due_notices(10) == []


@pytest.mark.parametrize("code", ["a_word_of_tomorrow", "message_limit_exceeded"])
async def test_failing_notice_does_not_delay_others(stage: Stage, code: str) -> None:
    """It is retried with backoff."""
    await stage.notices.run()
    for number in range(BATCH_SIZE):
        user = f"U0NOBODY{number:03}"
        await pause_for(stage, f"C{number}", user)
        stage.slack.refuse("chat.postMessage", code, user)
    stage.clock.advance(1)
    await pause_for(stage, RANDOM, BEN)

    await stage.notices.run()

    assert len(direct(stage, BEN)) == 1
    calls = len(stage.slack.calls)
    await stage.notices.run()
    assert len(stage.slack.calls) == calls
    stage.clock.advance(30)
    assert len(await stage.store.pauses.due_notices(100)) == BATCH_SIZE


async def test_disabled_direct_messages_are_reported_in_the_list(stage: Stage, log: io.StringIO) -> None:
    """And in the log. The notice is not retried."""
    stage.slack.refuse_next("chat.postMessage", "messages_tab_disabled")

    await stage.notices.run()
    await stage.notices.run()

    (listed,) = await stage.store.follows.in_channel(TEAM, EVENTS)
    (message,) = listing([listed], lambda channel, ts: None)
    assert f"I couldn't send <@{ANN}> a direct message about it" in message.text
    assert "Messages tab" in message.text
    assert '"code": "messages_tab_disabled"' in log.getvalue()
    assert notices(stage) == []


@pytest.mark.parametrize("waits", ["paced", "token_revoked"])
async def test_waiting_is_not_a_failed_attempt(stage: Stage, waits: str) -> None:
    """For a token bucket or for the bot token."""
    token_is_refused = waits == "token_revoked"
    if token_is_refused:
        stage.slack.refuse("chat.postMessage", waits, ANN)
    for _ in range(MAX_ATTEMPTS + 10):
        if not token_is_refused:
            stage.publisher._rate_limiter.on_post_limited(ANN, 5)
        await stage.notices.run()
        stage.clock.advance(60)
    assert notices(stage) == []
    if token_is_refused:
        stage.slack.accept("chat.postMessage", ANN)
        await stage.publisher._client.auth_test()
    stage.slack.fault = Fault.SERVER_ERROR
    await stage.notices.run()
    stage.slack.fault = Fault.NONE
    stage.clock.advance(60)

    await stage.notices.run()

    assert len(notices(stage)) == 1


async def expire(stage: Stage) -> None:
    """Let a month pass without a livestream, and try to announce the expiry."""
    stage.clock.advance(31 * 24 * 3600)
    await stage.see(Phase.WAITING)
    assert await stage.store.maintenance.expire()
    await stage.work()
    stage.clock.advance(60)
    await stage.notices.run()


async def test_follow_that_expires_without_the_bot_has_a_notice(tmp_path: Path) -> None:
    """The first rejection leads to the notice. Once the bot is back, the card no longer says that it will update."""
    async with staged(tmp_path) as stage:
        await stage.follow()
        await stage.work()
        stage.slack.remove_bot(EVENTS)
        await expire(stage)
        await stage.notices.run()

        (notice,) = notices(stage)
        assert notice.text.startswith(f"I've stopped following *Launch keynote* in <#{EVENTS}>")
        assert "I couldn't post this there because I'm not in it." in notice.text
        assert "pick up where I left off" not in notice.text

        stage.slack.invite_bot(EVENTS)
        await stage.store.pauses.resume(TEAM, EVENTS)
        await stage.settle()
        (card,) = stage.cards()
        assert card.text == "Launch keynote is no longer followed here."
        assert FOLLOW_MENU not in str(card.blocks)
        assert "hasn't been live for 30 days" in stage.thread(card)[0]
        await stage.notices.run()
        assert len(notices(stage)) == 1


async def test_paused_follow_that_expires_has_another_notice(stage: Stage) -> None:
    """The first one said that the follow would resume after an invitation."""
    await stage.notices.run()
    await expire(stage)

    _, notice = notices(stage)
    assert notice.text.startswith(f"I've stopped following *Launch keynote* in <#{EVENTS}>")

    stage.slack.invite_bot(EVENTS)
    await stage.store.pauses.resume(TEAM, EVENTS)
    await stage.settle()
    (card,) = stage.cards()
    assert FOLLOW_MENU not in str(card.blocks)
    assert "hasn't been live for 30 days" in stage.thread(card)[-1]
