"""Whatever comes in, from people, from Slack, from Cloudflare: no 500, no traceback, no unescaped text, no secret."""

import asyncio
import contextlib
import hmac
import json
import re
import time
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
import httpx
import pytest
from starlette.responses import Response

from bot.errors import RealtimeKitError
from bot.metrics import Metrics
from bot.realtimekit.client import RealtimeKit
from bot.realtimekit.transport import Http
from bot.realtimekit.webhook import SIGNATURE
from bot.sandbox.clock import Clock
from bot.sandbox.realtimekit import seeds
from bot.sandbox.realtimekit.signing import signing_key
from bot.sandbox.slack import ANN, GENERAL, Outcome
from bot.serving import listen, serving
from bot.slack.cards import note
from bot.slack.client import SlackClient, open_session
from bot.slack.delivery import Delivery, Undelivered
from bot.slack.pacing import Pacing
from tests.conftest import World
from tests.following.announced import FREELY
from tests.hostile.generating import EXAMPLES, PINGS, Generator

FORM = {"content-type": "application/x-www-form-urlencoded"}
CARD = {"m": seeds.LIVE}


def assert_harmless(world: World) -> None:
    """Nothing in Slack or in the log is what it must not be."""
    said = json.dumps([[message.text, message.blocks] for message in world.slack.workspace.every_message()])
    sent = " ".join(str(body) for body in world.slack.sent)
    for ping in PINGS:
        assert ping not in said
    logged = world.log.getvalue()
    assert [line for line in logged.splitlines() if "Traceback" in line] == []
    for secret in (*world.kit.secrets, world.kit.api_token, world.slack.credentials.bot_token):
        assert secret not in said + sent + logged


def signed(world: World, body: bytes) -> dict[str, str]:
    """As Slack signs; slack_sdk's own way takes texts only."""
    stamp = str(int(time.time()))
    digest = hmac.new(world.slack.credentials.signing_secret.encode(), f"v0:{stamp}:".encode() + body, "sha256")
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest.hexdigest()}"}


async def post(world: World, path: str, body: bytes, headers: dict[str, str]) -> int:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
        session.post(f"{world.bot_url}{path}", data=body, headers=headers) as response,
    ):
        return response.status


async def test_slash_texts(connected: World) -> None:
    """Each is acknowledged."""
    generator = Generator()
    for _ in range(EXAMPLES):
        delivery = await connected.slack.command(generator.text())
        assert delivery.outcome is Outcome.OK
    await connected.idle()

    assert_harmless(connected)
    answers = [message for message in connected.slack.messages(GENERAL, ANN) if message.ephemeral_to]
    assert answers


async def test_signed_bodies(connected: World) -> None:
    """Whoever can sign them: refused or taken, and never a fault."""
    generator = Generator()
    for _ in range(EXAMPLES):
        body = generator.body()
        kind = generator.random.choice((FORM, {"content-type": "application/json"}, {"content-type": "x" * 300}, {}))
        assert await post(connected, "/slack/events", body, {**kind, **signed(connected, body)}) < 500

    await connected.idle()
    assert_harmless(connected)


async def test_headers(connected: World) -> None:
    """Signatures and timestamps of any kind are refused."""
    generator = Generator()
    for _ in range(EXAMPLES):
        noise = ["".join(c for c in generator.text()[:200] if c.isprintable()).strip() for _ in range(2)]
        headers = {"X-Slack-Signature": noise[0], "X-Slack-Request-Timestamp": noise[1]}
        assert await post(connected, "/slack/events", b"x", {**FORM, **headers}) == 401
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
    for _ in range(EXAMPLES):
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
    for _ in range(EXAMPLES):
        body = generator.random.choice((generator.body(), json.dumps(generator.mutated(known)).encode()))
        assert await post(connected, "/realtimekit/webhooks", body, {SIGNATURE: key.sign(body)}) in (200, 400)
        assert await post(connected, "/realtimekit/webhooks", body, {SIGNATURE: "AAAA"}) == 401
    assert_harmless(connected)


async def test_hostile_names(connected: World) -> None:
    """Meetings and livestreams that are called anything, in answers, cards and threads."""
    generator, kit = Generator(), connected.kit
    for _ in range(EXAMPLES // 4):
        text = generator.text() or "<!channel>"
        kit.change(seeds.LIVE, title=text)
        kit.change_livestream(seeds.LIVE, name=text, status=generator.random.choice(("LIVE", text, "OFFLINE")))
        await connected.slack.command(seeds.LIVE)
        await connected.slack.command(f"follow {seeds.LIVE}")
        await connected.slack.command("following")
    await connected.idle()

    assert_harmless(connected)


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_cloudflare_s_answers(status: int) -> None:
    """Any JSON, any bytes: an answer, or an error of ours."""
    generator = Generator(status)
    shape = {"success": True, "data": {"id": "x", "status": "LIVE", "meeting_id": seeds.LIVE, "paging": {}}}

    def answer(request: httpx.Request) -> httpx.Response:
        said = generator.random.choice((generator.body(), json.dumps(generator.mutated(shape)).encode()))
        return httpx.Response(status, content=said, headers={"retry-after": "100", "ratelimit": generator.text()[:9]})

    for _ in range(EXAMPLES):
        http = Http(httpx.MockTransport(answer), "https://api.example.com")
        kit = RealtimeKit(http, account_id="a", app_id="b", answer_seconds=0.05)
        for question in (kit.active_livestream(UUID(seeds.LIVE)), kit.livestreams("LIVE", 1), kit.active_session("x")):
            with contextlib.suppress(RealtimeKitError):
                await question
        await kit.close()


@pytest.mark.parametrize("status", [200, 404, 429, 500])
async def test_slack_s_answers(status: int) -> None:
    """Any JSON, any bytes: it is done, or it is not, for a reason that we know."""
    generator, metrics, clock = Generator(status), Metrics(), Clock(speed=0)
    shape = {"ok": True, "channel": GENERAL, "ts": "1.000001", "error": "ratelimited", "message": {"text": "x"}}

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        said = generator.random.choice((generator.body(), json.dumps(generator.mutated(shape)).encode()))
        kind = generator.random.choice(("application/json", "text/html", "application/json; charset=utf-8"))
        headers = {"content-type": kind, "retry-after": generator.random.choice(("1", "-1", "soon", "9" * 400))}
        await Response(said, status, headers)(scope, receive, send)

    async with serving(answer, listen(), drain_seconds=1) as url, open_session() as session:
        client = SlackClient(token="xoxb-hostile", base_url=f"{url}/api/", session=session, metrics=metrics)
        pacing = Pacing(clock, per_channel=FREELY, posts=FREELY, edits=FREELY)
        for _ in range(EXAMPLES):
            delivery = Delivery(client, pacing, clock, metrics)
            with contextlib.suppress(Undelivered):
                assert re.fullmatch(r"\d+\.\d+", await delivery.post(GENERAL, note("Hello"), "an-id"))
            with contextlib.suppress(Undelivered):
                await delivery.edit(GENERAL, "1.000001", note("Hello"))
            clock.advance(10_000)


async def test_all_at_once(connected: World) -> None:
    """And while all of that comes in, people are answered."""
    generator = Generator()
    noise = [generator.body() for _ in range(EXAMPLES)]
    floods = [post(connected, "/slack/events", body, {**FORM, **signed(connected, body)}) for body in noise]

    _, answer = await asyncio.gather(asyncio.gather(*floods), connected.ask(seeds.LIVE))

    assert answer.text.startswith("Launch keynote has been live")
