"""*Try again*: where it is offered after a failure, and where not."""

import pytest
from pytest_mock import MockerFixture

from bot.errors import (
    BotError,
    ChannelRequired,
    DatabaseUnavailable,
    NotInChannel,
    ServerError,
    SlackBusy,
    SlackUnreachable,
)
from bot.realtimekit.lookup import FAILURE_SECONDS
from bot.slack.messages import lookup_card
from bot.slack.responder import STILL_CHECKING
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BEN, EVENTS, GENERAL, RESPONSE_URL, Message
from sandbox.slack.workspace import Channel
from tests.conftest import World
from tests.slack.listeners.helpers import changed, follow, following, is_public


def buttons(message: object) -> list[str]:
    rows = [block["elements"] for block in message.blocks if block["type"] == "actions"]  # type: ignore[attr-defined]
    return [button["text"]["text"] for row in rows for button in row]


@pytest.mark.parametrize(("how", "listed"), [("", "updates in thread"), ("loud", "thread and channel")])
async def test_try_again_follows_after_a_failed_follow(connected: World, how: str, listed: str) -> None:
    """It does what was requested, at the requested level."""
    connected.kit.fault = Fault.SERVER_ERROR
    failed = await connected.ask(f"follow {seeds.LIVE} {how}")
    connected.kit.fault = Fault.NONE
    connected.slack.clock.advance(FAILURE_SECONDS)
    [again] = [block["elements"][0] for block in failed.blocks if block["type"] == "actions"]

    await connected.slack.click(failed, again["action_id"], value=again["value"])
    await connected.next_message(is_public)

    assert again["text"]["text"] == "Try again"
    assert f"; {listed};" in await following(connected)


async def test_follow_again_keeps_the_level_and_is_offered_once(connected: World) -> None:
    """The card that is over leads to the newer one."""
    _, card = await follow(connected, how="loud")
    await connected.ask(f"unfollow {seeds.LIVE}")
    over = await changed(connected, card, lambda message: "no longer followed" in message.text)

    await connected.answer(await connected.slack.click(over, lookup_card.FOLLOW_AGAIN, user=BEN))
    now = await changed(connected, card, lambda message: "again" in message.text)

    assert buttons(now) == []
    assert "; thread and channel;" in await following(connected)


SLOW_SECONDS = 1.9


def notes(connected: World, channel: str = GENERAL) -> list[Message]:
    """Return what Ann alone reads in the channel, in order."""
    return [message for message in connected.slack.messages(channel, ANN) if message.ephemeral_to == ANN]


@pytest.mark.parametrize(
    ("fault", "text"), [(Fault.NONE, "Office hours is not live."), (Fault.UNAUTHORIZED, "I can't access Cloudflare")]
)
async def test_a_slow_lookup_is_noted_before_its_answer(connected: World, fault: Fault, text: str) -> None:
    """Slack lets a command's response_url replace nothing, so the note makes sense above the answer."""
    connected.kit.latency, connected.kit.fault = SLOW_SECONDS, fault
    await connected.ask(seeds.IDLE)
    await connected.idle()

    note, answer = notes(connected)
    assert note.text == STILL_CHECKING
    assert answer.text.startswith(text)


async def test_a_note_whose_blocks_slack_rejects_arrives_as_text(connected: World) -> None:
    connected.kit.latency = SLOW_SECONDS
    connected.slack.refuse_next(RESPONSE_URL, "invalid_blocks")
    await connected.ask(seeds.IDLE)
    await connected.idle()

    note, answer = notes(connected)
    assert (note.text, note.blocks) == (STILL_CHECKING, ())
    assert answer.text == "Office hours is not live."


@pytest.mark.parametrize("button", [lookup_card.REFRESH, lookup_card.POST_HERE, lookup_card.FOLLOW_HERE])
async def test_a_slow_button_is_noted(connected: World, button: str) -> None:
    """The private card stays until there is something better."""
    private = await connected.ask(seeds.IDLE, channel=EVENTS)
    connected.slack.clock.advance(10)
    connected.kit.latency = SLOW_SECONDS
    await connected.slack.click(private, button)
    note = await connected.next_message(lambda message: message.text == STILL_CHECKING)
    shown = {message.ts for message in notes(connected, EVENTS)}
    await connected.idle()

    assert note.ephemeral_to == ANN
    assert private.ts in shown


async def test_a_quick_lookup_is_not_noted(connected: World) -> None:
    """One answer, and nothing beside it."""
    answer = await connected.ask(seeds.IDLE)
    await connected.idle()

    assert notes(connected) == [answer]


async def test_an_old_follow_again_changes_no_level(connected: World) -> None:
    """A channel that follows the meeting again, by command, keeps its level, and the old card loses its button."""
    _, card = await follow(connected, how="loud")
    await connected.ask(f"unfollow {seeds.LIVE}")
    over = await changed(connected, card, lambda message: "no longer followed" in message.text)
    await connected.ask(f"follow {seeds.LIVE} quiet")

    answer = await connected.answer(await connected.slack.click(over, lookup_card.FOLLOW_AGAIN, user=BEN))
    now = await changed(connected, card, lambda message: "again" in message.text)

    assert answer.text.startswith("This channel already follows *Launch keynote*.")
    assert "Set to" not in answer.text
    assert buttons(now) == []
    assert "; card only;" in await following(connected)


@pytest.mark.parametrize(
    "error", [DatabaseUnavailable(), SlackBusy(), SlackUnreachable(), NotInChannel(), ServerError(502)]
)
async def test_try_again_follows_after_any_failure_that_passes(
    connected: World, mocker: MockerFixture, error: BotError
) -> None:
    failing = mocker.patch("bot.following.service.FollowService.follow", side_effect=error)
    failed = await connected.ask(f"follow {seeds.LIVE} loud")
    mocker.stop(failing)
    [again] = [block["elements"][0] for block in failed.blocks if block["type"] == "actions"]

    await connected.slack.click(failed, again["action_id"], value=again["value"])
    await connected.next_message(is_public)

    assert again["text"]["text"] == "Try again"
    assert "; thread and channel;" in await following(connected)


async def test_try_again_after_a_failed_follow_again_changes_no_level(connected: World, mocker: MockerFixture) -> None:
    _, card = await follow(connected, how="loud")
    await connected.ask(f"unfollow {seeds.LIVE}")
    over = await changed(connected, card, lambda message: "no longer followed" in message.text)
    await connected.ask(f"follow {seeds.LIVE} quiet")
    failing = mocker.patch("bot.following.service.FollowService.follow", side_effect=DatabaseUnavailable())
    failed = await connected.answer(await connected.slack.click(over, lookup_card.FOLLOW_AGAIN, user=ANN))
    mocker.stop(failing)
    [again] = [block["elements"][0] for block in failed.blocks if block["type"] == "actions"]

    await connected.slack.click(failed, again["action_id"], user=ANN, value=again["value"])
    answer = await changed(connected, failed, lambda message: "already" in message.text)

    assert answer.text.startswith("This channel already follows *Launch keynote*.")
    assert "; card only;" in await following(connected)


async def test_try_again_looks_up_after_slack_failed(connected: World, mocker: MockerFixture) -> None:
    """A public card that Slack doesn't change now can be read in private."""
    await connected.slack.click(await connected.ask(seeds.LIVE), lookup_card.POST_HERE)
    card = await connected.next_message(is_public)
    mocker.patch("bot.slack.responder.Responder.edit", side_effect=SlackBusy())

    failed = await connected.answer(await connected.slack.click(card, lookup_card.REFRESH))
    [again] = [block["elements"][0] for block in failed.blocks if block["type"] == "actions"]
    await connected.slack.click(failed, again["action_id"], value=again["value"])
    shown = await changed(connected, failed, lambda message: "is live" in message.text)

    assert buttons(shown) == ["Watch", "Refresh", "Post here", "Follow here"]


@pytest.mark.parametrize(
    "channel",
    [
        Channel("D0ANNBOT001", "ann", frozenset({ANN}), is_im=True, has_bot=True),
        Channel("G0GROUP0001", "mpdm-ann--ben--1", frozenset({ANN, BEN}), is_mpim=True),
    ],
)
async def test_a_direct_message_offers_nothing_that_cannot_work(connected: World, channel: Channel) -> None:
    """Neither a button nor advice that works in channels only."""
    connected.slack.workspace.put_channel(channel)

    answer = await connected.ask(seeds.LIVE, channel=channel.id)
    followed = await connected.ask(f"follow {seeds.LIVE}", channel=channel.id)
    listed = await connected.ask("following", channel=channel.id)
    texts = [f"unfollow {seeds.LIVE}", "unfollow", f"mute {seeds.LIVE}", f"follow {seeds.LIVE} shouting"]
    others = [(await connected.ask(text, channel=channel.id)).text for text in texts]
    help_text = await connected.ask("help", channel=channel.id)

    assert buttons(answer) == ["Watch", "Refresh"]
    assert {followed.text, listed.text, *others} == {ChannelRequired().sentence}
    for shown in (help_text.text, str(help_text.blocks)):
        assert "unfollow" not in shown
        assert "loud" not in shown
        assert "in a channel" in shown
