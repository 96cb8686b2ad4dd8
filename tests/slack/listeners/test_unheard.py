"""What no listener is for."""

import io
import json

import aiohttp

from bot.sandbox.bot_process import Mode
from bot.sandbox.slack import GENERAL
from tests.conftest import World


async def test_refused(connected: World, mode: Mode, log: io.StringIO) -> None:
    """Another command is refused with one line in the log, without its text."""
    connected.slack.commands.add("/other")

    delivery = await connected.slack.command("my secret plans", command="/other")

    assert not delivery.acked
    assert delivery.status == (404 if mode == "http" else None)
    assert "my secret plans" not in log.getvalue()
    assert log.getvalue().count("unheard") == 2  # the event, and the logger's name


async def test_event(connected: World, log: io.StringIO) -> None:
    """An event that nobody asked for is taken, since Slack would repeat it, and noted without its content."""
    delivery = await connected.slack.event({"type": "message", "text": "my secret plans", "channel": GENERAL})

    assert delivery.acked
    assert "my secret plans" not in log.getvalue()
    assert (await connected.logged("unheard"))["type"] == "event_callback"


async def test_url_verification(world: World) -> None:
    """When the events' address is set Slack asks whether it is the bot's: the challenge is sent back."""
    body = json.dumps({"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB"}).encode()
    headers = {"Content-Type": "application/json", **world.slack.sign(body)}
    async with (
        world.bot(),
        aiohttp.ClientSession() as session,
        session.post(f"{world.bot_url}/slack/events", data=body, headers=headers) as response,
    ):
        answer = await response.json()

    assert response.status == 200
    assert answer == {"challenge": "3eZbrw1aB"}
