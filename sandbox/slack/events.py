"""Notification of changes in the sandbox's Slack."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class EventKind(StrEnum):
    MESSAGE_POSTED = "message_posted"
    MESSAGE_CHANGED = "message_changed"
    MESSAGE_DELETED = "message_deleted"
    CHANNEL_CHANGED = "channel_changed"
    CONNECTIONS_CHANGED = "connections_changed"
    CALL_LOGGED = "call_logged"


class Subject(Protocol):
    """The subject of an event."""

    def to_dict(self) -> dict[str, Any]:
        """Return the subject as JSON-compatible values."""


@dataclass(frozen=True, slots=True)
class Event:
    """A change: its kind, and the new state of the message, channel, call or number of connections."""

    kind: EventKind
    subject: Subject

    def to_dict(self) -> dict[str, Any]:
        """Return the event as JSON-compatible values."""
        return {"kind": self.kind.value, "subject": self.subject.to_dict()}


Callback = Callable[[Event], None]


class Events:
    """The subscribers to changes, called synchronously in the order in which they subscribed."""

    def __init__(self) -> None:
        self._callbacks: list[Callback] = []

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback` with each event from now on; return a function that unsubscribes it."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def publish(self, kind: EventKind, subject: Subject) -> None:
        """Notify all subscribers of a change."""
        for callback in tuple(self._callbacks):
            callback(Event(kind, subject))
