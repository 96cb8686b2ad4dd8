"""Slack sends something that no listener is for."""

from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse

log = structlog.get_logger(__name__)


def register(app: AsyncApp) -> None:
    """Refuse it with a 404 and a line in the log, without its content.

    An event is taken nevertheless: Slack would repeat it, and nobody waits for an answer.
    """

    @app.error
    async def unheard(error: Exception, body: dict[str, Any]) -> BoltResponse | None:
        if isinstance(error, BoltUnhandledRequestError):
            log.warning("unheard", type=str(body.get("type", "command"))[:40])
            return BoltResponse(status=200 if "event" in body else 404)
        log.error("bolt_broke", exc_info=error)
        return None
