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


async def test_calls_of_a_lookup_are_shown_with_secrets_masked(browser: Browser, world: World) -> None:
    async with browser.stream() as changes, world.bot():
        await world.ask(seeds.LIVE)
        logged = [await changes.next("call_logged") for _ in range(6)]
        state = await browser.state()

    app_path = "/accounts/•••/realtime/kit/•••"
    assert sorted(route(call) for call in logged) == sorted(
        [
            "bot > slack: auth.test 200 None",
            "slack > bot: slash command /livestream 200 None",
            f"bot > cloudflare: GET {app_path}/meetings/{seeds.LIVE}/active-livestream 200 None",
            f"bot > cloudflare: GET {app_path}/meetings/{seeds.LIVE} 200 None",
            f"bot > cloudflare: GET {app_path}/livestreams/{_livestream_id(world)}/active-livestream-session 200 None",
            "bot > slack: response_url 200 None",
        ]
    )
    assert state["calls"] == logged
    assert [call["id"] for call in logged] == [1, 2, 3, 4, 5, 6]
    assert all(0 <= call["ms"] < 10_000 and call["at"] > 0 for call in logged)
    kit, slack = world.kit, world.slack
    secrets = [kit.account_id, kit.app_id, kit.api_token, slack.credentials.bot_token, "/commands/", "/actions/"]
    assert not any(secret in str(state["calls"]) for secret in [*secrets, *kit.secrets])


def _livestream_id(world: World) -> str:
    livestream = world.kit.meetings[seeds.LIVE].livestream
    assert livestream is not None
    return livestream.id


async def test_calls_before_the_page_was_opened_are_shown_in_order(world: World) -> None:
    async with world.bot():
        await world.ask(seeds.LIVE)
        page = Page(world.slack, world.kit, BotView("http", ""))
    await page.close()

    times = [call["at"] for call in page.drawer.calls]
    assert len(times) == 6
    assert times == sorted(times)


async def test_drawer_keeps_only_the_latest_calls(browser: Browser, page: Page) -> None:
    for number in range(KEPT_CALLS + 5):
        page.drawer.put({"method": str(number)})
    calls = (await browser.state())["calls"]

    assert len(calls) == KEPT_CALLS
    assert (calls[0]["id"], calls[-1]["id"]) == (6, KEPT_CALLS + 5)


def test_durations_are_in_real_milliseconds() -> None:
    """The sandbox measures in its own time."""
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


def test_unanswered_request_says_so() -> None:
    call = cloudflare_call(CloudflareCall("GET", "/somewhere?a=b", 0, 10.04, 1.0))

    assert route(call) == "bot > cloudflare: GET /somewhere?a=b None no answer"
    assert call["ms"] == 10.0


def test_wrong_accounts_are_masked_and_long_paths_truncated() -> None:
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
def test_webhook_shows_its_outcome_and_attempts(status: int | None, attempts: int, line: str) -> None:
    """Its duration is unknown."""
    call = webhook_call(Delivery("w1", "meeting.started", seeds.IDLE, status, attempts, at=1_000.0))

    assert route(call) == line
    assert (call["ms"], call["at"]) == (None, 1_000.0)
