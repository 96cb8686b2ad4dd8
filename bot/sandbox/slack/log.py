"""The drawer of calls between the bot and Slack, and all that the bot ever sent. Bounded, and free of tokens."""

from collections import deque
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from bot.sandbox.slack.events import EventKind, Events

KEPT_CALLS = 1_000
KEPT_BODIES = 5_000


class Direction(StrEnum):
    BOT_TO_SLACK = "bot_to_slack"
    SLACK_TO_BOT = "slack_to_bot"


@dataclass(frozen=True, slots=True)
class Call:
    """One call: HTTP status (none without an answer, or over a WebSocket), Slack's error, epoch seconds."""

    direction: Direction
    method: str
    status: int | None
    error: str | None
    ms: float
    at: float

    def to_dict(self) -> dict[str, Any]:
        """The call as JSON-compatible values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that the bot sent, to which method; tokens that it carried are taken out."""

    method: str
    body: str


class Log:
    """Remembers the last calls and bodies, and publishes each call."""

    def __init__(self, events: Events) -> None:
        self.calls: deque[Call] = deque(maxlen=KEPT_CALLS)
        self.sent: deque[Sent] = deque(maxlen=KEPT_BODIES)
        self._events = events

    def call(self, call: Call) -> None:
        """Note a call that has ended."""
        self.calls.append(call)
        self._events.publish(EventKind.CALL_LOGGED, call)

    def body(self, method: str, body: str) -> None:
        """Note what the bot sent; acknowledgements count too. An empty body says nothing and is not kept."""
        if body:
            self.sent.append(Sent(method, body))
