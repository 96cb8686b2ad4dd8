"""Messages and commands that people type."""

import json
from collections.abc import AsyncIterator
from typing import Any

from sandbox.page.bodies import MOST_BYTES
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, CHRIS, GENERAL, RANDOM, SLACKBOT, Message
from sandbox.slack.conversations import direct_message
from tests.conftest import World
from tests.sandbox.page.conftest import Browser


async def send(browser: Browser, text: str, user: str = ANN, channel: str = GENERAL, **more: Any) -> tuple[int, Any]:
    body = {"user": user, "channel": channel, "text": text, **more}
    status, answer = await browser.ask("POST", "/api/messages", body)
    return status, answer.get("error", answer.get("outcome"))


async def test_message_is_visible_to_all_and_escaped(browser: Browser, world: World) -> None:
    assert await send(browser, "  <!channel> A & B &lt; <script>\nsecond line ", user=BEN) == (200, "ok")

    [message] = (await browser.state(CHRIS))["messages"][GENERAL]
    assert message["text"] == "&lt;!channel&gt; A &amp; B &amp;lt; &lt;script&gt;\nsecond line"
    assert (message["author"], message["ephemeral_to"], message["thread_ts"]) == (BEN, None, None)


async def test_reply_joins_its_thread(browser: Browser, world: World) -> None:
    world.slack.workspace.post(Message(GENERAL, "1.000000", ANN, "first"))
    await send(browser, "second", thread_ts="1.000000")
    second = (await browser.state())["messages"][GENERAL][1]
    await send(browser, "third", thread_ts=second["ts"])

    threads = [message["thread_ts"] for message in (await browser.state())["messages"][GENERAL]]
    assert threads == [None, "1.000000", "1.000000"]


async def test_missing_or_ephemeral_message_has_no_thread(browser: Browser, world: World) -> None:
    world.slack.workspace.post(Message(GENERAL, "1.000000", BOT, "for Ann", ephemeral_to=ANN))

    for ts in ("1.000000", "2.000000"):
        assert await send(browser, "hm", thread_ts=ts) == (409, "This thread is gone.")


async def test_command_is_answered_to_its_user_alone(browser: Browser, world: World) -> None:
    async with world.bot(), browser.stream(BEN) as changes:
        assert await send(browser, f"/livestream   {seeds.LIVE}  ", user=BEN) == (200, "ok")
        answer = await changes.next("message_posted")

    assert answer["text"].startswith("Launch keynote is live.")
    assert answer["ephemeral_to"] == BEN
    assert await browser.texts(GENERAL, ANN) == []


async def test_bare_command_prints_the_usage(browser: Browser, world: World) -> None:
    """A leading space makes it a message."""
    async with world.bot(), browser.stream() as changes:
        await send(browser, "/livestream")
        assert (await changes.next("message_posted"))["text"].startswith("/livestream &lt;meeting-id&gt; checks if")
    await send(browser, " /livestream")
    assert (await browser.texts(GENERAL, CHRIS)) == ["/livestream"]


async def test_unknown_command_is_reported_by_slackbot(browser: Browser) -> None:
    assert await send(browser, "/shrug now") == (200, "unknown_command")

    [message] = (await browser.state())["messages"][GENERAL]
    assert (message["author"], message["ephemeral_to"]) == (SLACKBOT, ANN)
    assert message["text"] == "/shrug is not a valid command."


async def test_command_in_a_thread_is_rejected_by_slackbot(browser: Browser, world: World) -> None:
    world.slack.workspace.post(Message(GENERAL, "1.000000", ANN, "first"))
    assert await send(browser, f"/livestream {seeds.LIVE}", thread_ts="1.000000") == (200, "ok")

    message = (await browser.state())["messages"][GENERAL][1]
    assert message["text"] == "/livestream is not supported in threads. Sorry!"
    assert (message["author"], message["ephemeral_to"], message["thread_ts"]) == (SLACKBOT, ANN, "1.000000")
    assert not world.slack.calls


async def test_unreachable_bot_is_reported_by_slackbot(browser: Browser) -> None:
    assert await send(browser, "/livestream") == (200, "dispatch_failed")

    assert await browser.texts(GENERAL) == ['/livestream failed with the error "dispatch_failed"']


async def test_bot_is_invited_and_removed(browser: Browser, world: World) -> None:
    async with browser.stream(CHRIS) as changes:
        for name in ("@Livestream", "@livestream", f"<@{BOT}>"):
            assert await send(browser, f"/invite {name}", channel=RANDOM) == (200, "ok")
            assert (await changes.next("channel_changed"))["has_bot"] is True
            notice = await changes.next("message_posted")
            assert (notice["author"], notice["text"]) == (BOT, f"was added to #random by <@{ANN}>.")
            await send(browser, "/remove @Livestream", channel=RANDOM)
            assert (await changes.next("channel_changed"))["has_bot"] is False
            assert (await changes.next("message_posted"))["text"] == f"was removed from #random by <@{ANN}>."
    assert not world.slack.workspace.channels[RANDOM].has_bot


async def test_invalid_invitation_is_answered_by_slackbot(browser: Browser, world: World) -> None:
    chat = direct_message(world.slack.workspace, ANN).id
    before = dict(world.slack.workspace.channels)
    for text, channel, answer in (
        ("/invite @Livestream", GENERAL, "@Livestream is already in this channel."),
        ("/remove @Livestream", RANDOM, "@Livestream is not in this channel."),
        ("/invite @ben", GENERAL, "Only @Livestream can be invited and removed in this sandbox."),
        ("/invite", GENERAL, "Only @Livestream can be invited and removed in this sandbox."),
        ("/invite @Livestream", chat, "/invite does not work in a direct message."),
        ("/remove @Livestream", chat, "/remove does not work in a direct message."),
    ):
        assert await send(browser, text, channel=channel) == (200, "ok")
        message = (await browser.state())["messages"][channel][-1]
        assert (message["text"], message["author"], message["ephemeral_to"]) == (answer, SLACKBOT, ANN)

    assert world.slack.workspace.channels == before


async def test_invalid_message_is_rejected(browser: Browser, world: World) -> None:
    valid = {"user": ANN, "channel": GENERAL, "text": "hello"}
    for change, status, sentence in (
        ({"user": "U0NOBODY"}, 404, "There is no person with this ID here."),
        ({"user": BOT}, 404, "There is no person with this ID here."),
        ({"channel": "C0NOWHERE"}, 404, "There is no such channel here."),
        ({"channel": BACKSTAGE, "user": CHRIS}, 404, "There is no such channel here."),
        ({"text": " \n"}, 400, "Nothing was typed."),
        ({"text": "x" * 4_001}, 400, "That is 4,001 characters; Slack takes 4,000."),
        ({"text": "/" + "x" * 12_000}, 400, "That is 12,001 characters; Slack takes 12,000."),
        ({"text": None}, 400, "text: Input should be a valid string."),
        ({"user": ""}, 400, "user: String should have at least 1 character."),
        ({"thread_ts": 1.5}, 400, "thread_ts: Input should be a valid string."),
        ({"colour": "red"}, 400, "colour: Extra inputs are not permitted."),
    ):
        answer = await browser.ask("POST", "/api/messages", valid | change)
        assert answer == (status, {"error": sentence})
    assert await browser.texts(GENERAL) == []

    world.slack.archive(GENERAL)
    assert await send(browser, "hm") == (409, "This channel is archived, so nothing can be posted in it.")


async def test_longest_message_is_accepted(browser: Browser) -> None:
    for text in ("x" * 4_000, "/" + "x" * 11_999):
        assert (await send(browser, text))[0] == 200


async def test_malformed_or_large_body_is_rejected(browser: Browser) -> None:
    async def send_body(body: Any) -> tuple[int, str]:
        headers = {"Content-Type": "application/json"}
        status, answer = await browser.ask("POST", "/api/messages", data=body, headers=headers)
        return status, answer["error"]

    large = json.dumps({"user": ANN, "channel": GENERAL, "text": "x" * MOST_BYTES}).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 4_096):
            yield large[start : start + 4_096]

    for body in (b"[", b"[]", b'"text"', b"\xff", b'{"text": "\\ud800"}', b""):
        status, sentence = await send_body(body)
        assert (status, sentence[-1]) == (400, ".")
    for too_large in (large, pieces()):
        assert await send_body(too_large) == (413, "That is more than 64 KiB.")
