"""Whoever follows a meeting where the bot cannot post any more is told so, once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from bot.errors import StoreUnreachable
from bot.following.notices import Notices
from bot.following.state import ChangeKind, Phase
from bot.sandbox.slack import ANN, EVENTS, Fault, Message
from tests.following.announced import TEAM, Stage, staged


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A channel that follows, and from which the bot has been removed."""
    async with staged(tmp_path) as stage:
        await stage.follow()
        await stage.work()
        stage.slack.remove_bot(EVENTS)
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.work()
        yield stage


def notices(stage: Stage) -> list[Message]:
    """What Ann was told in her direct message."""
    channel = f"D{ANN[1:]}"
    return stage.slack.messages(channel) if channel in stage.slack.workspace.channels else []


async def test_told_once(stage: Stage) -> None:
    """With why, and how to mend it."""
    for _ in range(3):
        await stage.notices.tell()

    (notice,) = notices(stage)
    assert f"<#{EVENTS}>" in notice.text
    assert "Invite me back" in notice.text


async def test_two_replicas(stage: Stage) -> None:
    """One of them tells."""
    other = Notices(stage.store.pauses, stage.store.duties, stage.delivery, "b")

    await asyncio.gather(stage.notices.tell(), other.tell())

    assert len(notices(stage)) == 1


async def test_killed_before_it_is_marked(stage: Stage, mocker: MockerFixture) -> None:
    """It is told again when the lease is over, and appears once."""
    dying = mocker.patch.object(stage.store.pauses, "mark_told", side_effect=StoreUnreachable())
    with pytest.raises(StoreUnreachable):
        await stage.notices.tell()
    mocker.stop(dying)
    stage.clock.advance(300)

    await Notices(stage.store.pauses, stage.store.duties, stage.delivery, "b").tell()

    assert len(notices(stage)) == 1
    assert await stage.store.pauses.untold(10) == []


async def test_told_of_each_pause(stage: Stage) -> None:
    """After it was mended and has happened again it is news."""
    await stage.notices.tell()
    stage.slack.invite_bot(EVENTS)
    await stage.store.pauses.resume(TEAM, EVENTS)
    stage.slack.remove_bot(EVENTS)
    stage.clock.advance(1)
    await stage.work()

    await stage.notices.tell()

    assert len(notices(stage)) == 2


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.DROP])
async def test_not_now(stage: Stage, fault: Fault) -> None:
    """Where Slack does not say that it was told, it is told again, and appears once."""
    stage.slack.fault = fault
    await stage.notices.tell()
    stage.slack.fault = Fault.NONE

    await stage.notices.tell()
    await stage.notices.tell()

    assert len(notices(stage)) == 1


async def test_nobody_to_tell(stage: Stage) -> None:
    """Where that is refused too, it is left at that."""
    stage.slack.refuse_next("chat.postMessage", "user_disabled")
    await stage.notices.tell()

    await stage.notices.tell()

    assert notices(stage) == []
