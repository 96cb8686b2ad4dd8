"""The Bolt app, which passes each request to its listener."""

import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import listeners
from bot.slack.dependencies import Dependencies
from bot.slack.identity import Identity
from bot.slack.in_flight import InFlightRequests

log = structlog.get_logger(__name__)

Dispatch = Callable[[bytes | dict[str, Any], Mapping[str, str]], Awaitable[BoltResponse]]
"""`dispatch` of one app."""


def create_app(deps: Dependencies, identity: Identity, session: aiohttp.ClientSession) -> AsyncApp:
    """Create a Bolt app that makes no Slack calls of its own.

    The bot verifies signatures before Bolt sees a request: Bolt answers malformed ones with a 500 and logs the body of
    forged ones. `authorize` keeps Bolt from calling auth.test before the first acknowledgement. Bolt gets no `token`,
    because it would silently ignore one if SLACK_CLIENT_ID is in the environment.
    """

    # A function, not a method: Bolt would try to supply an argument named `self`.
    async def authorize() -> AuthorizeResult:
        return identity.authorization

    logger = logging.getLogger("slack_bolt.quiet")
    logger.setLevel(logging.ERROR)
    app = AsyncApp(
        name="livestream-bot",
        logger=logger,
        signing_secret="",
        request_verification_enabled=False,
        authorize=authorize,
        # Bolt copies this client for each request, though nothing uses the copies. Setting a proxy stops slack_sdk
        # from searching the environment for one each time.
        client=AsyncWebClient(session=session, retry_handlers=[], proxy="http://unused.invalid"),
        raise_error_for_unhandled_request=True,
    )
    listeners.register(app, deps)

    @app.error
    async def reject(error: Exception, body: dict[str, Any], response: BoltResponse | None) -> BoltResponse | None:
        rejected = _reject(error, body, deps.in_flight)
        # Without a response the request is already acknowledged, and Bolt accepts no other.
        return None if response is None else rejected

    return app


async def dispatch(
    app: AsyncApp, in_flight: InFlightRequests, content: bytes | dict[str, Any], headers: Mapping[str, str]
) -> BoltResponse:
    """Dispatch a body received over HTTP (bytes) or a payload received through Socket Mode (dict).

    Malformed payloads get a 400: Bolt assumes that every payload comes from Slack, and others make it raise in many
    places, even in its error handling.
    """
    body: object = None
    try:
        if isinstance(content, bytes):
            request = AsyncBoltRequest(body=content.decode(), headers=dict(headers))
        else:
            request = AsyncBoltRequest(body=content, headers=dict(headers), mode="socket_mode")
        body = request.body
        return await app.async_dispatch(request)
    except Exception as error:  # noqa: BLE001 - see above
        return _reject(error, body, in_flight)


def _reject(error: Exception, body: object, in_flight: InFlightRequests) -> BoltResponse:
    """Return a 404 if no listener handles the request, otherwise a 400; log it without its content.

    Events get a 200 all the same: Slack would repeat them, and no person waits for a reply. `handlers` catches the
    errors of all listeners, so any other error is Bolt's own, raised on a malformed body; the log needs only its
    location.
    """
    fields = body if isinstance(body, dict) else {}
    status = 404 if isinstance(error, BoltUnhandledRequestError) else 400
    if status == 404:
        log.warning("request_unhandled", type=str(fields.get("type", "command"))[:40])
    else:
        *_, last = traceback.extract_tb(error.__traceback__)
        in_flight.count_malformed()
        log.error("request_malformed", error=type(error).__name__, where=f"{Path(last.filename).name}:{last.lineno}")
    return BoltResponse(status=200 if "event" in fields else status)
