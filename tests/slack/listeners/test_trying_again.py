"""*Try again* and *Follow again*, the note while a lookup takes long, and what a direct message offers."""

from functools import partial

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
from bot.realtimekit.lookup import ANSWER_SECONDS, FAILURE_SECONDS
from bot.slack.messages import lookup_card
from bot.slack.responder import STILL_CHECKING, Responder
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, BEN, EVENTS, GENERAL, Message
from sandbox.slack.workspace import Channel
from tests.conftest import World
from tests.slack.helpers import is_public, labels
from tests.slack.listeners.helpers import changed, follow, following, press, unfollowed


async def test_try_again_follows_after_cloudflare_has_failed(connected: World) -> None:
    connected.kit.fault = Fault.SERVER_ERROR
    failed = await connected.ask(f"follow {seeds.LIVE}")
    connected.kit.fault = Fault.NONE
    connected.slack.clock.advance(FAILURE_SECONDS)

    await press(connected, failed, "Try again")
    await connected.next_message(is_public)

    assert "; updates in thread;" in await following(connected)


async def test_try_again_follows_at_the_requested_level_after_any_failure_that_passes(
    connected: World, mocker: MockerFixture
) -> None:
    failures: dict[str, BotError] = {
        seeds.LIVE: DatabaseUnavailable(),
        seeds.IDLE: SlackBusy(),
        seeds.OFFLINE: SlackUnreachable(),
        seeds.ERRORED: NotInChannel(),
        seeds.NEVER_LIVE: ServerError(502),
    }
    for number, (meeting_id, error) in enumerate(failures.items(), start=1):
        failing = mocker.patch("bot.following.service.FollowService.follow", side_effect=error)
        failed = await connected.ask(f"follow {meeting_id} loud")
        mocker.stop(failing)

        await press(connected, failed, "Try again")
        await connected.next_message(is_public)
        await connected.idle()

        assert (await following(connected)).count("; thread and channel;") == number


async def test_try_again_looks_up_after_slack_failed(connected: World, mocker: MockerFixture) -> None:
    """A public card that Slack doesn't change now can be read in private."""
    await connected.slack.click(await connected.ask(seeds.LIVE), lookup_card.POST_HERE)
    card = await connected.next_message(is_public)
    mocker.patch("bot.slack.responder.Responder.edit", side_effect=SlackBusy())

    failed = await connected.answer(await connected.slack.click(card, lookup_card.REFRESH))
    await press(connected, failed, "Try again")
    shown = await changed(connected, failed, "is live")

    assert labels(shown) == ["Watch", "Refresh", "Post here", "Follow here"]


async def test_follow_again_keeps_the_level_and_is_offered_once(connected: World) -> None:
    """The card that is over leads to the newer one."""
    _, card = await follow(connected, how="loud")
    over = await unfollowed(connected, card)

    await connected.answer(await connected.slack.click(over, lookup_card.FOLLOW_AGAIN, user=BEN))
    now = await changed(connected, over, "again")

    assert labels(now) == []
    assert "; thread and channel;" in await following(connected)


async def test_old_follow_again_changes_no_level(connected: World, mocker: MockerFixture) -> None:
    """A channel that follows the meeting again, by command, keeps its level, and the old card loses its button."""
    _, card = await follow(connected, how="loud")
    over = await unfollowed(connected, card)
    await connected.ask(f"follow {seeds.LIVE} quiet")
    failing = mocker.patch("bot.following.service.FollowService.follow", side_effect=DatabaseUnavailable())
    failed = await connected.answer(await connected.slack.click(over, lookup_card.FOLLOW_AGAIN))
    mocker.stop(failing)

    await press(connected, failed, "Try again")
    assert (await changed(connected, failed)).text.startswith("This channel already follows *Launch keynote*.")
    answer = await connected.answer(await connected.slack.click(over, lookup_card.FOLLOW_AGAIN, user=BEN))

    assert answer.text.startswith("This channel already follows *Launch keynote*.")
    assert "Set to" not in answer.text
    assert labels(await changed(connected, over, "again")) == []
    assert "; card only;" in await following(connected)


def notes(world: World, channel: str = GENERAL) -> list[Message]:
    """Return what Ann alone reads in the channel, in order."""
    return [message for message in world.slack.messages(channel, ANN) if message.ephemeral_to == ANN]


@pytest.fixture
def soon_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a lookup slow after a tenth of a second, for a bot that is started later."""
    monkeypatch.setattr("bot.app.Responder", partial(Responder, slow_after=0.1))


@pytest.mark.usefixtures("soon_slow")
async def test_slow_lookup_is_noted_before_its_answer(world: World) -> None:
    """Slack lets a command's response_url replace nothing, so the note makes sense above the answer."""
    async with world.bot():
        world.kit.latency = 0.5
        await world.ask(seeds.IDLE)
        await world.idle()
        world.kit.fault = Fault.UNAUTHORIZED
        await world.ask(seeds.LIVE)
        await world.idle()

        texts = [message.text for message in notes(world)]
        assert texts[:3] == [STILL_CHECKING, "Office hours is not live.", STILL_CHECKING]
        assert texts[3].startswith("I can't access Cloudflare")
        assert len(texts) == 4


@pytest.mark.usefixtures("soon_slow")
async def test_slow_button_is_noted_while_the_private_card_stays(world: World) -> None:
    async with world.bot():
        for button in (lookup_card.REFRESH, lookup_card.POST_HERE, lookup_card.FOLLOW_HERE):
            world.kit.latency = 0.0
            world.slack.clock.advance(ANSWER_SECONDS)
            private = await world.ask(seeds.IDLE, channel=EVENTS)
            world.slack.clock.advance(ANSWER_SECONDS)
            world.kit.latency = 0.5
            world.look()
            await world.slack.click(private, button)
            note = await world.next_message(lambda message: message.text == STILL_CHECKING)
            shown = {message.ts for message in notes(world, EVENTS)}
            await world.idle()

            assert note.ephemeral_to == ANN
            assert private.ts in shown


async def test_quick_lookup_is_not_noted(connected: World) -> None:
    answer = await connected.ask(seeds.IDLE)
    await connected.idle()

    assert notes(connected) == [answer]


@pytest.mark.parametrize(
    "channel",
    [
        Channel("D0ANNBOT001", "ann", frozenset({ANN}), is_im=True, has_bot=True),
        Channel("G0GROUP0001", "mpdm-ann--ben--1", frozenset({ANN, BEN}), is_mpim=True),
    ],
    ids=["direct message", "group message"],
)
async def test_direct_message_offers_nothing_that_cannot_work(connected: World, channel: Channel) -> None:
    """Neither a button nor advice that works in channels only. A follow costs no request to Cloudflare."""
    connected.slack.workspace.put_channel(channel)

    texts = (f"follow {seeds.LIVE}", "following", f"unfollow {seeds.LIVE}", "unfollow", f"mute {seeds.LIVE}")
    for text in (*texts, f"follow {seeds.LIVE} shouting"):
        assert (await connected.ask(text, channel=channel.id)).text == ChannelRequired().sentence
    assert not connected.kit.calls
    help_text = await connected.ask("help", channel=channel.id)
    for shown in (help_text.text, str(help_text.blocks)):
        assert "unfollow" not in shown
        assert "loud" not in shown
        assert "in a channel" in shown
    assert labels(await connected.ask(seeds.LIVE, channel=channel.id)) == ["Watch", "Refresh"]
