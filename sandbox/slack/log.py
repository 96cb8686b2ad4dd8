"""The log of calls between the bot and Slack, and of the bodies that the bot sent. Bounded, and without tokens."""

from collections import deque
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sandbox.slack.events import EventKind, Events

KEPT_CALLS = 1_000
KEPT_BODIES = 5_000


class Direction(StrEnum):
    BOT_TO_SLACK = "bot_to_slack"
    SLACK_TO_BOT = "slack_to_bot"


@dataclass(frozen=True, slots=True)
class Call:
    """A call. `status` is None without an answer or over a WebSocket; `at` is in epoch seconds."""

    direction: Direction
    method: str
    status: int | None
    error: str | None
    ms: float
    at: float

    def to_dict(self) -> dict[str, Any]:
        """Return the call as JSON-compatible values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that the bot sent, without tokens, and the method."""

    method: str
    body: str


class Log:
    """The last calls and bodies; each call is published as an event."""

    def __init__(self, events: Events) -> None:
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self.sent: deque[Sent] = deque(maxlen=KEPT_BODIES)
        self._events = events

    def call(self, call: Call) -> None:
        """Log a finished call."""
        self.calls.append(call)
        self._events.publish(EventKind.CALL_LOGGED, call)

    def body(self, method: str, body: str) -> None:
        """Log a body that the bot sent, acknowledgements included, unless it is empty."""
        if body:
            self.sent.append(Sent(method, body))
