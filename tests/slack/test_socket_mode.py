"""Socket Mode: the same answers through a WebSocket."""

import asyncio
from functools import partial
from typing import Any

import pytest

from bot.errors import ConfigurationError
from bot.realtimekit.lookup import ANSWER_SECONDS
from bot.slack.api_client import SlackClient
from bot.slack.messages import lookup_card
from bot.slack.socket_mode import SocketMode, Timing
from sandbox.realtimekit import seeds
from sandbox.slack import Fault, Outcome
from tests.conftest import PATIENCE, World
from tests.scenarios.scenario import until


async def test_command_and_click(world: World) -> None:
    """A command and a click through the WebSocket are answered as over HTTP."""
    async with world.bot("socket"):
        answer = await world.ask(seeds.LIVE)
        world.kit.end(seeds.LIVE)
        world.slack.clock.advance(ANSWER_SECONDS)
        await world.slack.click(answer, lookup_card.REFRESH)
        refreshed = await world.slack.wait_for_message(
            lambda now: now.ts == answer.ts and now != answer, timeout=PATIENCE
        )

    assert answer.text.startswith("Launch keynote is live")
    assert refreshed.text.endswith("is not live.")


async def test_quick_failure_is_acknowledged(world: World) -> None:
    """A failure within milliseconds is acknowledged all the same, and reported."""
    async with world.bot("socket"):
        answer = await world.ask("00000000-0000-4000-8000-000000000000")

    assert answer.text.startswith("No meeting has this ID")


async def test_bad_app_token(world: World) -> None:
    """A rejected app token ends the start, with what to do, instead of retrying forever."""
    with pytest.raises(ConfigurationError) as refused:
        async with world.bot("socket", slack_app_token="xapp-another"):
            pass

    assert refused.value.mistakes[0].startswith("SLACK_APP_TOKEN is refused by Slack (invalid_auth).")


async def test_bad_bot_token(world: World) -> None:
    """A refused bot token ends the start with what to do."""
    with pytest.raises(ConfigurationError) as refused:
        async with world.bot("socket", slack_bot_token="xoxb-another"):
            pass

    assert refused.value.mistakes[0].startswith("SLACK_BOT_TOKEN is refused by Slack (invalid_auth).")


async def test_commands_arrive_through_the_renewed_connection(world: World) -> None:
    async with world.bot("socket"):
        await world.slack.disconnect()
        await world.slack.wait_for_connections(timeout=PATIENCE)
        answer = await world.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")


async def test_slack_comes_late(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bot that starts while Slack is unreachable connects when it comes back."""
    monkeypatch.setattr("bot.slack.identity._INITIAL_BACKOFF", 0.02)
    world.slack.fault = Fault.SERVER_ERROR
    async with world.bot("socket", wait=False):
        await world.logged("socket_open_failed")
        world.slack.fault = Fault.NONE
        await world.slack.wait_for_connections(timeout=PATIENCE)
        await world.ready()
        answer = await world.ask(seeds.LIVE)

    assert answer.text.startswith("Launch keynote is live")


async def test_stop_finishes_what_runs(world: World) -> None:
    """A request before the stop is acknowledged and answered."""
    world.kit.latency = 0.3
    async with world.bot("socket"):
        delivery = await world.slack.command(seeds.LIVE)

    answer = await world.slack.wait_for_message(lambda message: message.ephemeral_to is not None, timeout=PATIENCE)
    assert delivery.outcome is Outcome.OK
    assert answer.text.startswith("Launch keynote is live")
    await until(lambda: world.slack.connections == 0)


async def test_renewed_again_and_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewals lose no commands, and leave one connection open."""
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


async def test_closed_by_slack(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that closes without a warning is opened again soon."""
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
