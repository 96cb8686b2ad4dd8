"""The bot's own HTTP server: Slack's requests, RealtimeKit's webhooks, health and metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from slack_bolt.adapter.starlette.async_handler import to_starlette_response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from bot import metrics as metrics_format
from bot.errors import DatabaseUnavailable
from bot.health import Check, Readiness
from bot.metrics import Metrics
from bot.realtimekit import webhook_events
from bot.realtimekit.webhook_events import InvalidPayload, InvalidSignature, PublicKeyUnavailable, WebhookVerifier
from bot.request_bodies import REFUSALS, BodyLimits, BodyReader, BodyRefused
from bot.slack.app import Dispatch
from bot.slack.signature import REASONS, RequestVerifier, SignatureError

ALIVE = b"ok\n"
"""The body of /healthz."""
SLACK_PATH = "/slack/events"
WEBHOOK_PATH = "/realtimekit/webhooks"
WEBHOOK_SECONDS = 2.7
"""RealtimeKit gives up after three seconds."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookReceiver:
    """The dependencies of RealtimeKit's webhooks."""

    key: WebhookVerifier
    hint: Callable[[UUID], Awaitable[bool]]
    """Requests a check of the meeting; returns False if it is not followed. May raise DatabaseUnavailable."""


def create_web(
    metrics: Metrics,
    checks: Mapping[str, Check],
    slack: tuple[Dispatch, RequestVerifier] | None,
    webhooks: WebhookReceiver | None = None,
    body_limits: BodyLimits | None = None,
) -> Starlette:
    """Return the ASGI app.

    Without `slack` there is no /slack/events, since requests arrive only through Socket Mode; without `webhooks` there
    is no /realtimekit/webhooks.
    """

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse(ALIVE)

    readiness, bodies = Readiness(checks, metrics), BodyReader(body_limits)

    async def readyz(request: Request) -> Response:
        excluded = request.query_params.getlist("exclude")
        if unknown := [name for name in excluded if name not in readiness.names]:
            sentence = f"Unknown check in exclude. Use one of: {', '.join(readiness.names)}."
            return JSONResponse({"error": sentence, "unknown": [name[:80] for name in unknown[:10]]}, 400)
        problems = await readiness.run(exclude=excluded)
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    async def measured(_request: Request) -> Response:
        # Run the checks here, too, so that alerts work where no probe calls /readyz.
        await readiness.run()
        return Response(metrics.text(), media_type=metrics_format.CONTENT_TYPE)

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", measured)]
    if slack is not None:
        endpoint = _Endpoint(_slack_events(*slack, bodies, metrics))
        routes.append(Route(SLACK_PATH, endpoint, methods=["POST"]))
    if webhooks is not None:
        routes.append(Route(WEBHOOK_PATH, _realtimekit_webhooks(webhooks, bodies, metrics), methods=["POST"]))
    return _AnySlashes(routes=routes)


class _AnySlashes(Starlette):
    """An app that accepts /slack/events/ and //slack/events as /slack/events: base URLs may end with a slash.

    Starlette would redirect, and neither Slack nor RealtimeKit follows a redirect with its body.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if path.endswith("/") or "//" in path:
            scope["path"] = "/" + "/".join(filter(None, path.split("/")))
        await super().__call__(scope, receive, send)


class _Endpoint:
    """A handler as an ASGI app: Starlette would wrap a function in handling of errors that it never raises."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)


def _slack_events(
    dispatch: Dispatch, signatures: RequestVerifier, bodies: BodyReader, metrics: Metrics
) -> Callable[[Request], Awaitable[Response]]:
    for reason in (*REASONS, *REFUSALS, "not_readable"):
        metrics.rejected.labels(reason)  # start at zero: Prometheus misses the first increase of a new series

    def refuse(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
        metrics.rejected.labels(reason).inc()
        log.warning("request_rejected", reason=reason, status=status)
        return PlainTextResponse(f"{reason}\n", status, headers)

    async def slack_events(request: Request) -> Response:
        try:
            bodies.check_length(request.headers)
            signatures.check_headers(request.headers)
            body = await bodies.read(request)
            signature = signatures.verify(request.headers, body)
        except BodyRefused as why:
            return refuse(why.status, why.reason, why.headers)
        except SignatureError as why:
            return refuse(401, why.reason)
        response = await dispatch(body, request.headers)
        if response.status >= 500:
            signatures.allow_replay(signature)
        if response.status == 400:
            metrics.rejected.labels("not_readable").inc()
        return to_starlette_response(response)

    return slack_events


def _realtimekit_webhooks(
    webhooks: WebhookReceiver, bodies: BodyReader, metrics: Metrics
) -> Callable[[Request], Awaitable[Response]]:
    under_way: set[asyncio.Future[bool]] = set()
    for refused in ("forged", "not_json", "key_unreachable", "database_unavailable", "late", *REFUSALS):
        metrics.webhooks.labels(refused)  # start at zero, as above

    def finish(hinting: asyncio.Future[bool]) -> None:
        """Retrieve the error of a check that failed after RealtimeKit had its answer, or asyncio would log it."""
        under_way.discard(hinting)
        if not hinting.cancelled():
            hinting.exception()

    async def hint(meeting_id: UUID) -> bool:
        """Continue after a timeout: cancelling would block until a locked database releases the lock."""
        hinting = asyncio.ensure_future(webhooks.hint(meeting_id))
        under_way.add(hinting)
        hinting.add_done_callback(finish)
        return await asyncio.shield(hinting)

    async def realtimekit_webhooks(request: Request) -> Response:
        status, outcome = await _receive_webhook(WebhookReceiver(webhooks.key, hint), request, bodies)
        metrics.webhooks.labels(outcome).inc()
        return PlainTextResponse(f"{outcome}\n", status, {"Retry-After": "1"} if status == 503 else None)

    return realtimekit_webhooks


async def _receive_webhook(webhooks: WebhookReceiver, request: Request, bodies: BodyReader) -> tuple[int, str]:
    """Return the status and outcome. RealtimeKit repeats a webhook only after a 5xx response."""

    def refuse(status: int, outcome: str, why: str = "") -> tuple[int, str]:
        log.warning("webhook_rejected", outcome=outcome, status=status, **({"error": why} if why else {}))
        return status, outcome

    try:
        bodies.check_length(request.headers)
        webhook_events.check_headers(request.headers)
        body = await bodies.read(request)
        async with asyncio.timeout(WEBHOOK_SECONDS):
            return 200, await _process_webhook(webhooks, request.headers, body)
    except BodyRefused as why:
        return refuse(why.status, why.reason)
    except InvalidSignature:
        return refuse(401, "forged")
    except InvalidPayload:
        return refuse(400, "not_json")
    except PublicKeyUnavailable as error:
        return refuse(503, "key_unreachable", str(error))
    except DatabaseUnavailable as error:
        return refuse(503, "database_unavailable", error.detail)
    except TimeoutError:
        return refuse(503, "late")


async def _process_webhook(webhooks: WebhookReceiver, headers: Mapping[str, str], body: bytes) -> str:
    await webhooks.key.verify(body, headers)
    hint = webhook_events.parse_event(body)
    if hint.meeting_id is None:
        return "ignored"
    return "check_requested" if await webhooks.hint(hint.meeting_id) else "not_followed"
