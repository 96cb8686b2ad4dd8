"""Slack sends something that no listener is for, or that Bolt cannot read."""

import traceback
from pathlib import Path
from typing import Any

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse

_HERE = Path(__file__).parent
_OURS = (_HERE.parent / "serve.py", _HERE.parent / "requests.py", _HERE.parent / "events.py")
"""What runs in a listener before anything that goes wrong is caught."""

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

    An event is taken nevertheless: Slack would repeat it, and nobody waits for an answer. What fails in Bolt has
    stumbled over the body, and its traceback would not tell more than where; what fails in our code is our mistake.
    """
    fields = body if isinstance(body, dict) else {}
    status = 404 if isinstance(error, BoltUnhandledRequestError) else 400
    frames = traceback.extract_tb(error.__traceback__)
    if status == 404:
        log.warning("unheard", type=str(fields.get("type", "command"))[:40])
    elif any(Path(frame.filename) in _OURS for frame in frames):
        log.error("broken", exc_info=error)
    else:
        last = frames[-1]
        log.error("not_readable", why=type(error).__name__, where=f"{Path(last.filename).name}:{last.lineno}")
    return BoltResponse(status=200 if "event" in fields else status)
