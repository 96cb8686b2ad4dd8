"""Cards of earlier episodes, and of expired and unfollowed follows: what they offer, and how they end."""

import json
from typing import Any

import pytest
from pytest_mock import MockerFixture

from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import DONE, LATER, DeliveryResult, Level
from bot.following.maintenance import RETENTION_SECONDS
from bot.slack.messages.lookup_card import FOLLOW_AGAIN, FOLLOW_MENU
from sandbox.slack import EVENTS, Fault
from tests.notifications.announcer_harness import MEETING, TEAM, Stage
from tests.store.helpers import expire


async def test_expired_follow_is_announced_and_offers_to_follow_again(stage: Stage) -> None:
    await stage.follow_and_post(level=Level.QUIET)
    stage.clock.advance(30 * 24 * 3600)
    await expire(stage.store)

    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert stage.thread(card)[0].startswith("Launch keynote hasn't been live for 30 days")
    assert card.text == "Launch keynote is no longer followed here."
    assert "accessory" not in card.blocks[0]
    assert FOLLOW_AGAIN in str(card.blocks)


async def test_expiry_is_not_announced_if_the_meeting_is_followed_again(stage: Stage) -> None:
    """The announcement would be wrong, and its button pointless."""
    await stage.follow_and_post()
    stage.clock.advance(30 * 24 * 3600)
    await stage.see(Phase.WAITING)
    await expire(stage.store)
    await stage.follow()

    await stage.settle()

    old, new = stage.cards()
    assert (stage.thread(old), stage.thread(new)) == ([], [])
    assert old.text == "Launch keynote is followed here again, on a newer card."
    assert FOLLOW_AGAIN not in str(old.blocks)
    assert await stage.due_in() is None


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
        await stage.unfollow()
        return bool(await write(*args, **kwargs))

    patched = mocker.patch.object(stage.store.card_queue, name, too_late)

    assert await stage.work() == [LATER]
    stage.clock.advance(3)
    await stage.settle()

    (card,) = stage.slack.messages(EVENTS)
    assert "is no longer followed here" in card.text
    assert await stage.due_in() is None


async def test_unfollowed_card_is_edited_once_the_rate_limit_allows(stage: Stage) -> None:
    await stage.follow_and_post()
    stage.clock.advance(60)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.work()
    stage.slack.rate_limit_next("chat.update", retry_after=40)
    await stage.unfollow()

    stage.clock.advance(3)
    assert await stage.work() == [LATER]
    assert stage.shows("is live")
    stage.clock.advance(40)
    assert await stage.work() == [DONE]

    assert "is no longer followed here" in stage.cards()[0].text
    assert await stage.due_in() is None


async def test_no_card_of_an_unfollowed_meeting_has_a_menu(stage: Stage) -> None:
    """Cards of earlier episodes still show how those ended."""
    await stage.follow()
    for _ in range(2):
        await stage.broadcast()
        stage.next_episode()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    await stage.settle()
    await stage.unfollow()
    stage.clock.advance(3)

    assert await stage.work() == [DONE]

    first, second, last = stage.cards()
    assert first.text.startswith("Launch keynote has ended")
    assert second.text.startswith("Launch keynote has ended")
    assert "is no longer followed here" in last.text
    assert FOLLOW_MENU not in str([card.blocks for card in stage.cards()])
    assert await stage.due_in() is None


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
    stage.next_episode()
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
    stage.next_episode()
    await stage.see(Phase.LIVE, ChangeKind.LIVE)

    await stage.settle()

    assert len(stage.cards()) == 2
    edits = stage.count_calls("chat.update")
    await stage.store.pauses.resume(TEAM, EVENTS)
    await stage.settle()
    assert stage.count_calls("chat.update") == edits


async def test_paused_follow_drops_the_menu_of_an_earlier_card_on_resuming(stage: Stage) -> None:
    await stage.follow()
    await end_an_episode(stage)
    stage.slack.refuse("chat.update", "not_in_channel", EVENTS)
    stage.next_episode()
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
        await stage.unfollow()
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
    edits = stage.count_calls("chat.update")
    await stage.unfollow()
    await stage.follow()
    await stage.settle()
    assert [FOLLOW_AGAIN in str(card.blocks) for card in stage.cards()] == [False] * 3
    assert stage.count_calls("chat.update") == edits + 1


async def test_retracted_follow_leaves_the_offer_to_follow_again(stage: Stage) -> None:
    """Slack refuses the new card, so the channel doesn't follow the meeting again."""
    await stage.follow()
    await stage.settle()
    await stage.unfollow()
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
    await stage.unfollow()
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
    await stage.unfollow()

    stage.clock.advance(60)
    await stage.settle()

    assert "is no longer followed here" in stage.cards()[-1].text
    assert len(stage.cards()) == (1 if honoured else 2)
    assert await stage.due_in() is None


async def test_unfollow_after_a_rejected_first_post_sends_nothing(stage: Stage) -> None:
    await stage.follow()
    stage.slack.rate_limit_next("chat.postMessage", retry_after=40)
    assert await stage.work() == [LATER]

    await stage.unfollow()

    assert await stage.is_empty()
    assert stage.cards() == []


@pytest.mark.parametrize("how", ["deleted", "removed"])
async def test_unfollowed_card_that_cannot_be_edited_is_left(stage: Stage, how: str) -> None:
    """Nothing is posted in its place."""
    await stage.follow_and_post()
    if how == "deleted":
        stage.slack.delete_message(stage.cards()[0])
    else:
        stage.slack.refuse_next("chat.update", "channel_not_found")
    await stage.unfollow()
    stage.clock.advance(3)

    assert await stage.work() == [DONE]

    assert await stage.due_in() is None
    assert len(stage.cards()) == (0 if how == "deleted" else 1)


async def test_unfollow_of_a_paused_follow_updates_the_card(stage: Stage) -> None:
    """If Slack lets the bot edit."""
    await stage.follow_and_post()
    stage.slack.refuse_next("chat.postMessage", "restricted_action")
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    assert await stage.work() == [DeliveryResult(refused="restricted_action")]

    await stage.unfollow()
    stage.clock.advance(3)
    assert await stage.work() == [DONE]

    (card,) = stage.cards()
    assert "is no longer followed here" in card.text
    assert stage.thread(card) == []


async def test_old_card_does_not_offer_to_follow_a_followed_meeting(stage: Stage) -> None:
    """The new follow has a card of its own."""
    await stage.follow_and_post()
    await stage.unfollow()
    assert (await stage.follow()).is_new
    stage.clock.advance(3)

    assert await stage.work() == [DONE] * 2

    old, new = stage.cards()
    assert old.text == "Launch keynote is followed here again, on a newer card."
    assert FOLLOW_AGAIN not in str(old.blocks)
    assert FOLLOW_MENU in str(new.blocks)


async def test_no_card_of_an_expired_follow_has_a_menu(stage: Stage) -> None:
    await stage.follow()
    await stage.broadcast()
    stage.next_episode()
    await stage.broadcast()
    stage.clock.advance(30 * 24 * 3600)
    await expire(stage.store)

    assert await stage.work() == [DONE] * 2

    assert FOLLOW_MENU not in str([card.blocks for card in stage.cards()])


@pytest.mark.parametrize("code", ["message_not_found", "edit_window_closed"])
async def test_expiry_reposts_only_the_newest_deleted_card(stage: Stage, code: str) -> None:
    """A deleted card of an earlier episode stays deleted."""
    await stage.follow()
    await stage.broadcast()
    stage.next_episode()
    await stage.broadcast()
    stage.clock.advance(30 * 24 * 3600)
    await expire(stage.store)
    for _ in range(2):
        stage.slack.refuse_next("chat.update", code)

    assert await stage.work() == [DONE] * 2

    _, _, new = stage.cards()
    (reply,) = stage.thread(new)
    assert reply.startswith("Launch keynote hasn't been live for 30 days")
    assert await stage.due_in() is None


async def test_final_card_that_is_new_mentions_no_one(stage: Stage) -> None:
    """It is new if the first post was not confirmed."""
    await stage.follow()
    stage.slack.fault = Fault.SERVER_ERROR
    await stage.work()
    stage.slack.fault = Fault.NONE
    await stage.unfollow()

    await stage.settle()

    posts = [json.loads(sent.body) for sent in stage.slack.sent if sent.method == "chat.postMessage"]
    assert len(posts) >= 2
    assert "<@" not in json.dumps(posts)
