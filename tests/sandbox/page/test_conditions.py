"""The controls for the clock's speed and for faults."""

import asyncio
import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from bot.uvicorn_server import listen, serving
from sandbox.realtimekit import Fault as CloudflareFault
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, GENERAL
from sandbox.slack import Fault as SlackFault
from tests.conftest import World
from tests.sandbox.page.conftest import Browser


async def change_conditions(browser: Browser, settings: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return await browser.ask("PUT", "/api/conditions", settings)


async def test_changed_condition_is_reported_to_all_and_keeps_the_others(browser: Browser, world: World) -> None:
    async with browser.stream() as changes:
        assert (await change_conditions(browser, {"cloudflare_fault": "html"}))[0] == 200
        assert (await change_conditions(browser, {"slack_fault": "rate_limited"}))[0] == 200
        status, conditions = await change_conditions(browser, {"speed": 10})
        reported = [await changes.next("conditions_changed") for _ in range(3)]

    assert (world.kit.fault, world.slack.fault) == (CloudflareFault.HTML, SlackFault.RATE_LIMITED)
    assert world.slack.clock.speed == 10
    assert status == 200
    assert reported[2] == conditions
    assert conditions["cloudflare_fault"] == reported[0]["cloudflare_fault"] == "html"
    assert math.isclose(conditions["now"], world.slack.clock.now(), abs_tol=60)


async def test_every_fault_can_be_chosen_and_has_a_label(browser: Browser, world: World) -> None:
    conditions = (await browser.state())["conditions"]

    for name, faults in (("cloudflare_faults", CloudflareFault), ("slack_faults", SlackFault)):
        assert [choice["value"] for choice in conditions[name]] == [fault.name.lower() for fault in faults]
        assert all(choice["label"] for choice in conditions[name])
    assert {"value": "slow", "label": "Slow (3 s)"} in conditions["cloudflare_faults"]
    assert conditions["speeds"] == [1, 10, 60]


async def test_invalid_condition_changes_nothing(browser: Browser, world: World) -> None:
    for settings, sentence in (
        ({"speed": 10, "cloudflare_fault": "fire"}, "A fault must be one of none, slow, unauthorized"),
        ({"speed": 10, "slack_fault": "slow"}, "A fault must be one of none, rate_limited, server_error"),
        ({"cloudflare_fault": "slow", "speed": 2}, "The speed must be one of 1, 10, 60."),
        ({"cloudflare_fault": "slow", "speed": 0}, "The speed must be one of 1, 10, 60."),
        ({"cloudflare_fault": "slow", "speed": "10"}, "speed: Input should be a valid number."),
        ({"cloudflare_fault": "slow", "speed": True}, "speed: Input should be a valid number."),
        ({"cloudflare_fault": 500}, "cloudflare_fault: Input should be a valid string."),
        ({"cloudflare_fault": "slow", "volume": 11}, "volume: Extra inputs are not permitted."),
    ):
        status, answer = await change_conditions(browser, settings)

        assert status == 400
        assert answer["error"].startswith(sentence)
        assert (world.slack.clock.speed, world.kit.fault) == (1, CloudflareFault.NONE)


async def test_slack_waits_three_real_seconds_at_any_speed(browser: Browser, world: World) -> None:
    """The bot lives in real time."""

    async def slow_bot(scope: Any, receive: Any, send: Any) -> None:
        await Request(scope, receive).body()
        await asyncio.sleep(0.08)  # 4.8 seconds at a speed of 60
        await Response()(scope, receive, send)

    async with serving(slow_bot, listen(), drain_seconds=1) as url:
        world.slack.request_url = url
        await change_conditions(browser, {"speed": 60})
        typed = {"user": ANN, "channel": GENERAL, "text": f"/livestream {seeds.LIVE}"}
        assert (await browser.ask("POST", "/api/messages", typed)) == (200, {"outcome": "ok"})

    await change_conditions(browser, {"speed": 1})
    assert world.slack.ack_seconds == 3
