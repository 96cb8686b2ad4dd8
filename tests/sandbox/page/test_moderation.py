"""What an admin does in a channel, from the page."""

from typing import Any

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


async def test_invisible_or_ephemeral_message_cannot_be_deleted(browser: Browser, world: World) -> None:
    post = world.slack.workspace.post
    for_ann = post(Message(GENERAL, "1.000000", BOT, "for Ann", ephemeral_to=ANN))
    private = post(Message(BACKSTAGE, "1.000000", BEN, "psst"))

    for message, user, status, refusal in (
        (for_ann, ANN, 409, "Only messages that everyone sees"),
        (for_ann, BEN, 409, "This message is gone."),
        (private, CHRIS, 404, "There is no such channel here."),
        (private, "U0NOBODY", 404, "There is no person with this ID here."),
    ):
        answer = await delete(browser, message.ts, message.channel, user)
        assert (answer[0], str(answer[1])[: len(refusal)]) == (status, refusal)
    assert len(list(world.slack.workspace.every_message())) == 2


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


async def test_invalid_channel_action_is_rejected(browser: Browser, world: World) -> None:
    chat = direct_message(world.slack.workspace, ANN).id
    before = dict(world.slack.workspace.channels)
    no_action, no_channel = "There is no such action in this channel.", "There is no such channel here."

    for refusal, name, *where in (
        ((409, "@Livestream is already in this channel."), "invite"),
        ((409, "@Livestream is not in this channel."), "remove", RANDOM),
        ((409, "This channel is not archived."), "unarchive"),
        ((404, no_action), "shred"),
        ((404, no_action), "archive", chat),
        ((404, no_channel), "archive", "C0NOWHERE"),
        ((404, no_channel), "archive", BACKSTAGE, CHRIS),
        ((404, "There is no person with this ID here."), "archive", GENERAL, BOT),
    ):
        assert await step(browser, name, *where) == refusal
    assert world.slack.workspace.channels == before


async def test_archived_channel_can_only_be_restored(browser: Browser, world: World) -> None:
    world.slack.archive(GENERAL)

    for name in ("invite", "remove", "archive"):
        assert await step(browser, name) == (409, "This channel is archived.")
