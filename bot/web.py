"""The bot's own HTTP server: Slack's requests, health and metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog
from slack_bolt.adapter.starlette.async_handler import to_starlette_response
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bot import metrics as metrics_format
from bot.metrics import Metrics
from bot.slack.signature import Disbelieved, Signatures

LONGEST_BODY = 1024 * 1024
BODY_SECONDS = 5.0

Check = Callable[[], Awaitable[str | None]]
"""What is not ready, in a sentence, or None."""

log = structlog.get_logger(__name__)


class _TooLong(Exception):
    pass


def create_web(metrics: Metrics, checks: Mapping[str, Check], slack: tuple[AsyncApp, Signatures] | None) -> Starlette:
    """The ASGI app. Without `slack` there is no /slack/events: requests come through Socket Mode alone."""

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        problems = {name: problem for name, check in checks.items() if (problem := await check())}
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    async def measured(request: Request) -> Response:
        return Response(metrics.text(), media_type=metrics_format.CONTENT_TYPE)

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", measured)]
    if slack is not None:
        routes.append(Route("/slack/events", _slack_events(*slack, metrics), methods=["POST"]))
    return Starlette(routes=routes)


def _slack_events(app: AsyncApp, signatures: Signatures, metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    def refuse(status: int, reason: str) -> Response:
        metrics.rejected.labels(reason).inc()
        log.warning("rejected", reason=reason, status=status)
        return PlainTextResponse(f"{reason}\n", status)

    async def slack_events(request: Request) -> Response:
        try:
            body = await _bounded_body(request)
            signature = signatures.check(request.headers, body)
        except _TooLong:
            return refuse(413, "too_long")
        except TimeoutError:
            return refuse(408, "too_slow")
        except ClientDisconnect:
            return refuse(400, "gone")
        except Disbelieved as why:
            return refuse(401, why.reason)
        bolt_request = _bolt_request(request, body)
        if bolt_request is None:
            return refuse(400, "not_readable")
        response = await app.async_dispatch(bolt_request)
        if response.status >= 500:
            signatures.forget(signature)
        return to_starlette_response(response)

    return slack_events


def _bolt_request(request: Request, body: bytes) -> AsyncBoltRequest | None:
    """What Bolt makes of the body; None where it makes nothing of it: it takes every payload for one of Slack's, and
    trips over any other in some way or another."""
    try:
        made = AsyncBoltRequest(body=body.decode(), headers=dict(request.headers))
    except Exception:  # noqa: BLE001 - see above
        return None
    parsed: object = made.body
    return made if isinstance(parsed, dict) else None


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
