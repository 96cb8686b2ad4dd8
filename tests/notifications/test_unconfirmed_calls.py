"""Slack does not answer a call, and carries it out or not, now or later."""

import aiohttp
import pytest
from pytest_mock import MockerFixture

from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import DONE, LATER, DeliveryResult, Level
from bot.notifications.timing import backoff
from bot.store.card_queue import LATE_SECONDS
from sandbox.slack import EVENTS, Fault
from tests.notifications.announcer_harness import TEAM, Stage


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

    assert stage.shows("is live")


async def test_followers_card_without_an_answer_is_edited_later(stage: Stage) -> None:
    """As above, for the card that a person's command posts."""
    followed = await stage.follow(worker_id="announcer")
    assert followed.card is not None
    stage.slack.drop_after_accepting_next("chat.postMessage", 1)
    await stage.announcer.deliver(followed.card)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.clock.advance(60)

    assert await stage.work() == [DONE]

    assert stage.shows("is live")


async def test_card_that_was_rejected_at_first_needs_no_edit(stage: Stage) -> None:
    """It shows the current version once it is posted."""
    await stage.follow()
    stage.slack.rate_limit_next("chat.postMessage", retry_after=10)
    assert await stage.work() == [LATER]
    stage.clock.advance(10)

    assert await stage.work() == [DONE]

    assert [call.method for call in stage.slack.calls] == ["chat.postMessage"] * 2


async def test_edit_without_an_answer_is_followed_by_one_more(stage: Stage) -> None:
    """Slack carries it out after the next edit, so the card would stay outdated."""
    await stage.follow_and_post()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE)
    live = await stage.late_edit()
    assert await stage.work() == [LATER]
    stage.clock.advance(10)
    await stage.see(Phase.ENDED)
    assert await stage.work() == [DONE]
    assert stage.shows("has ended")
    stage.clock.advance(80)  # so late was it carried out in a chaos run
    assert await stage.work() == []
    live()
    assert stage.shows("is live")

    stage.clock.advance(LATE_SECONDS - 90)
    assert await stage.work() == [DONE]

    assert stage.shows("has ended")
    assert await stage.due_in() is None


async def overtaken_for_now(stage: Stage) -> None:
    """Let Slack carry out what it has not answered: the card shows the state before, and at the end the last one."""
    await stage.slack.all_applied()
    assert stage.shows("is live")

    await stage.settle()

    assert stage.shows("has ended")


@pytest.mark.parametrize("kinds", [(), (ChangeKind.LIVE,)])
async def test_edit_after_a_lost_connection_is_followed_by_one_more(
    stage: Stage, kinds: tuple[ChangeKind, ...]
) -> None:
    """Slack drops the connection, answers the second attempt, and carries out the first after the next edit."""
    await stage.follow_and_post()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE, *kinds)
    stage.slack.apply_late("chat.update", 80, closes=True)
    assert await stage.work() == [LATER]
    stage.clock.advance(backoff(0))
    assert await stage.work() == [DONE]
    assert stage.shows("is live")
    stage.clock.advance(10)
    await stage.see(Phase.ENDED)
    assert await stage.work() == [DONE]
    assert stage.shows("has ended")
    stage.clock.advance(70)
    await overtaken_for_now(stage)


async def test_rejected_edit_after_a_lost_connection_is_followed_by_one_more(stage: Stage) -> None:
    """Slack carries out the first attempt after all, and rejects the second for now."""
    await stage.follow_and_post()
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
    assert stage.shows("has ended")
    stage.clock.advance(40)
    await overtaken_for_now(stage)


async def test_pause_remembers_an_edit_without_an_answer(stage: Stage) -> None:
    """Slack carries it out after the bot was removed, invited again, and has edited the card."""
    await stage.follow_and_post()
    stage.clock.advance(10)
    await stage.see(Phase.LIVE, ChangeKind.LIVE)
    stage.slack.apply_late("chat.update", 80, closes=True)
    stage.slack.refuse_next("chat.postMessage", "not_in_channel")
    assert await stage.work() == [DeliveryResult(refused="not_in_channel", unconfirmed=True)]
    await stage.see(Phase.ENDED)
    await stage.store.pauses.resume(TEAM, EVENTS)
    stage.clock.advance(10)
    assert await stage.work() == [DONE]
    assert stage.shows("has ended")
    stage.clock.advance(70)
    await overtaken_for_now(stage)


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


async def test_posts_without_an_answer_are_repeated_with_backoff(stage: Stage) -> None:
    """Slack accepts all of them for ten minutes, answers none, and ignores the ID."""
    stage.slack.honors_client_msg_id = False
    await stage.follow_and_post(level=Level.LOUD)
    await stage.see(Phase.LIVE, ChangeKind.LIVE, visible=False)
    stage.slack.fault = Fault.DROP
    for _ in range(120):
        await stage.work()
        stage.clock.advance(5)

    (card,) = stage.cards()
    assert len(stage.thread(card)) == 4


async def test_post_that_was_not_sent_is_repeated_soon(stage: Stage, mocker: MockerFixture) -> None:
    """Without a connection nothing can have happened."""
    await stage.follow()
    error = aiohttp.ClientConnectorError(mocker.Mock(), OSError("no one there"))
    patched = mocker.patch.object(stage.publisher._client._fresh, "_request", side_effect=error)
    assert await stage.work() == [LATER]
    mocker.stop(patched)

    assert await stage.due_in() == pytest.approx(2)
