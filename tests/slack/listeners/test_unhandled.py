"""What no listener is for."""

import io
import json
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from pytest_mock import MockerFixture

from sandbox.bot_process import Mode
from sandbox.slack import GENERAL
from tests.conftest import World


async def test_unknown_command_is_rejected(connected: World, mode: Mode, log: io.StringIO) -> None:
    """The log has one line about it, without its text."""
    connected.slack.commands.add("/other")
    if mode == "socket":
        connected.slack.ack_seconds = 1  # for what never comes

    delivery = await connected.slack.command("my secret plans", command="/other")
    await connected.logged("request_unhandled")

    assert not delivery.acked
    assert delivery.status == (404 if mode == "http" else None)
    assert "my secret plans" not in log.getvalue()
    assert log.getvalue().count("request_unhandled") == 1


async def test_unexpected_event_is_acknowledged_and_logged(connected: World, log: io.StringIO) -> None:
    """Slack would repeat it otherwise. The log does not have its content."""
    delivery = await connected.slack.event({"type": "message", "text": "my secret plans", "channel": GENERAL})

    assert delivery.acked
    assert "my secret plans" not in log.getvalue()
    assert (await connected.logged("request_unhandled"))["type"] == "event_callback"


@pytest.mark.parametrize("actions", [[], ["secret"], [None], 7])
async def test_what_bolt_cannot_read(world: World, actions: object) -> None:
    """A click without anything that was clicked is refused for good, with a line that says where Bolt gave up."""
    async with world.bot():
        status = await post_payload(world, {"type": "block_actions", "actions": actions, "message": {"text": "secret"}})
        line = await world.logged("request_malformed")

    assert status == 400
    assert line["where"].endswith(tuple("0123456789"))
    assert "secret" not in world.log.getvalue()
    assert "Traceback" not in world.log.getvalue()


async def test_event_that_bolt_cannot_read(world: World) -> None:
    """It is taken: Slack would repeat it, and it would not get any better."""
    async with world.bot():
        assert await post_payload(world, {"type": "block_actions", "actions": [], "event": {}}) == 200
        await world.logged("request_malformed")


async def unread(world: World) -> str:
    """How often a payload could not be read, as the alert for unhandled errors sees it."""
    async with aiohttp.ClientSession() as session, session.get(f"{world.bot_url}/metrics") as response:
        lines = (await response.text()).splitlines()
    (line,) = [line for line in lines if line.startswith('livestream_bot_requests_total{action="unread",outcome="err')]
    return line.rpartition(" ")[2]


async def test_what_bolt_cannot_read_is_counted_in_both_modes(connected: World) -> None:
    """The event is acknowledged, so only the log and the alert show the failure."""
    assert await unread(connected) == "0.0"

    delivery = await connected.slack.event({"type": "message"}, type="block_actions", actions=[])
    await connected.logged("request_malformed")

    assert delivery.acked
    assert await unread(connected) == "1.0"


@pytest.mark.parametrize("body", [b"payload=%ff", b"payload={", b"payload=[]"])
async def test_a_body_that_no_payload_can_be_made_of_is_counted(world: World, body: bytes) -> None:
    """It is refused before any listener, or Bolt's own error handling, has it."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", **world.slack.sign(body)}
    async with world.bot(), aiohttp.ClientSession() as session:
        async with session.post(f"{world.bot_url}/slack/events", data=body, headers=headers) as response:
            assert response.status == 400

        assert await unread(world) == "1.0"


async def test_what_nobody_listens_to_is_not_counted_as_broken(connected: World) -> None:
    """The app may be subscribed to more than the bot needs."""
    await connected.slack.event({"type": "message", "text": "hello", "channel": GENERAL})
    await connected.logged("request_unhandled")

    assert await unread(connected) == "0.0"


async def test_a_mistake_of_ours(world: World, mocker: MockerFixture) -> None:
    """It has its traceback in the log."""
    mocker.patch("bot.slack.handlers.read_event", side_effect=broken_here)
    async with world.bot():
        await world.slack.event({"type": "app_uninstalled"})
        line = await world.logged("handler_crashed")

    assert "broken_here" in line["exception"]


async def test_a_mistake_of_ours_with_a_click(world: World, mocker: MockerFixture) -> None:
    """It is acknowledged, since Slack has done nothing wrong, and has its traceback in the log, too."""
    mocker.patch("bot.slack.handlers.read_request", side_effect=broken_here)
    async with world.bot():
        delivery = await world.slack.command("help")
        line = await world.logged("handler_crashed")

    assert delivery.acked
    assert "broken_here" in line["exception"]


def broken_here(*args: object) -> None:
    raise KeyError("mine")


async def post_payload(world: World, payload: dict[str, Any]) -> int:
    body = urlencode({"payload": json.dumps(payload)}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", **world.slack.sign(body)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{world.bot_url}/slack/events", data=body, headers=headers) as response,
    ):
        return response.status


async def test_url_verification_returns_the_challenge(world: World) -> None:
    """Slack verifies the address for events in this way."""
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
