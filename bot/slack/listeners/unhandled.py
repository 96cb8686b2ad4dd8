"""Requests that no listener handles, or that Bolt cannot parse."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse

from bot.slack.dependencies import Dependencies

log = structlog.get_logger(__name__)


def register(app: AsyncApp, deps: Dependencies) -> None:
    """Register the error handler, which answers with `rejection`."""

    @app.error
    async def reject(error: Exception, body: dict[str, Any], response: BoltResponse | None) -> BoltResponse | None:
        rejected = rejection(error, body, deps.in_flight.count_malformed)
        # Without a response the request is already acknowledged, and Bolt accepts no other.
        return None if response is None else rejected


def rejection(error: Exception, body: object, on_malformed: Callable[[], None]) -> BoltResponse:
    """Return a 404 if no listener handles the request, otherwise a 400; log it without its content.

    `on_malformed` is called for a 400. Events get a 200 all the same: Slack would repeat them, and no person waits for
    a reply. `handlers` catches the errors of all listeners, so any other error is Bolt's own, raised on a malformed
    body; the log needs only its location.
    """
    fields = body if isinstance(body, dict) else {}
    status = 404 if isinstance(error, BoltUnhandledRequestError) else 400
    if status == 404:
        log.warning("request_unhandled", type=str(fields.get("type", "command"))[:40])
    else:
        *_, last = traceback.extract_tb(error.__traceback__)
        on_malformed()
        log.error("request_malformed", error=type(error).__name__, where=f"{Path(last.filename).name}:{last.lineno}")
    return BoltResponse(status=200 if "event" in fields else status)
