"""The bot's own HTTP server: Slack's requests, RealtimeKit's webhooks, health and metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from slack_bolt.adapter.starlette.async_handler import to_starlette_response
from slack_bolt.async_app import AsyncApp
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bot import metrics as metrics_format
from bot.errors import StoreUnreachable
from bot.metrics import Metrics
from bot.readiness import Check, Readiness
from bot.realtimekit import webhook
from bot.realtimekit.webhook import Forged, KeyUnreachable, NotJson, WebhookKey
from bot.slack.bolt import dispatch
from bot.slack.signature import Disbelieved, Signatures

LONGEST_BODY = 1024 * 1024
BODY_SECONDS = 5.0
ALIVE = b"ok\n"
"""What /healthz says."""
WEBHOOK_PATH = "/realtimekit/webhooks"
WEBHOOK_SECONDS = 2.7
"""RealtimeKit gives up after three seconds."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What RealtimeKit's webhooks need."""

    key: WebhookKey
    hint: Callable[[UUID], Awaitable[bool]]
    """Have the meeting looked at soon; False if nobody follows it. May raise StoreUnreachable."""


class _TooLong(Exception):
    pass


class _Unread(Exception):
    """A request whose body was not read to its end: what to answer, and the reason in a word."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def create_web(
    metrics: Metrics,
    checks: Mapping[str, Check],
    slack: tuple[AsyncApp, Signatures] | None,
    webhooks: Webhooks | None = None,
) -> Starlette:
    """The ASGI app. Without `slack` there is no /slack/events, since requests come through Socket Mode alone; without
    `webhooks` there is no /realtimekit/webhooks."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse(ALIVE)

    readiness = Readiness(checks, metrics)

    async def readyz(request: Request) -> Response:
        problems = await readiness.problems(without=request.query_params.getlist("exclude"))
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    async def measured(request: Request) -> Response:
        # Whoever has no probe is told by an alert.
        await readiness.problems()
        return Response(metrics.text(), media_type=metrics_format.CONTENT_TYPE)

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", measured)]
    if slack is not None:
        routes.append(Route("/slack/events", _Endpoint(_slack_events(*slack, metrics)), methods=["POST"]))
    if webhooks is not None:
        routes.append(Route(WEBHOOK_PATH, _realtimekit_webhooks(webhooks, metrics), methods=["POST"]))
    return Starlette(routes=routes)


class _Endpoint:
    """An ASGI app of its own: a function would be wrapped by Starlette once more, for errors that it never raises."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)


def _slack_events(app: AsyncApp, signatures: Signatures, metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    for reason in ("forged", "stale"):
        metrics.rejected.labels(reason)  # at zero: Prometheus sees no increase of what was not there before

    def refuse(status: int, reason: str) -> Response:
        metrics.rejected.labels(reason).inc()
        log.warning("rejected", reason=reason, status=status)
        return PlainTextResponse(f"{reason}\n", status)

    async def slack_events(request: Request) -> Response:
        try:
            body = await _body(request)
            signature = signatures.check(request.headers, body)
        except _Unread as why:
            return refuse(why.status, why.reason)
        except Disbelieved as why:
            return refuse(401, why.reason)
        response = await dispatch(app, body, request.headers)
        if response.status >= 500:
            signatures.forget(signature)
        if response.status == 400:
            metrics.rejected.labels("not_readable").inc()
        return to_starlette_response(response)

    return slack_events


def _realtimekit_webhooks(webhooks: Webhooks, metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    under_way: set[asyncio.Future[bool]] = set()
    for refused in ("forged", "key_unreachable", "store_unreachable", "late"):
        metrics.webhooks.labels(refused)  # at zero, as above

    async def hint(meeting_id: UUID) -> bool:
        """Goes on when nobody waits any longer: to cancel it would take until a locked database lets go."""
        hinting = asyncio.ensure_future(webhooks.hint(meeting_id))
        under_way.add(hinting)
        hinting.add_done_callback(under_way.discard)
        return await asyncio.shield(hinting)

    async def realtimekit_webhooks(request: Request) -> Response:
        status, outcome = await _heard(Webhooks(webhooks.key, hint), request)
        metrics.webhooks.labels(outcome).inc()
        return PlainTextResponse(f"{outcome}\n", status)

    return realtimekit_webhooks


async def _heard(webhooks: Webhooks, request: Request) -> tuple[int, str]:
    """The status and the outcome in a word. RealtimeKit sends again what was answered with a 5xx, and nothing else."""

    def refuse(status: int, outcome: str, why: str = "") -> tuple[int, str]:
        log.warning("webhook_refused", outcome=outcome, status=status, **({"why": why} if why else {}))
        return status, outcome

    try:
        body = await _body(request)
        async with asyncio.timeout(WEBHOOK_SECONDS):
            return 200, await _taken(webhooks, request.headers, body)
    except _Unread as why:
        return refuse(why.status, why.reason)
    except Forged:
        return refuse(401, "forged")
    except NotJson:
        return refuse(400, "not_json")
    except KeyUnreachable as error:
        return refuse(503, "key_unreachable", str(error))
    except StoreUnreachable as error:
        return refuse(503, "store_unreachable", error.detail)
    except TimeoutError:
        return refuse(503, "late")


async def _taken(webhooks: Webhooks, headers: Mapping[str, str], body: bytes) -> str:
    await webhooks.key.verify(body, headers)
    hint = webhook.read(body)
    if hint.meeting_id is None:
        return "ignored"
    return "hinted" if await webhooks.hint(hint.meeting_id) else "not_followed"


async def _body(request: Request) -> bytes:
    """All of it. Raises _Unread."""
    try:
        return await _bounded_body(request)
    except _TooLong:
        raise _Unread(413, "too_long") from None
    except TimeoutError:
        raise _Unread(408, "too_slow") from None
    except ClientDisconnect:
        raise _Unread(400, "gone") from None


async def _bounded_body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > LONGEST_BODY:
        raise _TooLong
    body = bytearray()
    async with asyncio.timeout(BODY_SECONDS):
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_BODY:
                raise _TooLong
    return bytes(body)
