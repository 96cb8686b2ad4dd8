"""Whatever comes in, from people, from Slack, from Cloudflare: no 500, no traceback, no unescaped text, no secret."""

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
from tests.fuzz.checks import assert_harmless, assert_tells_nothing, examples
from tests.fuzz.strategies import DATABASES, EXAMPLES, PINGS, Generator
from tests.notifications.announcer_harness import FREELY
from tests.postgres import Postgres, postgres

__all__ = ["postgres"]

FORM = {"content-type": "application/x-www-form-urlencoded"}
CARD = {"m": seeds.LIVE}


@pytest.fixture(params=DATABASES)
async def world(request: pytest.FixtureRequest, world: World) -> AsyncIterator[World]:
    """The same world, with each kind of database: what one of them takes, the other may refuse."""
    if request.param == "sqlite":
        yield world
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = await server.create()
    world.database_url = server.url(name)
    yield world
    await server.drop(name)


def signed(world: World, body: bytes) -> dict[str, str]:
    """As Slack signs; slack_sdk's own way takes texts only."""
    stamp = str(int(time.time()))
    digest = hmac.new(world.slack.credentials.signing_secret.encode(), f"v0:{stamp}:".encode() + body, "sha256")
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest.hexdigest()}"}


async def post(world: World, path: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the bot's answer, of which nothing else tells anything."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
        session.post(f"{world.bot_url}{path}", data=body, headers=headers) as response,
    ):
        said = b"\n".join(part for header in response.raw_headers for part in header) + b"\n" + await response.read()
        assert_tells_nothing(world, said.decode(errors="replace"))
        return response.status


def unanswered(world: World, typed: dict[str | None, str]) -> list[str]:
    """Of what Ann typed, by trigger_id, that to which nothing was said in private."""
    said = {message.trigger_id for message in world.slack.workspace.every_message() if message.ephemeral_to == ANN}
    return [text for trigger_id, text in typed.items() if trigger_id not in said]


async def type_in(world: World, text: str, typed: dict[str | None, str]) -> None:
    """Have Ann type it, which is acknowledged, and note it among what she typed."""
    delivery = await world.slack.command(text)
    assert delivery.outcome is Outcome.OK
    typed[delivery.trigger_id] = text


async def test_slash_texts(connected: World) -> None:
    """Each is acknowledged, and answered."""
    generator = Generator()
    typed: dict[str | None, str] = {}
    for _ in examples(connected):
        await type_in(connected, generator.text(), typed)
    await connected.idle()

    assert_harmless(connected)
    assert unanswered(connected, typed) == []


async def test_signed_bodies(connected: World) -> None:
    """Whoever can sign them: refused or taken, and never a fault."""
    generator = Generator()
    for _ in examples(connected):
        body = generator.body()
        kind = generator.random.choice((FORM, {"content-type": "application/json"}, {"content-type": "x" * 300}, {}))
        assert await post(connected, "/slack/events", body, {**kind, **signed(connected, body)}) < 500

    await connected.idle()
    assert_harmless(connected)


async def test_headers(connected: World) -> None:
    """Signatures and timestamps of any kind are refused."""
    generator = Generator()
    for _ in examples(connected):
        noise = ["".join(c for c in generator.text()[:200] if c.isprintable()).strip() for _ in range(2)]
        headers = {"X-Slack-Signature": noise[0], "X-Slack-Request-Timestamp": noise[1]}
        assert await post(connected, "/slack/events", b"x", {**FORM, **headers}) == 401
    await connected.idle()
    assert_harmless(connected)


def interaction(world: World) -> dict[str, Any]:
    """A click that is all right."""
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
    """An event that is all right."""
    joined = {"type": "member_joined_channel", "user": world.slack.app.user_id, "channel": GENERAL}
    team = world.slack.workspace.team.id
    return {"type": "event_callback", "team_id": team, "event_id": "Ev1", "event": joined, "authorizations": []}


async def test_payloads(connected: World) -> None:
    """Clicks and events in which something is missing, or something else."""
    generator = Generator()
    actions = ("refresh", "post_here", "follow_here", "follow_again", "follow_menu", "watch", "else")
    for _ in examples(connected):
        click = interaction(connected)
        click["actions"][0]["action_id"] = generator.random.choice(actions)
        body = urlencode({"payload": json.dumps(generator.mutated(click))}).encode()
        assert await post(connected, "/slack/events", body, {**FORM, **signed(connected, body)}) < 500
        body = json.dumps(generator.mutated(event(connected))).encode()
        headers = {"content-type": "application/json", **signed(connected, body)}
        assert await post(connected, "/slack/events", body, headers) < 500

    await connected.idle()
    assert_harmless(connected)


async def test_webhooks(connected: World) -> None:
    """Signed ones of any content are taken or refused for good; unsigned ones are refused."""
    generator, key = Generator(), signing_key(0)
    known = {"event": "livestreaming.statusUpdate", "status": "LIVE", "meeting": {"id": seeds.LIVE}}
    for _ in examples(connected):
        body = generator.random.choice((generator.body(), json.dumps(generator.mutated(known)).encode()))
        assert await post(connected, "/realtimekit/webhooks", body, {SIGNATURE: key.sign(body)}) in (200, 400)
        assert await post(connected, "/realtimekit/webhooks", body, {SIGNATURE: "AAAA"}) == 401
    await connected.idle()
    assert_harmless(connected)


async def test_hostile_names(connected: World) -> None:
    """Meetings and livestreams that are called anything, in answers, cards and threads."""
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
    # Nothing of it keeps the bot from working, or has it say that its database does not.
    await connected.ready()


# What Cloudflare says has one in it, and what Slack is asked carries one.
STREAM_KEY = "hostile-stream-key"
BOT_TOKEN = "xoxb-hostile"
UNDELIVERED = (
    r"(PermanentError|MessageNotFound|MessageDeleted|TransientError|Throttled|SlackRateLimited|Unconfirmed|NotSent|"
    r"UnknownCode|TokenRejected|PermissionDenied)\("
)


def cloudflare_s(generator: Generator, meeting_id: str) -> bytes:
    """Something that Cloudflare might say of a meeting."""
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


def slack_s(generator: Generator) -> tuple[bytes, dict[str, str]]:
    """Something that Slack might answer, and its headers."""
    shape = {"ok": True, "channel": GENERAL, "ts": "1.000001", "error": "ratelimited", "message": {"text": "x"}}
    said = generator.random.choice((generator.body(), json.dumps(generator.mutated(shape)).encode()))
    kind = generator.random.choice(("application/json", "text/html", "application/json; charset=utf-8"))
    return said, {"content-type": kind, "retry-after": generator.random.choice(("1", "-1", "soon", "9" * 400))}


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_cloudflare_s_answers(status: int, log: io.StringIO) -> None:
    """Any JSON, any bytes: an answer, or an error of ours, and neither has a stream key in it."""
    generator = Generator(status)

    def answer(request: httpx.Request) -> httpx.Response:
        said = cloudflare_s(generator, seeds.LIVE)
        return httpx.Response(status, content=said, headers={"retry-after": "100", "ratelimit": generator.text()[:9]})

    async def outcome(question: Awaitable[object]) -> str:
        try:
            return repr(await question)
        except RealtimeKitError as error:
            return f"{error!r} {error.detail} {error.sentence}"

    for _ in range(EXAMPLES):
        http = HttpClient(httpx.MockTransport(answer), "https://api.example.com")
        kit = RealtimeKitClient(http, account_id="a", app_id="b", answer_seconds=0.05)
        for question in (kit.active_livestream(UUID(seeds.LIVE)), kit.livestreams("LIVE", 1), kit.active_session("x")):
            assert STREAM_KEY not in await outcome(question)
        await kit.close()
    assert STREAM_KEY not in log.getvalue()
    assert "Traceback" not in log.getvalue()


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_cloudflare_s_answers_to_people(world: World, status: int) -> None:
    """Whatever Cloudflare says, who asks is answered, and who follows too."""
    generator = Generator(status)
    typed: dict[str | None, str] = {}

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        said = cloudflare_s(generator, scope["path"].split("/meetings/")[-1].split("/")[0])
        await Response(said, status, {"retry-after": "1"})(scope, receive, send)

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
async def test_slack_s_answers(status: int, log: io.StringIO) -> None:
    """Any JSON, any bytes: it is done, or it is not, for a reason that we know and that has no token in it."""
    generator, metrics, clock = Generator(status), Metrics(), Clock(speed=0)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        said, headers = slack_s(generator)
        await Response(said, status, headers)(scope, receive, send)

    async def outcome(asked: Awaitable[str | None]) -> str:
        try:
            return str(await asked)
        except DeliveryError as error:
            return f"{error!r} {error.code}"

    async with serving(answer, listen(), drain_seconds=1) as url, open_session() as session:
        client = SlackClient(token=BOT_TOKEN, base_url=f"{url}/api/", session=session, metrics=metrics)
        pacing = SlackRateLimiter(clock, per_channel=FREELY, posts=FREELY, edits=FREELY)
        for _ in range(EXAMPLES):
            delivery = Publisher(client, pacing, clock, metrics)
            posted = await outcome(delivery.post(GENERAL, notice("Hello"), "an-id"))
            edited = await outcome(delivery.edit(GENERAL, "1.000001", notice("Hello")))
            assert re.fullmatch(rf"\d+\.\d+|{UNDELIVERED}.*", posted, re.DOTALL)
            assert re.fullmatch(rf"None|{UNDELIVERED}.*", edited, re.DOTALL)
            assert BOT_TOKEN not in posted + edited
            clock.advance(10_000)
    assert BOT_TOKEN not in log.getvalue()
    assert "Traceback" not in log.getvalue()


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_slack_s_answers_to_the_bot(world: World, status: int) -> None:
    """Slack does what it is asked and says anything of it, or says so and does nothing: nothing breaks, and when
    Slack says the truth again, people are answered."""
    generator, lying = Generator(status), False

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if not lying:
            await world.slack.asgi(scope, receive, send)
            return
        if generator.random.random() < 0.5:
            await world.slack.asgi(scope, receive, unheard)
        said, headers = slack_s(generator)
        await Response(said, status, headers)(scope, receive, send)

    async def unheard(message: Any) -> None:
        """What Slack would have said."""

    async with serving(answer, listen(), drain_seconds=1) as world.slack.base_url, world.bot():
        await world.ask(f"follow {seeds.LIVE}")
        lying = True
        for number in examples(world, EXAMPLES // 6):
            channel = generator.random.choice((GENERAL, RANDOM))
            for command in (seeds.LIVE, f"follow {seeds.LIVE}", "following", f"unfollow {seeds.LIVE}"):
                assert (await world.slack.command(command, channel=channel)).outcome is Outcome.OK
            playback_url = f"https://customer-s4ndb0x.cloudflarestream.com/{number:032x}/manifest/video.m3u8"
            world.kit.change_livestream(seeds.LIVE, playback_url=playback_url)
        await world.idle()
        lying = False
        answered = await world.ask(seeds.LIVE, user=BEN)  # Ann has reached her limit

    assert answered.text.startswith("Launch keynote")
    assert_harmless(world)


async def test_all_at_once(connected: World) -> None:
    """And while all of that comes in, people are answered."""
    generator = Generator()
    noise = [generator.body() for _ in range(EXAMPLES)]
    floods = [post(connected, "/slack/events", body, {**FORM, **signed(connected, body)}) for body in noise]

    _, answer = await asyncio.gather(asyncio.gather(*floods), connected.ask(seeds.LIVE))

    assert answer.text.startswith("Launch keynote is live")
    await connected.idle()
    assert_harmless(connected)
