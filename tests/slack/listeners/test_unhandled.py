"""Requests that no listener handles, and requests that Bolt cannot parse."""

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
        connected.slack.ack_seconds = 1  # no acknowledgement comes

    delivery = await connected.slack.command("my secret plans", command="/other")
    await connected.logged("request_unhandled")

    assert not delivery.acked
    assert delivery.status == (404 if mode == "http" else None)
    assert "my secret plans" not in log.getvalue()
    assert log.getvalue().count("request_unhandled") == 1


async def test_unexpected_event_is_acknowledged_and_logged(connected: World, log: io.StringIO) -> None:
    """Otherwise Slack would repeat it. The log does not contain its content."""
    delivery = await connected.slack.event({"type": "message", "text": "my secret plans", "channel": GENERAL})

    assert delivery.acked
    assert "my secret plans" not in log.getvalue()
    assert (await connected.logged("request_unhandled"))["type"] == "event_callback"


@pytest.mark.parametrize("actions", [[], ["secret"], [None], 7])
async def test_malformed_click_is_rejected_and_its_location_logged(world: World, actions: object) -> None:
    """The log has the place in Bolt's code that failed, and none of the content."""
    async with world.bot():
        status = await post_payload(world, {"type": "block_actions", "actions": actions, "message": {"text": "secret"}})
        line = await world.logged("request_malformed")

    assert status == 400
    assert line["where"].endswith(tuple("0123456789"))
    assert "secret" not in world.log.getvalue()
    assert "Traceback" not in world.log.getvalue()


async def test_malformed_event_is_acknowledged(world: World) -> None:
    """Otherwise Slack would repeat it, and the repetition would fail, too."""
    async with world.bot():
        assert await post_payload(world, {"type": "block_actions", "actions": [], "event": {}}) == 200
        await world.logged("request_malformed")


async def malformed_requests(world: World) -> str:
    """Return how many requests could not be parsed, as the alert for unhandled errors sees it."""
    async with aiohttp.ClientSession() as session, session.get(f"{world.bot_url}/metrics") as response:
        lines = (await response.text()).splitlines()
    (line,) = [
        line for line in lines if line.startswith('livestream_bot_requests_total{action="malformed",outcome="err')
    ]
    return line.rpartition(" ")[2]


async def test_malformed_event_is_counted_in_both_modes(connected: World) -> None:
    """The event is acknowledged, so only the log and the alert show the failure."""
    assert await malformed_requests(connected) == "0.0"

    delivery = await connected.slack.event({"type": "message"}, type="block_actions", actions=[])
    await connected.logged("request_malformed")

    assert delivery.acked
    assert await malformed_requests(connected) == "1.0"


@pytest.mark.parametrize("body", [b"payload=%ff", b"payload={", b"payload=[]"])
async def test_body_without_a_payload_is_counted(world: World, body: bytes) -> None:
    """It is rejected before any listener, or Bolt's own error handler, gets it."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", **world.slack.sign(body)}
    async with world.bot(), aiohttp.ClientSession() as session:
        async with session.post(f"{world.bot_url}/slack/events", data=body, headers=headers) as response:
            assert response.status == 400

        assert await malformed_requests(world) == "1.0"


async def test_unhandled_event_is_not_counted_as_malformed(connected: World) -> None:
    """The app may be subscribed to more than the bot needs."""
    await connected.slack.event({"type": "message", "text": "hello", "channel": GENERAL})
    await connected.logged("request_unhandled")

    assert await malformed_requests(connected) == "0.0"


async def test_bug_in_an_event_handler_is_logged_with_its_traceback(world: World, mocker: MockerFixture) -> None:
    mocker.patch("bot.slack.handlers.read_event", side_effect=raise_key_error)
    async with world.bot():
        await world.slack.event({"type": "app_uninstalled"})
        line = await world.logged("handler_crashed")

    assert "raise_key_error" in line["exception"]


async def test_bug_in_a_command_is_acknowledged_and_logged(world: World, mocker: MockerFixture) -> None:
    """The log has its traceback, too."""
    mocker.patch("bot.slack.handlers.read_request", side_effect=raise_key_error)
    async with world.bot():
        delivery = await world.slack.command("help")
        line = await world.logged("handler_crashed")

    assert delivery.acked
    assert "raise_key_error" in line["exception"]


def raise_key_error(*args: object) -> None:
    raise KeyError("bug")


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
