"""The stream of changes to open pages."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import aiohttp
import pytest

from bot.uvicorn_server import listen, serving
from sandbox.page import BotView, Page, stream
from sandbox.page.stream import Streams
from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, CHRIS, GENERAL, RANDOM, Channel, Message
from tests.conftest import World
from tests.sandbox.page.conftest import SECONDS, Browser


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)


async def test_message_is_streamed_when_posted_changed_and_deleted(browser: Browser, world: World) -> None:
    workspace = world.slack.workspace
    async with browser.stream() as changes:
        message = workspace.post(Message(GENERAL, "1.000000", BOT, "one"))
        assert await changes.next("message_posted") == message.to_dict()

        message = workspace.edit(message, "two", (), "2.000000")
        assert (await changes.next("message_changed"))["text"] == "two"

        workspace.delete(message)
        assert (await changes.next("message_deleted"))["ts"] == "1.000000"


async def test_each_person_gets_only_visible_changes(browser: Browser, world: World) -> None:
    post = world.slack.workspace.post
    async with browser.stream(BEN) as for_ben, browser.stream(CHRIS) as for_chris:
        world.slack.workspace.delete(post(Message(GENERAL, "1.000000", BOT, "for Ben", ephemeral_to=BEN)))
        world.slack.workspace.edit(post(Message(BACKSTAGE, "2.000000", BEN, "psst")), "pssst", (), "3.000000")
        post(Message(GENERAL, "4.000000", BEN, "for all"))

        assert [(await for_ben.next())["text"] for _ in range(5)] == ["for Ben", "", "psst", "pssst", "for all"]
        assert (await for_chris.next())["text"] == "for all"


async def test_channel_changes_reach_those_who_can_see_it(browser: Browser, world: World) -> None:
    private = replace(world.slack.workspace.channels[BACKSTAGE], has_bot=True)
    async with browser.stream(ANN) as for_ann, browser.stream(CHRIS) as for_chris:
        world.slack.workspace.put_channel(private)
        world.slack.invite_bot(RANDOM)
        world.slack.delete_channel(RANDOM)
        world.slack.workspace.put_channel(Channel("D0CHRIS", "directmessage", frozenset({CHRIS}), True, True))

        assert (await for_ann.next("channel_changed"))["id"] == BACKSTAGE
        for changes in (for_ann, for_chris):
            subject = await changes.next("channel_changed")
            assert (subject["id"], subject["has_bot"]) == (RANDOM, True)
            assert (await changes.next("channel_changed"))["is_deleted"] is True
        assert (await for_chris.next("channel_changed"))["id"] == "D0CHRIS"


async def test_end_of_the_bot_is_streamed_and_kept_in_the_state(browser: Browser, page: Page) -> None:
    """No change after the response is missed."""
    async with browser.stream() as changes:
        page.bot_runs(running=False)
        change = await changes.next("bot_changed")

    assert change == {"mode": "http", "url": "http://127.0.0.1:1", "running": False}
    assert (await browser.state())["bot"] == change


async def test_stream_is_uncached_server_sent_events(browser: Browser, page: Page) -> None:
    async with browser.session.get(f"{browser.url}/api/stream") as response:
        page.streams.publish("meeting_changed", {"name": "a\n\nb"})
        lines = [await response.content.readline() for _ in range(6)]

    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert lines == [
        b": open\n",
        b"retry: 1000\n",
        b"\n",
        b"event: change\n",
        b'data: {"kind": "meeting_changed", "subject": {"name": "a\\n\\nb"}}\n',
        b"\n",
    ]


async def test_comments_keep_a_quiet_stream_open(world: World) -> None:
    page = Page(world.slack, world.kit, BotView("http", ""), Streams(heartbeat_seconds=0.01))
    async with serving(page.asgi, listen(), drain_seconds=1) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/api/stream") as response:
            lines = [await response.content.readline() for _ in range(7)]
        await page.close()

    assert lines[3:] == [b": still here\n", b"\n", b": still here\n", b"\n"]


async def test_closed_page_is_unsubscribed(browser: Browser, page: Page) -> None:
    async with browser.stream() as changes:
        assert page.streams.open == 1
        changes.response.close()

    await until(lambda: page.streams.open == 0)


async def test_slow_reader_is_disconnected_and_may_return(browser: Browser, page: Page) -> None:
    async with browser.stream(BEN) as slow, browser.stream(ANN) as quick:
        for number in range(stream.MOST_WAITING + 1):
            page.streams.publish("call_logged", {"id": number}, lambda person: person == BEN)
        page.streams.publish("call_logged", {"id": "last"}, lambda person: person == ANN)

        assert (await quick.next())["id"] == "last"
        with pytest.raises(aiohttp.ClientPayloadError):
            await slow.response.content.read()

    await until(lambda: page.streams.open == 0)
    async with browser.stream(BEN) as again:
        page.bot_runs(running=True)
        assert await again.next("bot_changed")


async def test_number_of_open_pages_is_limited(browser: Browser, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST_READERS", 1)
    async with browser.stream():
        assert await browser.ask("GET", "/api/stream") == (503, {"error": "Too many pages are open."})


async def test_streams_end_promptly_when_the_sandbox_stops(world: World) -> None:
    page = Page(world.slack, world.kit, BotView("http", ""))
    served = serving(page.asgi, listen(), drain_seconds=60)
    async with asyncio.timeout(SECONDS), aiohttp.ClientSession() as session, served as url:
        response = await session.get(f"{url}/api/stream")
        await page.close()
        assert (await response.content.read()).endswith(b"\n\n")
        async with session.get(f"{url}/api/stream") as refused:
            assert (refused.status, (await refused.json())["error"]) == (503, "The sandbox is stopping.")


async def test_stuck_reader_does_not_delay_the_stop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LAST_WORDS_SECONDS", 0.01)
    page = Page(world.slack, world.kit, BotView("http", ""))
    async with asyncio.timeout(SECONDS), serving(page.asgi, listen(), drain_seconds=60) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port, limit=1)
        writer.write(f"GET /api/stream HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n\r\n".encode())
        await until(lambda: page.streams.open == 1)
        for _ in range(3):
            page.streams.publish("call_logged", {"much": "x" * 8_000_000})
            await asyncio.sleep(0.01)

        await page.close()
        await until(lambda: page.streams.open == 0)
    writer.close()
    del reader


async def test_closed_page_receives_nothing(browser: Browser, page: Page, world: World) -> None:
    await page.close()
    await page.close()
    world.kit.end(next(iter(world.kit.meetings)))
    await world.slack.command("hello")

    assert world.kit.on_call == []
    assert list(page.drawer.calls) == []
