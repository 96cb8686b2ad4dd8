"""Socket Mode: the same answers through a WebSocket."""

import asyncio
from functools import partial
from typing import Any

import pytest

from bot.errors import ConfigurationError
from bot.slack.api_client import SlackClient
from bot.slack.socket_mode import SocketMode, Timing
from sandbox.realtimekit import seeds
from sandbox.slack import Fault, Outcome
from tests.conftest import PATIENCE, World
from tests.scenarios.scenario import until


async def test_lookup_that_fails_within_milliseconds_is_acknowledged(world: World) -> None:
    async with world.bot("socket"):
        answer = await world.ask("00000000-0000-4000-8000-000000000000")

    assert answer.text.startswith("No meeting has this ID")


@pytest.mark.parametrize(
    ("setting", "token"), [("slack_app_token", "xapp-another"), ("slack_bot_token", "xoxb-another")]
)
async def test_rejected_token_ends_the_start(world: World, setting: str, token: str) -> None:
    """With what to do, instead of retrying forever."""
    changes: dict[str, Any] = {}
    changes[setting] = token
    with pytest.raises(ConfigurationError) as refused:
        async with world.bot("socket", **changes):
            pass

    assert refused.value.mistakes[0].startswith(f"{setting.upper()} is refused by Slack (invalid_auth).")


async def test_commands_arrive_through_the_renewed_connection(world: World) -> None:
    async with world.bot("socket"):
        await world.slack.disconnect()
        await world.slack.wait_for_connections(timeout=PATIENCE)
        answer = await world.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")


async def test_bot_that_starts_while_slack_is_unreachable_connects_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.slack.identity._INITIAL_BACKOFF", 0.02)
    world.slack.fault = Fault.SERVER_ERROR
    async with world.bot("socket", wait=False):
        await world.logged("socket_open_failed")
        world.slack.fault = Fault.NONE
        await world.slack.wait_for_connections(timeout=PATIENCE)
        await world.ready()
        answer = await world.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")


async def test_request_before_the_stop_is_acknowledged_and_answered(world: World) -> None:
    world.kit.latency = 0.3
    async with world.bot("socket"):
        delivery = await world.slack.command(seeds.LIVE)

    answer = await world.slack.wait_for_message(lambda message: message.ephemeral_to is not None, timeout=PATIENCE)
    assert delivery.outcome is Outcome.OK
    assert answer.text.startswith("Launch keynote is live")
    await until(lambda: world.slack.connections == 0)


async def test_renewals_lose_no_commands_and_leave_one_connection_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.SocketMode", partial(SocketMode, timing=Timing(min_backoff=0.1, retire_after=3.0)))

    async def type_something(after: float) -> Outcome:
        await asyncio.sleep(after)
        return (await world.slack.command("help")).outcome

    async with world.bot("socket"):
        typing = asyncio.gather(*(type_something(number / 200) for number in range(200)))
        for _ in range(8):
            await asyncio.sleep(0.12)
            await world.slack.disconnect()
        assert set(await typing) == {Outcome.OK}
        await until(lambda: world.slack.connections == 1)


async def test_connection_that_closes_without_a_warning_is_opened_again_soon(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.SocketMode", partial(SocketMode, timing=Timing(min_backoff=0.02)))
    async with world.bot("socket"):
        await world.slack.disconnect("link_disabled")
        await world.slack.wait_for_connections(timeout=PATIENCE)  # the old one is no longer counted
        answer = await world.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")


async def test_rejected_websocket_url_is_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.app.SocketMode", partial(SocketMode, timing=Timing(min_backoff=0.02)))
    real = SlackClient.apps_connections_open
    handed_out: list[str] = []

    async def stale_at_first(self: SlackClient, **arguments: Any) -> Any:
        response = await real(self, **arguments)
        handed_out.append(response["url"])
        if len(handed_out) == 1:
            return {"url": f"{response['url']}-stale"}
        return response

    monkeypatch.setattr(SlackClient, "apps_connections_open", stale_at_first)
    async with world.bot("socket"):
        answer = await world.ask(seeds.LIVE)

    assert len(handed_out) == 2
    assert answer.text.startswith("Launch keynote is live")
