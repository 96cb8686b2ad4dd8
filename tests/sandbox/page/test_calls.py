"""The drawer of calls."""

from typing import Any

import pytest

from sandbox.page import BotView, Page
from sandbox.page.drawer import KEPT_CALLS
from sandbox.page.views import cloudflare_call, slack_call, webhook_call
from sandbox.realtimekit import Call as CloudflareCall
from sandbox.realtimekit import seeds
from sandbox.realtimekit.postman import Delivery
from sandbox.slack import Call as SlackCall
from sandbox.slack import Direction
from tests.conftest import World
from tests.sandbox.page.conftest import Browser


def route(call: dict[str, Any]) -> str:
    return f"{call['from']} > {call['to']}: {call['method']} {call['status']} {call['error']}"


async def test_a_lookup(browser: Browser, world: World) -> None:
    """Each call is told with its ends, its status and its time; the account, the app and all secrets are masked."""
    async with browser.stream() as changes, world.bot():
        await world.ask(seeds.LIVE)
        told = [await changes.next("call_logged") for _ in range(6)]
        state = await browser.state()

    owner = "/accounts/•••/realtime/kit/•••"
    assert sorted(route(call) for call in told) == sorted(
        [
            "bot > slack: auth.test 200 None",
            "slack > bot: slash command /livestream 200 None",
            f"bot > cloudflare: GET {owner}/meetings/{seeds.LIVE}/active-livestream 200 None",
            f"bot > cloudflare: GET {owner}/meetings/{seeds.LIVE} 200 None",
            f"bot > cloudflare: GET {owner}/livestreams/{_livestream_id(world)}/active-livestream-session 200 None",
            "bot > slack: response_url 200 None",
        ]
    )
    assert state["calls"] == told
    assert [call["id"] for call in told] == [1, 2, 3, 4, 5, 6]
    assert all(0 <= call["ms"] < 10_000 and call["at"] > 0 for call in told)
    kit, slack = world.kit, world.slack
    secrets = [kit.account_id, kit.app_id, kit.api_token, slack.credentials.bot_token, "/commands/", "/actions/"]
    assert not any(secret in str(state["calls"]) for secret in [*secrets, *kit.secrets])


def _livestream_id(world: World) -> str:
    livestream = world.kit.meetings[seeds.LIVE].livestream
    assert livestream is not None
    return livestream.id


async def test_earlier_calls(world: World) -> None:
    """Calls from before the page was opened are in the drawer, in their order."""
    async with world.bot():
        await world.ask(seeds.LIVE)
        page = Page(world.slack, world.kit, BotView("http", ""))
    await page.close()

    times = [call["at"] for call in page.drawer.calls]
    assert len(times) == 6
    assert times == sorted(times)


async def test_bounded(browser: Browser, page: Page) -> None:
    """The drawer keeps the last calls."""
    for number in range(KEPT_CALLS + 5):
        page.drawer.put({"method": str(number)})
    calls = (await browser.state())["calls"]

    assert len(calls) == KEPT_CALLS
    assert (calls[0]["id"], calls[-1]["id"]) == (6, KEPT_CALLS + 5)


def test_real_time() -> None:
    """The sandbox measures in its own time; the drawer tells real milliseconds."""
    call = SlackCall(Direction.SLACK_TO_BOT, "block_actions refresh", None, "operation_timeout", 600.0, 1.5)

    assert slack_call(call, speed=60) == {
        "from": "slack",
        "to": "bot",
        "method": "block_actions refresh",
        "status": None,
        "error": "operation_timeout",
        "ms": 10.0,
        "at": 1.5,
    }
    assert slack_call(call, speed=0)["ms"] == 600.0


def test_no_answer() -> None:
    """A request that was never answered says so."""
    call = cloudflare_call(CloudflareCall("GET", "/somewhere?a=b", 0, 10.04, 1.0))

    assert route(call) == "bot > cloudflare: GET /somewhere?a=b None no answer"
    assert call["ms"] == 10.0


def test_masked_whatever_they_are() -> None:
    """A wrong account is masked too, and a path without end is cut off."""
    call = cloudflare_call(CloudflareCall("GET", "/client/v4/accounts/other/realtime/kit/app2/" + "x" * 999, 404, 1, 1))

    assert call["method"].startswith("GET /accounts/•••/realtime/kit/•••/xxx")
    assert len(call["method"]) == 300
    assert call["error"] is None


@pytest.mark.parametrize(
    ("status", "attempts", "line"),
    [
        (200, 1, "cloudflare > bot: webhook meeting.started 200 None"),
        (401, 1, "cloudflare > bot: webhook meeting.started 401 None"),
        (200, 3, "cloudflare > bot: webhook meeting.started (3 attempts) 200 None"),
        (None, 6, "cloudflare > bot: webhook meeting.started (6 attempts) None no answer"),
        (None, 0, "cloudflare > bot: webhook meeting.started None not sent"),
    ],
)
def test_webhook(status: int | None, attempts: int, line: str) -> None:
    """A webhook tells how it ended, and after how many attempts; how long it took is not known."""
    call = webhook_call(Delivery("w1", "meeting.started", seeds.IDLE, status, attempts, at=1_000.0))

    assert route(call) == line
    assert (call["ms"], call["at"]) == (None, 1_000.0)
