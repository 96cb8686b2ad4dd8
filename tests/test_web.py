"""The HTTP server: whom it believes, and what it says of itself."""

import asyncio
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import aiohttp
import pytest

from bot.metrics import Metrics
from bot.sandbox.realtimekit import seeds
from bot.sandbox.slack import Fault
from bot.serving import listen, serving
from bot.web import LONGEST_BODY, Check, create_web
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


async def test_signed(connected: World, http: aiohttp.ClientSession) -> None:
    """What Slack signed is served."""
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
async def test_disbelieved(
    connected: World, http: aiohttp.ClientSession, log: io.StringIO, changes: dict[str, str], reason: str
) -> None:
    """What Slack did not just sign is refused with a 401, and one log line without its body."""
    body = command_body(connected, "my secret plans")

    status = await post(http, connected, body, {**connected.slack.sign(body), **changes})

    assert status == 401
    [line] = [line for line in log.getvalue().splitlines() if "rejected" in line]
    assert f'"reason": "{reason}"' in line
    assert "my secret plans" not in log.getvalue()


async def test_stale(connected: World, http: aiohttp.ClientSession) -> None:
    """A request that was signed more than five minutes ago is refused, however well."""
    body = command_body(connected)

    assert await post(http, connected, body, connected.slack.sign(body, int(time.time()) - 301)) == 401


async def test_replayed(connected: World, http: aiohttp.ClientSession) -> None:
    """A request that was served before is refused."""
    body = command_body(connected)
    headers = connected.slack.sign(body)
    first = await post(http, connected, body, headers)

    again = await post(http, connected, body, headers)

    assert (first, again) == (200, 401)


async def test_no_text(connected: World, http: aiohttp.ClientSession) -> None:
    """A body that is no text cannot be Slack's."""
    assert await post(http, connected, b"\xff\xfe", connected.slack.sign(b"")) == 401


async def test_unsigned(connected: World, http: aiohttp.ClientSession) -> None:
    """A request without a signature is refused, even one that says it only checks the certificate."""
    assert await post(http, connected, b"ssl_check=1&token=x", {}) == 401


@pytest.mark.parametrize("chunked", [False, True])
async def test_too_long(connected: World, http: aiohttp.ClientSession, chunked: bool) -> None:
    """A body above 1 MiB is refused, with its length declared or not."""
    body = b"x" * (LONGEST_BODY + 1)

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:100]
        yield body[100:]

    data = chunks() if chunked else io.BytesIO(body)
    async with http.post(f"{connected.bot_url}/slack/events", data=data) as response:
        assert response.status == 413


async def test_longest(connected: World, http: aiohttp.ClientSession) -> None:
    """A body of 1 MiB is read."""
    body = b"x" * LONGEST_BODY

    assert await post(http, connected, body, connected.slack.sign(body)) == 404


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
async def test_signed_nonsense(
    connected: World, http: aiohttp.ClientSession, log: io.StringIO, content_type: str, body: bytes
) -> None:
    """Nonsense with a good signature is refused or ignored, and breaks nothing."""
    headers = {**connected.slack.sign(body), "content-type": content_type}

    status = await post(http, connected, body, headers)
    await connected.idle()

    assert status < 500
    assert "Traceback" not in log.getvalue()


async def test_incomplete_command(connected: World, http: aiohttp.ClientSession, log: io.StringIO) -> None:
    """A command without a response_url can be answered to nobody, which is logged."""
    body = urlencode({"command": "/livestream", "text": "help", "user_id": "U1"}).encode()

    status = await post(http, connected, body, connected.slack.sign(body))

    assert status == 200
    assert (await connected.logged("not_understood"))["detail"] == "payload without channel_id, response_url"


async def test_slow_body(connected: World, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends a body too slowly is not waited for, and holds up nobody."""
    monkeypatch.setattr("bot.web.BODY_SECONDS", 0.05)
    over = asyncio.Event()

    async def trickle() -> AsyncIterator[bytes]:
        yield b"text="
        await over.wait()

    async with http.post(f"{connected.bot_url}/slack/events", data=trickle()) as response:
        assert response.status == 408
    over.set()


async def test_health(connected: World, http: aiohttp.ClientSession) -> None:
    """A running bot is healthy, and ready once Slack has confirmed its token."""
    async with http.get(f"{connected.bot_url}/healthz") as response:
        assert response.status == 200
    async with http.get(f"{connected.bot_url}/readyz") as response:
        assert (response.status, await response.json()) == (200, {"ready": True, "problems": {}})


async def test_not_ready(world: World, http: aiohttp.ClientSession) -> None:
    """While Slack cannot be reached the bot is healthy, not ready, and says what is missing."""
    world.slack.fault = Fault.SERVER_ERROR
    async with world.bot():
        async with http.get(f"{world.bot_url}/healthz") as healthy:
            assert healthy.status == 200
        async with http.get(f"{world.bot_url}/readyz") as response:
            assert response.status == 503
            problems = (await response.json())["problems"]

    assert problems == {"slack_token": "Slack has not confirmed the bot token yet."}


class Checked:
    """A bot's HTTP server with checks of ours behind it."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http

    async def problems(self, query: str = "") -> dict[str, str]:
        """What /readyz says is not ready; its status and its words agree."""
        async with self._http.get(f"{self._url}/readyz{query}") as response:
            answer = await response.json()
            assert (response.status, answer["ready"]) == ((503, False) if answer["problems"] else (200, True))
            problems: dict[str, str] = answer["problems"]
            return problems

    async def ready(self) -> dict[str, float]:
        """What /metrics says of each check."""
        async with self._http.get(f"{self._url}/metrics") as response:
            assert response.status == 200
            lines = [line.split() for line in (await response.text()).splitlines()]
        return {
            name.partition('check="')[2].rstrip('"}'): float(value)
            for name, value in (line for line in lines if len(line) == 2)
            if name.startswith("livestream_bot_ready{")
        }


@contextlib.asynccontextmanager
async def checking(checks: dict[str, Check], metrics: Metrics | None = None) -> AsyncIterator[Checked]:
    async with (
        serving(create_web(metrics or Metrics(), checks, None), listen(), drain_seconds=1) as url,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as http,
    ):
        yield Checked(url, http)


async def fine() -> str | None:
    return None


async def gone() -> str | None:
    return "It is gone."


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ("", {"database": "It is gone.", "tracker": "It is gone."}),
        ("?exclude=database", {"tracker": "It is gone."}),
        ("?exclude=database&exclude=tracker", {}),
        ("?exclude=tracker&exclude=slack_token&exclude=database", {}),
        ("?exclude=nonsense&exclude=", {"database": "It is gone.", "tracker": "It is gone."}),
        ("?exclude=database,tracker", {"database": "It is gone.", "tracker": "It is gone."}),
        ("?without=database", {"database": "It is gone.", "tracker": "It is gone."}),
    ],
)
async def test_ready_without(query: str, problems: dict[str, str]) -> None:
    """Whoever asks whether the bot is ready may leave checks out, by their names; names of none are ignored."""
    async with checking({"slack_token": fine, "database": gone, "tracker": gone}) as bot:
        assert await bot.problems(query) == problems


async def test_what_is_left_out_is_not_checked() -> None:
    """A check that is left out is not made, so that it costs nothing and holds up nobody."""
    made: list[str] = []

    async def count() -> str | None:
        made.append("database")
        return None

    async with checking({"slack_token": fine, "database": count}) as bot:
        await bot.problems("?exclude=database")

        assert made == []
        await bot.problems()
        assert made == ["database"]


async def test_ready_in_metrics() -> None:
    """Metrics tell of each check as it is now, without anybody's asking whether the bot is ready."""
    database = ["It is gone."]

    async def check() -> str | None:
        return database[0] or None

    async with checking({"slack_token": fine, "database": check}) as bot:
        first = await bot.ready()
        database[0] = ""
        second = await bot.ready()

    assert first == {"slack_token": 1, "database": 0}
    assert second == {"slack_token": 1, "database": 1}


async def test_readyz_sets_the_metric() -> None:
    """What a probe was answered is what is measured."""
    metrics = Metrics()

    async with checking({"slack_token": fine, "database": gone}, metrics) as bot:
        await bot.problems()

    read = metrics.registry.get_sample_value
    assert read("livestream_bot_ready", {"check": "slack_token"}) == 1
    assert read("livestream_bot_ready", {"check": "database"}) == 0


async def test_check_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that hangs counts as not ready and holds up neither answer; it is not begun anew meanwhile."""
    monkeypatch.setattr("bot.web.CHECK_SECONDS", 0.05)
    begun, over = [], asyncio.Event()

    async def hang() -> str | None:
        begun.append("database")
        await over.wait()
        return None

    async with checking({"slack_token": fine, "database": hang}) as bot:
        for _ in range(3):
            assert await bot.problems() == {"database": "It did not answer within 0.05 seconds."}
            assert await bot.ready() == {"slack_token": 1, "database": 0}
        assert len(begun) == 1

        over.set()
        assert await bot.ready() == {"slack_token": 1, "database": 1}
        assert await bot.problems() == {}


async def test_late_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks when a check is late already is told so at once, and does not take its late answer for one in time."""
    monkeypatch.setattr("bot.web.CHECK_SECONDS", 0.05)
    over = asyncio.Event()

    async def slow() -> str | None:
        await over.wait()
        return None

    async with checking({"database": slow}) as bot:
        await bot.problems()
        # For as long a new one would be waited for.
        monkeypatch.setattr("bot.web.CHECK_SECONDS", 3600)

        assert await bot.ready() == {"database": 0}
        over.set()


async def test_checks_go_side_by_side() -> None:
    """No check waits for another."""
    meeting = asyncio.Barrier(3)

    async def meet() -> str | None:
        await meeting.wait()
        return None

    async with checking({"database": meet, "announcer": meet, "tracker": meet}) as bot:
        assert await bot.problems() == {}
        assert await bot.ready() == {"database": 1, "announcer": 1, "tracker": 1}


async def test_check_that_breaks(log: io.StringIO) -> None:
    """A check that breaks counts as not ready, is logged, and costs nobody the metrics."""

    async def broken() -> str | None:
        raise LookupError("no such table")

    async with checking({"slack_token": fine, "database": broken}) as bot:
        assert await bot.problems() == {"database": "The check itself broke: see the log."}
        assert await bot.ready() == {"slack_token": 1, "database": 0}

    [line, _] = [json.loads(line) for line in log.getvalue().splitlines() if "check_broke" in line]
    assert line["check"] == "database"
    assert "no such table" in line["exception"]


async def test_metrics(connected: World, http: aiohttp.ClientSession) -> None:
    """What the bot did is counted: requests, lookups, and calls to Cloudflare and Slack by outcome."""
    await connected.ask(seeds.LIVE)
    await connected.ask("help")
    await connected.idle()

    async with http.get(f"{connected.bot_url}/metrics") as response:
        text = await response.text()

    assert 'livestream_bot_requests_total{action="command",outcome="ok"} 2.0' in text
    assert 'livestream_bot_lookups_total{outcome="live"} 1.0' in text
    assert 'livestream_bot_cloudflare_call_seconds_count{endpoint="active_livestream",outcome="ok"} 1.0' in text
    assert 'livestream_bot_slack_calls_total{method="response_url",outcome="ok"} 2.0' in text
    assert "livestream_bot_in_flight 0.0" in text
    assert 'livestream_bot_ready{check="database"} 1.0' in text


async def test_no_events_in_socket_mode(world: World, http: aiohttp.ClientSession) -> None:
    """In Socket Mode alone nothing is taken over HTTP, but health and metrics are served."""
    async with world.bot("socket"):
        async with http.post(f"{world.bot_url}/slack/events", data=b"x") as response:
            assert response.status == 404
        async with http.get(f"{world.bot_url}/metrics") as response:
            assert response.status == 200
