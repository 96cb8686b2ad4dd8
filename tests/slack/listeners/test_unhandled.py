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
from tests.slack.listeners.helpers import BOTH_MODES

FORM = "application/x-www-form-urlencoded"


async def post(world: World, body: bytes, content_type: str = FORM) -> tuple[int, bytes]:
    """Send the bot a signed request."""
    headers = {"Content-Type": content_type, **world.slack.sign(body)}
    url = f"{world.bot_url}/slack/events"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status, await response.read()


async def malformed_requests(world: World) -> str:
    """Return how many requests could not be parsed, as the alert for unhandled errors sees it."""
    async with aiohttp.ClientSession() as session, session.get(f"{world.bot_url}/metrics") as response:
        lines = (await response.text()).splitlines()
    (line,) = [
        line for line in lines if line.startswith('livestream_bot_requests_total{action="malformed",outcome="err')
    ]
    return line.rpartition(" ")[2]


@BOTH_MODES
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


@BOTH_MODES
async def test_unexpected_and_malformed_events_are_acknowledged_and_only_malformed_ones_are_counted(
    connected: World, log: io.StringIO
) -> None:
    """Slack would repeat an event otherwise. The app may be subscribed to more than the bot needs."""
    unexpected = await connected.slack.event({"type": "message", "text": "my secret plans", "channel": GENERAL})

    assert unexpected.acked
    assert (await connected.logged("request_unhandled"))["type"] == "event_callback"
    assert "my secret plans" not in log.getvalue()
    assert await malformed_requests(connected) == "0.0"

    malformed = await connected.slack.event({"type": "message"}, type="block_actions", actions=[])
    await connected.logged("request_malformed")

    assert malformed.acked
    assert await malformed_requests(connected) == "1.0"


async def test_malformed_click_is_rejected_and_its_location_logged(connected: World) -> None:
    """The log has the place in Bolt's code that failed, and none of the content."""
    cases: list[object] = [[], ["secret"], [None], 7]
    for number, actions in enumerate(cases, start=1):
        payload: dict[str, Any] = {"type": "block_actions", "actions": actions, "message": {"text": "secret"}}
        status, _ = await post(connected, urlencode({"payload": json.dumps(payload)}).encode())

        assert status == 400
        lines = [json.loads(line) for line in connected.log.getvalue().splitlines()]
        places = [line["where"] for line in lines if line["event"] == "request_malformed"]
        assert len(places) == number
        assert places[-1].endswith(tuple("0123456789"))
        assert await malformed_requests(connected) == f"{number}.0"
    assert "secret" not in connected.log.getvalue()
    assert "Traceback" not in connected.log.getvalue()


@pytest.mark.parametrize("body", [b"payload=%ff", b"payload={", b"payload=[]"])
async def test_body_without_a_payload_is_counted(connected: World, body: bytes) -> None:
    """It is rejected before any listener, or Bolt's own error handler, gets it."""
    assert (await post(connected, body))[0] == 400
    assert await malformed_requests(connected) == "1.0"


async def test_bug_while_a_request_is_read_is_logged_with_its_traceback(
    connected: World, mocker: MockerFixture
) -> None:
    """The command is acknowledged all the same."""
    for name in ("read_event", "read_request"):
        mocker.patch(f"bot.slack.handlers.{name}", side_effect=KeyError("bug"))

    await connected.slack.event({"type": "app_uninstalled"})
    assert "KeyError: 'bug'" in (await connected.logged("handler_crashed"))["exception"]
    delivery = await connected.slack.command("help")
    await connected.idle()

    assert delivery.acked
    crashes = [line for line in connected.log.getvalue().splitlines() if "handler_crashed" in line]
    assert ["KeyError" in line for line in crashes] == [True, True]


async def test_url_verification_returns_the_challenge(connected: World) -> None:
    """Slack verifies the address for events in this way."""
    body = json.dumps({"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB"}).encode()

    status, answer = await post(connected, body, "application/json")

    assert (status, json.loads(answer)) == (200, {"challenge": "3eZbrw1aB"})
