"""Slack sends something that no listener is for, or that Bolt cannot read."""

import traceback
from pathlib import Path
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse

log = structlog.get_logger(__name__)


def register(app: AsyncApp) -> None:
    """Refuse it, by `refusal`."""

    @app.error
    async def unheard(error: Exception, body: dict[str, Any], response: BoltResponse | None) -> BoltResponse | None:
        refused = refusal(error, body)
        # Without one it is acknowledged already, and Bolt takes no other.
        return None if response is None else refused


def refusal(error: Exception, body: object) -> BoltResponse:
    """A 404 where no listener is for it, else a 400, and a line in the log without its content.

    An event is taken nevertheless: Slack would repeat it, and nobody waits for an answer. No error of a listener gets
    past `serve`, so any other one is Bolt's: it has stumbled over the body, and its traceback would not tell more than
    where.
    """
    fields = body if isinstance(body, dict) else {}
    status = 404 if isinstance(error, BoltUnhandledRequestError) else 400
    if status == 404:
        log.warning("unheard", type=str(fields.get("type", "command"))[:40])
    else:
        *_, last = traceback.extract_tb(error.__traceback__)
        log.error("not_readable", why=type(error).__name__, where=f"{Path(last.filename).name}:{last.lineno}")
    return BoltResponse(status=200 if "event" in fields else status)
