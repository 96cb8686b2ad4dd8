"""What an admin does in a channel, from the page."""

from typing import Any

import pytest

from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, CHRIS, GENERAL, RANDOM, Message
from sandbox.slack.conversations import direct_message
from tests.conftest import World
from tests.sandbox.page.conftest import Browser


async def step(browser: Browser, name: str, channel: str = GENERAL, user: str = ANN) -> tuple[int, Any]:
    status, answer = await browser.ask("POST", f"/api/channels/{channel}/{name}", {"user": user})
    return status, answer.get("error")


async def delete(browser: Browser, ts: str, channel: str = GENERAL, user: str = ANN) -> tuple[int, Any]:
    status, answer = await browser.ask("POST", "/api/deletions", {"user": user, "channel": channel, "ts": ts})
    return status, answer.get("error")


async def test_deleted_message_is_gone_for_everyone(browser: Browser, world: World) -> None:
    world.slack.workspace.post(Message(GENERAL, "1.000000", BOT, "card"))

    async with browser.stream(CHRIS) as changes:
        assert await delete(browser, "1.000000") == (200, None)
        assert (await changes.next("message_deleted"))["ts"] == "1.000000"

    assert await browser.texts(GENERAL) == []
    assert await delete(browser, "1.000000") == (409, "This message is gone.")


@pytest.mark.parametrize(
    ("message", "user", "refusal"),
    [
        (Message(GENERAL, "1.000000", BOT, "for Ann", ephemeral_to=ANN), ANN, "Only messages that everyone sees"),
        (Message(GENERAL, "1.000000", BOT, "for Ann", ephemeral_to=ANN), BEN, "This message is gone."),
        (Message(BACKSTAGE, "1.000000", BEN, "psst"), CHRIS, "There is no such channel here."),
        (Message(GENERAL, "1.000000", BEN, "hi"), "U0NOBODY", "There is no person with this ID here."),
    ],
)
async def test_invisible_or_ephemeral_message_cannot_be_deleted(
    browser: Browser, world: World, message: Message, user: str, refusal: str
) -> None:
    world.slack.workspace.post(message)

    status, error = await delete(browser, message.ts, message.channel, user)

    assert status in (404, 409)
    assert error.startswith(refusal)
    assert [each.text for each in world.slack.workspace.every_message()] == [message.text]


async def test_invitation_and_removal_of_the_bot_are_posted(browser: Browser, world: World) -> None:
    assert await step(browser, "invite", RANDOM, BEN) == (200, None)
    assert world.slack.workspace.channels[RANDOM].has_bot
    assert await step(browser, "remove", RANDOM) == (200, None)

    assert not world.slack.workspace.channels[RANDOM].has_bot
    assert await browser.texts(RANDOM) == [
        f"was added to #random by <@{BEN}>.",
        f"was removed from #random by <@{ANN}>.",
    ]


async def test_channel_is_archived_and_restored(browser: Browser, world: World) -> None:
    async with browser.stream(CHRIS) as changes:
        assert await step(browser, "archive") == (200, None)
        assert (await changes.next("channel_changed"))["is_archived"] is True
        assert await step(browser, "unarchive") == (200, None)
        assert (await changes.next("channel_changed"))["is_archived"] is False

    messages = world.slack.messages(GENERAL)
    assert [message.text for message in messages] == ["archived #general.", "took #general out of the archive."]
    assert {message.author for message in messages} == {ANN}


@pytest.mark.parametrize(
    ("name", "channel", "refusal"),
    [
        ("invite", GENERAL, (409, "@Livestream is already in this channel.")),
        ("remove", RANDOM, (409, "@Livestream is not in this channel.")),
        ("unarchive", GENERAL, (409, "This channel is not archived.")),
        ("shred", GENERAL, (404, "There is no such action in this channel.")),
        ("archive", "D0ANN000001", (404, "There is no such action in this channel.")),
        ("archive", "C0NOWHERE", (404, "There is no such channel here.")),
    ],
)
async def test_invalid_channel_action_is_rejected(
    browser: Browser, world: World, name: str, channel: str, refusal: tuple[int, str]
) -> None:
    direct_message(world.slack.workspace, ANN)
    before = dict(world.slack.workspace.channels)

    assert await step(browser, name, channel) == refusal
    assert world.slack.workspace.channels == before


@pytest.mark.parametrize("name", ["invite", "remove", "archive"])
async def test_archived_channel_can_only_be_restored(browser: Browser, world: World, name: str) -> None:
    world.slack.archive(GENERAL)

    assert await step(browser, name) == (409, "This channel is archived.")


async def test_unknown_person_and_hidden_channel_are_rejected(browser: Browser) -> None:
    assert await step(browser, "archive", user=BOT) == (404, "There is no person with this ID here.")
    assert await step(browser, "archive", BACKSTAGE, CHRIS) == (404, "There is no such channel here.")
