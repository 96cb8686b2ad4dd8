"""A card is posted once and kept up to date; changes are announced in its thread in order."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import DONE, LATER, DeliveryResult, FollowState, Level
from sandbox.slack import ANN, BEN, EVENTS, GENERAL, RANDOM
from tests.notifications.announcer_harness import MEETING, TEAM, Stage


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
    assert await stage.due_in() is None


async def test_next_episode_has_its_own_card_and_thread(stage: Stage) -> None:
    """The old card still says how its episode ended."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.settle()
    (old,) = stage.cards()

    stage.next_episode()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()

    first, second = stage.cards()
    assert (first.ts, first.text) == (old.ts, old.text)
    assert len(stage.thread(first)) == 2
    assert len(stage.thread(second)) == 1


async def test_card_shows_the_last_version_and_its_thread_every_change(stage: Stage) -> None:
    await stage.follow_and_post()
    sent = len(stage.slack.sent)
    await stage.see(Phase.STARTING, ChangeKind.STARTING)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)

    await stage.work()

    assert [sent.method for sent in list(stage.slack.sent)[sent:]] == ["chat.update", *["chat.postMessage"] * 2]
    (card,) = stage.cards()
    assert card.text.startswith("Launch keynote is live")


async def test_quiet_follow_shows_changes_only_on_its_card(stage: Stage) -> None:
    await stage.follow_and_post(level=Level.QUIET)
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
    await stage.follow_and_post(level=Level.LOUD)
    await stage.broadcast()

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
    await stage.follow_and_post(level=Level.LOUD)
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
    await stage.follow_and_post()
    stage.clock.advance(1)
    await stage.see(Phase.INTERRUPTED)

    assert await stage.work() == [LATER]

    assert await stage.due_in() == pytest.approx(2)
    await stage.see(Phase.LIVE)
    stage.clock.advance(2)
    assert await stage.work() == [DONE]
    (card,) = stage.cards()
    assert card.text.startswith("Launch keynote is live")
    assert stage.count("edit", "sent") == 1


async def test_change_with_an_announcement_is_not_debounced(stage: Stage) -> None:
    """A card never lags behind its thread."""
    await stage.follow_and_post()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)

    assert await stage.work() == [DONE]

    assert stage.shows("is live")


@pytest.mark.parametrize("ahead", [3_600, -3_600])
async def test_debounce_ignores_the_machines_clock(stage: Stage, ahead: float) -> None:
    """It may be an hour off the database's clock, which dates the last edit."""
    await stage.follow_and_post()
    stage.clock.advance(60)
    await stage.see(Phase.INTERRUPTED)
    (due,) = await stage.claim()
    assert due.rendered_at is not None
    here = replace(due, claimed_at=due.claimed_at + ahead, rendered_at=due.rendered_at + timedelta(seconds=ahead))

    assert await stage.announcer.deliver(here) == DONE


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


@pytest.mark.parametrize(
    ("is_posted", "code", "replies"),
    [
        pytest.param(False, "duplicate_message_not_found", [1], id="card before it was recorded"),
        pytest.param(True, "thread_not_found", [0, 1], id="card before its reply"),
        # It was announced, so it is not repeated.
        pytest.param(True, "duplicate_message_not_found", [0], id="reply before it was recorded"),
    ],
)
async def test_deletion_before_an_answer_leads_to_one_card(
    stage: Stage, is_posted: bool, code: str, replies: list[int]
) -> None:
    await stage.follow()
    if is_posted:
        await stage.work()
    await stage.see(Phase.LIVE, ChangeKind.LIVE, visible=not is_posted)
    stage.slack.refuse_next("chat.postMessage", code)

    assert await stage.work() == [DONE]

    assert [len(stage.thread(card)) for card in stage.cards()] == replies
    assert await stage.due_in() is None


async def test_card_that_keeps_being_deleted_is_posted_with_backoff(stage: Stage) -> None:
    await stage.follow_and_post()
    waits = []
    for _ in range(3):
        stage.slack.delete_message(stage.cards()[0])
        stage.clock.advance(10)
        await stage.see(Phase.LIVE)
        if await stage.work() == [LATER]:
            wait = await stage.due_in()
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
    assert await stage.due_in() == pytest.approx(8)


@pytest.mark.parametrize(("channel", "code"), [(RANDOM, "not_in_channel"), (GENERAL, "is_archived")])
async def test_permanent_rejection_pauses_the_follow(stage: Stage, channel: str, code: str) -> None:
    """Once the follow resumes, pending changes are announced."""
    stage.slack.archive(GENERAL)
    await stage.follow(channel)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)

    assert await stage.work() == [DeliveryResult(refused=code)]

    (listed,) = await stage.store.follows.in_channel(TEAM, channel)
    assert (listed.follow.state, listed.follow.pause_reason) == (FollowState.PAUSED, code)
    assert await stage.due_in() is None


async def test_resumed_follow_announces_what_was_missed(stage: Stage) -> None:
    await stage.follow_and_post()
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


async def test_delay_of_an_announcement_is_measured(stage: Stage) -> None:
    """From recording the change to sending the reply."""
    await stage.follow_and_post()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.clock.advance(7)
    await stage.work()

    (family,) = stage.metrics.announcement_seconds.collect()
    values = {sample.name.rpartition("_")[2]: sample.value for sample in family.samples}
    assert values["count"] == 1
    assert values["sum"] == pytest.approx(7)


async def test_new_messages_mention_no_one(stage: Stage) -> None:
    """Slack notifies the people that a new message mentions. The first edit adds the mentions."""
    await stage.follow()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()
    await stage.see(Phase.ENDED, ChangeKind.ENDED)
    await stage.settle()
    stage.next_episode()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()
    stage.slack.delete_message(stage.cards()[-1])
    await stage.see(Phase.ERRORED, ChangeKind.ERRORED)
    await stage.settle()
    stage.clock.advance(30)
    await stage.see(Phase.LIVE, ChangeKind.BACK)
    await stage.settle()
    assert f"Followed by <@{ANN}>" in str(stage.cards()[-1].blocks)
    await stage.unfollow()
    await stage.settle()

    posts = [json.loads(sent.body) for sent in stage.slack.sent if sent.method == "chat.postMessage"]
    assert len(posts) >= 6
    assert "<@" not in json.dumps(posts)
    assert f"Unfollowed by <@{BEN}>" in str(stage.cards()[-1].blocks)
