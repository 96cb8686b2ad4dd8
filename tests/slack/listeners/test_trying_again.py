"""What is offered after a failure, while people wait, and where it cannot work."""

import pytest

from bot.errors import NotInDirectMessages
from bot.sandbox.realtimekit import Fault, seeds
from bot.sandbox.slack import ANN, BEN, GENERAL
from bot.sandbox.slack.workspace import Channel
from bot.slack import cards
from tests.conftest import PATIENCE, World
from tests.slack.listeners.acting import changed, follow, following, is_public


def buttons(message: object) -> list[str]:
    rows = [block["elements"] for block in message.blocks if block["type"] == "actions"]  # type: ignore[attr-defined]
    return [button["text"]["text"] for row in rows for button in row]


@pytest.mark.parametrize(("how", "listed"), [("", "updates in thread"), ("loud", "thread and channel")])
async def test_try_again_follows_after_a_failed_follow(connected: World, how: str, listed: str) -> None:
    """It does what was asked for, at the level that was asked for."""
    connected.kit.fault = Fault.SERVER_ERROR
    failed = await connected.ask(f"follow {seeds.LIVE} {how}")
    connected.kit.fault = Fault.NONE
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

    await connected.answer(await connected.slack.click(over, cards.FOLLOW_AGAIN, user=BEN))
    now = await changed(connected, card, lambda message: "again" in message.text)

    assert buttons(now) == []
    assert "; thread and channel;" in await following(connected)


async def test_a_slow_answer_takes_the_place_of_checking(connected: World) -> None:
    """One message is left, and it is the answer."""
    connected.kit.latency = 1.9
    delivery = await connected.slack.command(seeds.IDLE, user=ANN, channel=GENERAL)
    checking = await connected.answer(delivery)
    answer = await connected.slack.wait_for_message(
        lambda message: message.ts == checking.ts and "Checking" not in message.text, timeout=PATIENCE
    )
    await connected.idle()

    assert checking.text == "Checking…"
    assert answer.text == "Office hours is not live."
    mine = [message for message in connected.slack.messages(GENERAL, ANN) if message.ephemeral_to == ANN]
    assert mine == [answer]


async def test_a_slow_failure_takes_the_place_of_checking(connected: World) -> None:
    """Nothing waits for ever."""
    connected.kit.latency = 1.9
    connected.kit.fault = Fault.UNAUTHORISED
    checking = await connected.answer(await connected.slack.command(seeds.IDLE, user=ANN, channel=GENERAL))
    await connected.slack.wait_for_message(
        lambda message: message.ts == checking.ts and message.text.startswith("I can't access"), timeout=PATIENCE
    )
    await connected.idle()

    assert len([message for message in connected.slack.messages(GENERAL, ANN) if message.ephemeral_to == ANN]) == 1


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

    assert buttons(answer) == ["Watch", "Refresh"]
    assert followed.text == listed.text == NotInDirectMessages().sentence
