"""The HTTP server: which requests it accepts, and its health and metrics."""

import io
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import aiohttp
import pytest

from bot.request_bodies import MAX_BODY_BYTES
from sandbox.realtimekit import seeds
from sandbox.slack import Fault
from tests.conftest import World

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def command_body(world: World, text: str = "help") -> bytes:
    fields = {"command": "/livestream", "text": text, "user_id": "U1", "channel_id": "C1", "team_id": "T1"}
    return urlencode({**fields, "response_url": f"{world.slack.base_url}/commands/unknown"}).encode()


async def post(http: aiohttp.ClientSession, world: World, body: bytes, headers: dict[str, str]) -> int:
    async with http.post(f"{world.bot_url}/slack/events", data=body, headers={**FORM, **headers}) as response:
        return response.status


async def test_signed_request_is_served(connected: World, http: aiohttp.ClientSession) -> None:
    body = command_body(connected)

    assert await post(http, connected, body, connected.slack.sign(body)) == 200


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"X-Slack-Signature": "v0=" + "0" * 64}, "forged"),
        ({"X-Slack-Signature": ""}, "malformed"),
        ({"X-Slack-Signature": "v0=" + "é" * 64}, "malformed"),
        ({"X-Slack-Signature": "v1=" + "0" * 64}, "malformed"),
        ({"X-Slack-Request-Timestamp": "yesterday"}, "malformed"),
        ({"X-Slack-Request-Timestamp": "1" * 400}, "malformed"),
        ({"X-Slack-Request-Timestamp": "-1"}, "malformed"),
        ({"X-Slack-Request-Timestamp": "12345"}, "stale"),
    ],
)
async def test_invalid_signature_is_rejected_and_logged_without_the_body(
    connected: World, http: aiohttp.ClientSession, log: io.StringIO, changes: dict[str, str], reason: str
) -> None:
    body = command_body(connected, "my secret plans")

    status = await post(http, connected, body, {**connected.slack.sign(body), **changes})

    assert status == 401
    [line] = [line for line in log.getvalue().splitlines() if "rejected" in line]
    assert f'"reason": "{reason}"' in line
    assert "my secret plans" not in log.getvalue()


async def test_signature_older_than_five_minutes_is_rejected(connected: World, http: aiohttp.ClientSession) -> None:
    body = command_body(connected)

    assert await post(http, connected, body, connected.slack.sign(body, int(time.time()) - 301)) == 401


async def test_replayed_request_is_rejected(connected: World, http: aiohttp.ClientSession) -> None:
    body = command_body(connected)
    headers = connected.slack.sign(body)
    first = await post(http, connected, body, headers)

    again = await post(http, connected, body, headers)

    assert (first, again) == (200, 401)


async def test_body_that_is_not_utf8_is_rejected(connected: World, http: aiohttp.ClientSession) -> None:
    assert await post(http, connected, b"\xff\xfe", connected.slack.sign(b"")) == 401


async def test_unsigned_request_is_rejected(connected: World, http: aiohttp.ClientSession) -> None:
    """Even one that claims to be a certificate check."""
    assert await post(http, connected, b"ssl_check=1&token=x", {}) == 401


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_above_256_kb_is_rejected(connected: World, http: aiohttp.ClientSession, chunked: bool) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:100]
        yield body[100:]

    data = chunks() if chunked else io.BytesIO(body)
    headers = connected.slack.sign(body)
    async with http.post(f"{connected.bot_url}/slack/events", data=data, headers=headers) as response:
        assert response.status == 413


async def test_body_of_256_kb_is_read(connected: World, http: aiohttp.ClientSession) -> None:
    body = b"x" * MAX_BODY_BYTES

    assert await post(http, connected, body, connected.slack.sign(body)) == 404


@pytest.mark.parametrize("path", ["/slack/events/", "//slack/events", "/slack//events//"])
async def test_extra_slashes_reach_the_bot_without_a_redirect(
    connected: World, http: aiohttp.ClientSession, path: str
) -> None:
    body = command_body(connected)
    headers = {**FORM, **connected.slack.sign(body)}

    sent = http.post(connected.bot_url + path, data=body, headers=headers, allow_redirects=False)
    async with sent as response:
        assert response.status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_accept_a_trailing_slash_and_head(
    connected: World, http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(f"{connected.bot_url}{path}/", allow_redirects=False) as response:
        assert response.status == 200
    async with http.head(f"{connected.bot_url}{path}", allow_redirects=False) as response:
        assert (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/x-www-form-urlencoded", b"payload={"),
        ("application/x-www-form-urlencoded", b"payload=%ff"),
        ("application/json", b"[1, 2]"),
        ("application/json", b"null"),
        ("application/x-www-form-urlencoded", b"payload=[]"),
        ("application/x-www-form-urlencoded", b"payload=%22text%22"),
        ("application/json", b'{"type": "block_actions", "team": 1, "user": [], "actions": {}}'),
        ("application/json", b'{"command": {"a": 1}, "team_id": [1]}'),
        ("application/json", b'{"type": "block_actions", "actions": [{"action_id": "refresh"}]}'),
        ("application/json", b"[" * 100_000),
    ],
)
async def test_signed_malformed_body_breaks_nothing(
    connected: World, http: aiohttp.ClientSession, log: io.StringIO, content_type: str, body: bytes
) -> None:
    headers = {**connected.slack.sign(body), "content-type": content_type}

    status = await post(http, connected, body, headers)
    await connected.idle()

    assert status < 500
    assert "Traceback" not in log.getvalue()


async def test_command_without_a_response_url_is_logged(
    connected: World, http: aiohttp.ClientSession, log: io.StringIO
) -> None:
    body = urlencode({"command": "/livestream", "text": "help", "user_id": "U1"}).encode()

    status = await post(http, connected, body, connected.slack.sign(body))

    assert status == 200
    assert (await connected.logged("payload_invalid"))["detail"] == "payload without channel_id, response_url"


async def test_running_bot_is_healthy_and_ready(connected: World, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{connected.bot_url}/healthz") as response:
        assert response.status == 200
    async with http.get(f"{connected.bot_url}/readyz") as response:
        assert (response.status, await response.json()) == (200, {"ready": True, "problems": {}})


async def test_bot_without_a_confirmed_token_is_healthy_but_not_ready(
    world: World, http: aiohttp.ClientSession
) -> None:
    world.slack.fault = Fault.SERVER_ERROR
    async with world.bot():
        async with http.get(f"{world.bot_url}/healthz") as healthy:
            assert healthy.status == 200
        async with http.get(f"{world.bot_url}/readyz") as response:
            assert response.status == 503
            problems = (await response.json())["problems"]

    assert problems == {"slack_token": "Slack has not confirmed the bot token yet."}


async def test_requests_lookups_and_api_calls_are_counted_by_outcome(
    connected: World, http: aiohttp.ClientSession
) -> None:
    await connected.ask(seeds.LIVE)
    await connected.ask("help")
    await connected.idle()

    async with http.get(f"{connected.bot_url}/metrics") as response:
        text = await response.text()

    assert 'livestream_bot_requests_total{action="command",outcome="ok"} 2.0' in text
    assert 'livestream_bot_lookups_total{outcome="live"} 1.0' in text
    assert (
        'livestream_bot_cloudflare_request_duration_seconds_count{endpoint="active_livestream",outcome="ok"} 1.0'
        in text
    )
    assert 'livestream_bot_slack_api_requests_total{method="response_url",outcome="ok"} 2.0' in text
    assert "livestream_bot_requests_in_flight 0.0" in text
    assert 'livestream_bot_ready{check="database"} 1.0' in text


async def test_socket_mode_serves_only_health_and_metrics(world: World, http: aiohttp.ClientSession) -> None:
    async with world.bot("socket"):
        async with http.post(f"{world.bot_url}/slack/events", data=b"x") as response:
            assert response.status == 404
        async with http.get(f"{world.bot_url}/metrics") as response:
            assert response.status == 200
