"""Any input from people, Slack or Cloudflare: no 500, no traceback, no unescaped text, no secret."""

import asyncio
import hmac
import io
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
import httpx
import pytest
from starlette.responses import Response

from bot.errors import RealtimeKitError
from bot.metrics import Metrics
from bot.realtimekit.client import RealtimeKitClient
from bot.realtimekit.http import HttpClient
from bot.realtimekit.webhook_events import SIGNATURE
from bot.slack.api_client import SlackClient, open_session
from bot.slack.messages.lookup_card import notice
from bot.slack.publisher import DeliveryError, Publisher
from bot.slack.rate_limiter import SlackRateLimiter
from bot.uvicorn_server import listen, serving
from sandbox.clock import Clock
from sandbox.realtimekit import seeds
from sandbox.realtimekit.signing import signing_key
from sandbox.slack import ANN, BEN, GENERAL, RANDOM, Outcome
from tests.conftest import World
from tests.fuzz.checks import assert_harmless, assert_no_secrets, examples
from tests.fuzz.strategies import DATABASES, EXAMPLES, PINGS, Generator
from tests.notifications.announcer_harness import FREELY
from tests.postgres import Postgres, postgres

__all__ = ["postgres"]

FORM = {"content-type": "application/x-www-form-urlencoded"}
CARD = {"m": seeds.LIVE}


@pytest.fixture(params=DATABASES)
async def world(request: pytest.FixtureRequest, world: World) -> AsyncIterator[World]:
    """Yield the world with each kind of database: one of them may reject what the other accepts."""
    if request.param == "sqlite":
        yield world
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = await server.create()
    world.database_url = server.url(name)
    yield world
    await server.drop(name)


def signature_headers(world: World, body: bytes) -> dict[str, str]:
    """Sign as Slack does; slack_sdk's own function accepts only text."""
    stamp = str(int(time.time()))
    digest = hmac.new(world.slack.credentials.signing_secret.encode(), f"v0:{stamp}:".encode() + body, "sha256")
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest.hexdigest()}"}


async def post(world: World, path: str, body: bytes, headers: dict[str, str]) -> int:
    """Return the status of the bot's response, which must contain no secret."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
        session.post(f"{world.bot_url}{path}", data=body, headers=headers) as response,
    ):
        headers_received = b"\n".join(part for header in response.raw_headers for part in header)
        content = headers_received + b"\n" + await response.read()
        assert_no_secrets(world, content.decode(errors="replace"))
        return response.status


def unanswered(world: World, typed: dict[str | None, str]) -> list[str]:
    """Return what Ann typed, by trigger_id, without a private answer."""
    answered = {message.trigger_id for message in world.slack.workspace.every_message() if message.ephemeral_to == ANN}
    return [text for trigger_id, text in typed.items() if trigger_id not in answered]


async def type_in(world: World, text: str, typed: dict[str | None, str]) -> None:
    """Let Ann type a command, which must be acknowledged, and record it."""
    delivery = await world.slack.command(text)
    assert delivery.outcome is Outcome.OK
    typed[delivery.trigger_id] = text


async def test_any_command_text_is_acknowledged_and_answered(connected: World) -> None:
    generator = Generator()
    typed: dict[str | None, str] = {}
    for _ in examples(connected):
        await type_in(connected, generator.text(), typed)
    await connected.idle()

    assert_harmless(connected)
    assert unanswered(connected, typed) == []


async def test_any_signed_body_causes_no_server_error(connected: World) -> None:
    generator = Generator()
    for _ in examples(connected):
        body = generator.body()
        kind = generator.random.choice((FORM, {"content-type": "application/json"}, {"content-type": "x" * 300}, {}))
        assert await post(connected, "/slack/events", body, {**kind, **signature_headers(connected, body)}) < 500

    await connected.idle()
    assert_harmless(connected)


async def test_any_wrong_signature_header_is_rejected(connected: World) -> None:
    generator = Generator()
    for _ in examples(connected):
        noise = ["".join(c for c in generator.text()[:200] if c.isprintable()).strip() for _ in range(2)]
        headers = {"X-Slack-Signature": noise[0], "X-Slack-Request-Timestamp": noise[1]}
        assert await post(connected, "/slack/events", b"x", {**FORM, **headers}) == 401
    await connected.idle()
    assert_harmless(connected)


def interaction(world: World) -> dict[str, Any]:
    """Return a valid click."""
    value = json.dumps(CARD)
    option = {"value": json.dumps({**CARD, "do": "loud"})}
    return {
        "type": "block_actions",
        "team": {"id": world.slack.workspace.team.id},
        "user": {"id": ANN},
        "channel": {"id": GENERAL},
        "container": {"message_ts": "1.000001", "is_ephemeral": True},
        "response_url": f"{world.slack.base_url}/actions/unknown",
        "actions": [{"action_id": "refresh", "block_id": "b", "value": value, "selected_option": option}],
    }


def event(world: World) -> dict[str, Any]:
    """Return a valid event."""
    joined = {"type": "member_joined_channel", "user": world.slack.app.user_id, "channel": GENERAL}
    team = world.slack.workspace.team.id
    return {"type": "event_callback", "team_id": team, "event_id": "Ev1", "event": joined, "authorizations": []}


async def test_mutated_clicks_and_events_cause_no_server_error(connected: World) -> None:
    generator = Generator()
    actions = ("refresh", "post_here", "follow_here", "follow_again", "follow_menu", "watch", "else")
    for _ in examples(connected):
        click = interaction(connected)
        click["actions"][0]["action_id"] = generator.random.choice(actions)
        body = urlencode({"payload": json.dumps(generator.mutated(click))}).encode()
        assert await post(connected, "/slack/events", body, {**FORM, **signature_headers(connected, body)}) < 500
        body = json.dumps(generator.mutated(event(connected))).encode()
        headers = {"content-type": "application/json", **signature_headers(connected, body)}
        assert await post(connected, "/slack/events", body, headers) < 500

    await connected.idle()
    assert_harmless(connected)


async def test_any_signed_webhook_is_accepted_or_rejected(connected: World) -> None:
    generator, key = Generator(), signing_key(0)
    known = {"event": "livestreaming.statusUpdate", "status": "LIVE", "meeting": {"id": seeds.LIVE}}
    for _ in examples(connected):
        body = generator.random.choice((generator.body(), json.dumps(generator.mutated(known)).encode()))
        assert await post(connected, "/realtimekit/webhooks", body, {SIGNATURE: key.sign(body)}) in (200, 400)
        assert await post(connected, "/realtimekit/webhooks", body, {SIGNATURE: "AAAA"}) == 401
    await connected.idle()
    assert_harmless(connected)


async def test_any_title_or_name_is_escaped_and_answered(connected: World) -> None:
    generator, kit = Generator(), connected.kit
    typed: dict[str | None, str] = {}
    for _ in examples(connected, EXAMPLES // 4):
        text = generator.text() or "<!channel>"
        kit.change(seeds.LIVE, title=text)
        kit.change_livestream(seeds.LIVE, name=text, status=generator.random.choice(("LIVE", text, "OFFLINE")))
        for command in (seeds.LIVE, f"follow {seeds.LIVE}", "following"):
            typed[(await connected.slack.command(command)).trigger_id] = f"{command}, called {text}"
    await connected.idle()

    assert_harmless(connected)
    assert unanswered(connected, typed) == []
    # The bot still works, and reports its database as ready.
    await connected.ready()


# Cloudflare's responses contain the first, requests to Slack the second.
STREAM_KEY = "hostile-stream-key"
BOT_TOKEN = "xoxb-hostile"
DELIVERY_ERROR = (
    r"(PermanentError|MessageNotFound|MessageDeleted|TransientError|Throttled|SlackRateLimited|Unconfirmed|NotSent|"
    r"UnknownCode|TokenRejected|PermissionDenied)\("
)


def cloudflare_response(generator: Generator, meeting_id: str) -> bytes:
    """Return a possible response of Cloudflare's about a meeting."""
    failure = f"No way to rtmps://live.example/{STREAM_KEY} <!channel>"
    livestream = {"id": "x", "status": "LIVE", "meeting_id": meeting_id, "stream_key": STREAM_KEY, "name": PINGS[0]}
    session = {"err_message": failure, "started_time": "2026-01-01T00:00:00Z"}
    shapes: tuple[dict[str, Any], ...] = (
        {"success": True, "data": {**livestream, "session": session, "paging": {}}},
        {"success": True, "data": [livestream, livestream], "paging": {"total_count": 2}},
        {"success": True, "data": [livestream, STREAM_KEY]},
        {"success": True, "data": None},
        {"success": False, "error": {"code": 500, "message": failure}},
        {"success": False, "errors": [{"code": 7003, "message": failure}]},
    )
    mutated = json.dumps(generator.mutated(generator.random.choice(shapes))).encode()
    return generator.random.choice((generator.body(), mutated))


def slack_response(generator: Generator) -> tuple[bytes, dict[str, str]]:
    """Return a possible response of Slack's, and its headers."""
    shape = {"ok": True, "channel": GENERAL, "ts": "1.000001", "error": "ratelimited", "message": {"text": "x"}}
    response = generator.random.choice((generator.body(), json.dumps(generator.mutated(shape)).encode()))
    kind = generator.random.choice(("application/json", "text/html", "application/json; charset=utf-8"))
    return response, {"content-type": kind, "retry-after": generator.random.choice(("1", "-1", "soon", "9" * 400))}


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_any_cloudflare_response_is_a_value_or_an_error_without_secrets(status: int, log: io.StringIO) -> None:
    generator = Generator(status)

    def answer(request: httpx.Request) -> httpx.Response:
        response = cloudflare_response(generator, seeds.LIVE)
        headers = {b"retry-after": b"100", b"ratelimit": generator.text()[:9].encode("utf-8", "replace")}
        return httpx.Response(status, content=response, headers=headers)

    async def outcome(request: Awaitable[object]) -> str:
        try:
            return repr(await request)
        except RealtimeKitError as error:
            return f"{error!r} {error.detail} {error.sentence}"

    for _ in range(EXAMPLES):
        http = HttpClient(httpx.MockTransport(answer), "https://api.example.com")
        kit = RealtimeKitClient(http, account_id="a", app_id="b", answer_seconds=0.05)
        for request in (kit.active_livestream(UUID(seeds.LIVE)), kit.livestreams("LIVE", 1), kit.active_session("x")):
            assert STREAM_KEY not in await outcome(request)
        await kit.close()
    assert STREAM_KEY not in log.getvalue()
    assert "Traceback" not in log.getvalue()


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_any_cloudflare_response_lets_people_be_answered(world: World, status: int) -> None:
    generator = Generator(status)
    typed: dict[str | None, str] = {}

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        response = cloudflare_response(generator, scope["path"].split("/meetings/")[-1].split("/")[0])
        await Response(response, status, {"retry-after": "1"})(scope, receive, send)

    async with serving(answer, listen(), drain_seconds=1) as url, world.bot(cloudflare_base_url=url):
        for _ in examples(world, EXAMPLES // 6):
            # Each asks for another meeting, since answers are shared, and remembered.
            meeting_id = UUID(int=generator.random.getrandbits(128), version=4)
            for command in (str(meeting_id), f"follow {meeting_id}", "following"):
                await type_in(world, command, typed)
        await world.idle()
        await world.ready()

    assert_harmless(world)
    assert unanswered(world, typed) == []
    assert STREAM_KEY not in world.log.getvalue() + str(list(world.slack.workspace.every_message()))


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_any_slack_response_is_a_success_or_a_known_error_without_secrets(status: int, log: io.StringIO) -> None:
    generator, metrics, clock = Generator(status), Metrics(), Clock(speed=0)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        response, headers = slack_response(generator)
        await Response(response, status, headers)(scope, receive, send)

    async def outcome(call: Awaitable[str | None]) -> str:
        try:
            return str(await call)
        except DeliveryError as error:
            return f"{error!r} {error.code}"

    async with serving(answer, listen(), drain_seconds=1) as url, open_session() as session:
        client = SlackClient(token=BOT_TOKEN, base_url=f"{url}/api/", session=session, metrics=metrics)
        pacing = SlackRateLimiter(clock, per_channel=FREELY, posts=FREELY, edits=FREELY)
        for _ in range(EXAMPLES):
            delivery = Publisher(client, pacing, clock, metrics)
            posted = await outcome(delivery.post(GENERAL, notice("Hello"), "an-id"))
            edited = await outcome(delivery.edit(GENERAL, "1.000001", notice("Hello")))
            assert re.fullmatch(rf"\d+\.\d+|{DELIVERY_ERROR}.*", posted, re.DOTALL)
            assert re.fullmatch(rf"None|{DELIVERY_ERROR}.*", edited, re.DOTALL)
            assert BOT_TOKEN not in posted + edited
            clock.advance(10_000)
    assert BOT_TOKEN not in log.getvalue()
    assert "Traceback" not in log.getvalue()


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_wrong_slack_responses_do_not_stop_the_bot(world: World, status: int) -> None:
    """Slack applies the calls or not, and responds with anything; afterwards it works again."""
    generator, broken = Generator(status), False

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if not broken:
            await world.slack.asgi(scope, receive, send)
            return
        if generator.random.random() < 0.5:
            await world.slack.asgi(scope, receive, discard)
        response, headers = slack_response(generator)
        await Response(response, status, headers)(scope, receive, send)

    async def discard(message: Any) -> None:
        """Discard what Slack would get as a response."""

    async with serving(answer, listen(), drain_seconds=1) as world.slack.base_url, world.bot():
        await world.ask(f"follow {seeds.LIVE}")
        broken = True
        for number in examples(world, EXAMPLES // 6):
            channel = generator.random.choice((GENERAL, RANDOM))
            for command in (seeds.LIVE, f"follow {seeds.LIVE}", "following", f"unfollow {seeds.LIVE}"):
                assert (await world.slack.command(command, channel=channel)).outcome is Outcome.OK
            playback_url = f"https://customer-s4ndb0x.cloudflarestream.com/{number:032x}/manifest/video.m3u8"
            world.kit.change_livestream(seeds.LIVE, playback_url=playback_url)
        await world.idle()
        broken = False
        answered = await world.ask(seeds.LIVE, user=BEN)  # Ann has reached her limit

    assert answered.text.startswith("Launch keynote")
    assert_harmless(world)


async def test_people_are_answered_during_a_flood(connected: World) -> None:
    generator = Generator()
    noise = [generator.body() for _ in range(EXAMPLES)]
    floods = [post(connected, "/slack/events", body, {**FORM, **signature_headers(connected, body)}) for body in noise]

    _, answer = await asyncio.gather(asyncio.gather(*floods), connected.ask(seeds.LIVE))

    assert answer.text.startswith("Launch keynote is live")
    await connected.idle()
    assert_harmless(connected)
