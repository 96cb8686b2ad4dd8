"""The webhooks' part of the panel."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.uvicorn_server import listen, serving
from sandbox.page import BotView, Page
from sandbox.realtimekit import seeds
from tests.conftest import World
from tests.sandbox.page.conftest import Browser
from tests.sandbox.receiver import PATH, Receiver


@pytest.fixture
async def webhook_url(world: World) -> AsyncIterator[str]:
    """Yield a URL that accepts every webhook."""
    async with serving(Receiver(world.kit.clock).asgi, listen(), drain_seconds=1) as url, world.kit.delivering():
        yield url + PATH


async def press(browser: Browser, name: str) -> tuple[int, dict[str, Any]]:
    return await browser.ask("POST", f"/api/webhooks/{name}", {})


async def test_no_webhook_is_counted_at_first(browser: Browser) -> None:
    nothing = {"addresses": 0, "held": False, "delivered": 0, "failed": 0, "waiting": 0, "rotations": 0}

    assert (await browser.state())["webhooks"] == nothing


async def test_deliveries_are_counted_by_outcome(browser: Browser, world: World, webhook_url: str) -> None:
    world.kit.add_webhook(webhook_url)
    refusing = world.kit.add_webhook(f"{webhook_url}/nowhere")

    async with browser.stream() as changes:
        world.kit.go_live(seeds.IDLE)
        counts = await changes.next("webhooks_changed")
        while counts["waiting"]:
            counts = await changes.next("webhooks_changed")

    calls = [call for call in (await browser.state())["calls"] if call["from"] == "cloudflare"]
    assert sorted({call["status"] for call in calls}) == [200, 404]
    assert counts["addresses"] == 2
    assert counts["delivered"] == counts["failed"] > 0
    world.kit.change_webhook(refusing.id, enabled=False)
    assert (await browser.state())["webhooks"]["addresses"] == 1


async def test_held_webhooks_are_sent_when_released(browser: Browser, world: World, webhook_url: str) -> None:
    world.kit.add_webhook(webhook_url)
    assert (await browser.ask("PUT", "/api/webhooks", {"held": True}))[1]["held"] is True
    world.kit.go_live(seeds.IDLE)
    waiting = (await browser.state())["webhooks"]

    assert (await browser.ask("PUT", "/api/webhooks", {"held": False}))[1]["held"] is False
    await world.kit.deliveries_settled()

    assert waiting["waiting"] > 0 == waiting["delivered"]
    assert (await browser.state())["webhooks"]["delivered"] == waiting["waiting"]


async def test_last_webhook_can_be_repeated_once_there_is_one(browser: Browser, world: World, webhook_url: str) -> None:
    assert await press(browser, "repeat") == (409, {"error": "No webhook was sent yet."})
    world.kit.add_webhook(webhook_url)
    world.kit.go_live(seeds.IDLE)
    await world.kit.deliveries_settled()
    before = len(world.kit.deliveries)

    assert (await press(browser, "repeat"))[0] == 200

    await world.kit.deliveries_settled()
    assert len(world.kit.deliveries) == before + 1


async def test_rotation_publishes_another_key(browser: Browser, world: World) -> None:
    before = world.kit.public_key

    assert (await press(browser, "rotate"))[1]["rotations"] == 1

    assert world.kit.public_key != before


async def test_unknown_webhook_action_is_rejected(browser: Browser) -> None:
    assert await press(browser, "forge") == (404, {"error": "There is no such button for webhooks."})


async def test_page_counts_deliveries_until_it_is_closed(world: World, webhook_url: str) -> None:
    world.kit.add_webhook(webhook_url)
    world.kit.go_live(seeds.IDLE)
    await world.kit.deliveries_settled()
    page = Page(world.slack, world.kit, BotView("http", ""))
    earlier = page.webhooks.to_dict()["delivered"]

    await page.close()
    world.kit.end(seeds.IDLE)
    await world.kit.deliveries_settled()

    assert earlier == page.webhooks.to_dict()["delivered"] > 0
