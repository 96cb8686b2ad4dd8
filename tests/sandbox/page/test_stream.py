"""How open pages hear of changes."""

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
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)


async def test_messages(browser: Browser, world: World) -> None:
    """A message is told when it is posted, changed and deleted."""
    workspace = world.slack.workspace
    async with browser.stream() as changes:
        message = workspace.post(Message(GENERAL, "1.000000", BOT, "one"))
        assert await changes.next("message_posted") == message.to_dict()

        message = workspace.edit(message, "two", (), "2.000000")
        assert (await changes.next("message_changed"))["text"] == "two"

        workspace.delete(message)
        assert (await changes.next("message_deleted"))["ts"] == "1.000000"


async def test_several_people(browser: Browser, world: World) -> None:
    """Each hears what they may see: not what another alone is told, nor what is said in a private channel."""
    post = world.slack.workspace.post
    async with browser.stream(BEN) as for_ben, browser.stream(CHRIS) as for_chris:
        world.slack.workspace.delete(post(Message(GENERAL, "1.000000", BOT, "for Ben", ephemeral_to=BEN)))
        world.slack.workspace.edit(post(Message(BACKSTAGE, "2.000000", BEN, "psst")), "pssst", (), "3.000000")
        post(Message(GENERAL, "4.000000", BEN, "for all"))

        assert [(await for_ben.next())["text"] for _ in range(5)] == ["for Ben", "", "psst", "pssst", "for all"]
        assert (await for_chris.next())["text"] == "for all"


async def test_channels(browser: Browser, world: World) -> None:
    """A channel is told to those who find it; a deleted one to those who have found it."""
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


async def test_bot(browser: Browser, page: Page) -> None:
    """The end of the bot's process is told, and is in the state from then on."""
    async with browser.stream() as changes:
        page.bot_runs(running=False)
        told = await changes.next("bot_changed")

    assert told == {"mode": "http", "url": "http://127.0.0.1:1", "running": False}
    assert (await browser.state())["bot"] == told


async def test_form(browser: Browser, page: Page) -> None:
    """The stream is server-sent events, and nobody keeps it."""
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


async def test_nothing_missed(browser: Browser, page: Page) -> None:
    """Whatever happens once the stream has answered is told."""
    async with browser.stream() as changes:
        assert page.streams.open == 1
        page.bot_runs(running=False)
        assert (await changes.next())["running"] is False


async def test_heartbeat(world: World) -> None:
    """A comment keeps a quiet stream open."""
    page = Page(world.slack, world.kit, BotView("http", ""), Streams(heartbeat_seconds=0.01))
    async with serving(page.asgi, listen(), drain_seconds=1) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/api/stream") as response:
            lines = [await response.content.readline() for _ in range(7)]
        await page.close()

    assert lines[3:] == [b": still here\n", b"\n", b": still here\n", b"\n"]


async def test_who_leaves(browser: Browser, page: Page) -> None:
    """A page that is closed is forgotten at once."""
    async with browser.stream() as changes:
        assert page.streams.open == 1
        changes.response.close()

    await until(lambda: page.streams.open == 0)


async def test_slow_reader(browser: Browser, page: Page) -> None:
    """Who does not keep up is cut off, and may come again; others hear everything."""
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


async def test_no_room(browser: Browser, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit to the number of open pages."""
    monkeypatch.setattr(stream, "MOST_READERS", 1)
    async with browser.stream():
        assert await browser.ask("GET", "/api/stream") == (503, {"error": "Too many pages are open."})


async def test_stop(world: World) -> None:
    """Open streams end properly when the sandbox stops, and do not hold it up; no new one is opened."""
    page = Page(world.slack, world.kit, BotView("http", ""))
    served = serving(page.asgi, listen(), drain_seconds=60)
    async with asyncio.timeout(SECONDS), aiohttp.ClientSession() as session, served as url:
        response = await session.get(f"{url}/api/stream")
        await page.close()
        assert (await response.content.read()).endswith(b"\n\n")
        async with session.get(f"{url}/api/stream") as refused:
            assert (refused.status, (await refused.json())["error"]) == (503, "The sandbox is stopping.")


async def test_stop_with_a_stuck_reader(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that reads nothing any more does not hold the stop up either."""
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


async def test_closed(browser: Browser, page: Page, world: World) -> None:
    """A closed page listens to nothing any more; closing twice is once."""
    await page.close()
    await page.close()
    world.kit.end(next(iter(world.kit.meetings)))
    await world.slack.command("hello")

    assert world.kit.on_call == []
    assert list(page.drawer.calls) == []
