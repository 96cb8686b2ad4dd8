"""The webhooks' part of the panel."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.uvicorn_server import listen, serving
from sandbox.page import BotView, Page
from sandbox.realtimekit import seeds
from tests.conftest import World
from tests.sandbox.page.conftest import Browser


@pytest.fixture
async def address(world: World) -> AsyncIterator[str]:
    """An address that takes every webhook."""

    async def take(_: Request) -> Response:
        return Response(status_code=200)

    app = Starlette(routes=[Route("/hook", take, methods=["POST"])])
    async with serving(app, listen(), drain_seconds=1) as url, world.kit.delivering():
        yield f"{url}/hook"


async def press(browser: Browser, name: str) -> tuple[int, dict[str, Any]]:
    return await browser.ask("POST", f"/api/webhooks/{name}", {})


async def test_first_sight(browser: Browser) -> None:
    """Nobody is told of anything yet."""
    nothing = {"addresses": 0, "held": False, "delivered": 0, "failed": 0, "waiting": 0, "rotations": 0}

    assert (await browser.state())["webhooks"] == nothing


async def test_counting(browser: Browser, world: World, address: str) -> None:
    """Deliveries are told to the pages as they end, and which of them were taken."""
    world.kit.add_webhook(address)
    refusing = world.kit.add_webhook(address.replace("/hook", "/nowhere"))

    async with browser.stream() as changes:
        world.kit.go_live(seeds.IDLE)
        told = await changes.next("webhooks_changed")
        while told["waiting"]:
            told = await changes.next("webhooks_changed")

    calls = [call for call in (await browser.state())["calls"] if call["from"] == "cloudflare"]
    assert sorted({call["status"] for call in calls}) == [200, 404]
    assert told["addresses"] == 2
    assert told["delivered"] == told["failed"] > 0
    world.kit.change_webhook(refusing.id, enabled=False)
    assert (await browser.state())["webhooks"]["addresses"] == 1


async def test_holding(browser: Browser, world: World, address: str) -> None:
    """What is held back waits, and leaves when it is let go."""
    world.kit.add_webhook(address)
    assert (await browser.ask("PUT", "/api/webhooks", {"held": True}))[1]["held"] is True
    world.kit.go_live(seeds.IDLE)
    waiting = (await browser.state())["webhooks"]

    assert (await browser.ask("PUT", "/api/webhooks", {"held": False}))[1]["held"] is False
    await world.kit.deliveries_settled()

    assert waiting["waiting"] > 0 == waiting["delivered"]
    assert (await browser.state())["webhooks"]["delivered"] == waiting["waiting"]


async def test_repeating(browser: Browser, world: World, address: str) -> None:
    """The last one is sent again, once there is one."""
    assert await press(browser, "repeat") == (409, {"error": "No webhook was sent yet."})
    world.kit.add_webhook(address)
    world.kit.go_live(seeds.IDLE)
    await world.kit.deliveries_settled()
    before = len(world.kit.deliveries)

    assert (await press(browser, "repeat"))[0] == 200

    await world.kit.deliveries_settled()
    assert len(world.kit.deliveries) == before + 1


async def test_rotating(browser: Browser, world: World) -> None:
    """Another key is published from then on."""
    before = world.kit.public_key

    assert (await press(browser, "rotate"))[1]["rotations"] == 1

    assert world.kit.public_key != before


async def test_unknown_button(browser: Browser) -> None:
    """There are two buttons."""
    assert await press(browser, "forge") == (404, {"error": "There is no such button for webhooks."})


async def test_earlier_and_later(world: World, address: str) -> None:
    """A page counts what was delivered before it was there, and nothing after it is closed."""
    world.kit.add_webhook(address)
    world.kit.go_live(seeds.IDLE)
    await world.kit.deliveries_settled()
    page = Page(world.slack, world.kit, BotView("http", ""))
    earlier = page.webhooks.to_dict()["delivered"]

    await page.close()
    world.kit.end(seeds.IDLE)
    await world.kit.deliveries_settled()

    assert earlier == page.webhooks.to_dict()["delivered"] > 0
