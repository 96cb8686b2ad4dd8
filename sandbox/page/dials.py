"""The page's dials: the speed of time, and the faults of Slack and Cloudflare."""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from sandbox.page.bodies import Turned
from sandbox.page.refused import Refused
from sandbox.realtimekit import Fault as CloudflareFault
from sandbox.realtimekit import RealtimeKit
from sandbox.slack import Fault as SlackFault
from sandbox.slack import Slack
from sandbox.slack.delivery import ACK_SECONDS

SPEEDS = (1, 10, 60)

AnyFault = TypeVar("AnyFault", bound=Enum)

_CLOUDFLARE = {
    CloudflareFault.NONE: "Works",
    CloudflareFault.SLOW: "Slow",
    CloudflareFault.UNAUTHORIZED: "401: the token is refused",
    CloudflareFault.RATE_LIMITED: "429: too many requests",
    CloudflareFault.SERVER_ERROR: "500: internal error",
    CloudflareFault.HTML: "502: an HTML page",
    CloudflareFault.HANG: "Never answers",
    CloudflareFault.DROP: "Closes the connection",
    CloudflareFault.HALF: "Cuts the answer short",
}
_SLACK = {
    SlackFault.NONE: "Works",
    SlackFault.RATE_LIMITED: "429: too many requests",
    SlackFault.SERVER_ERROR: "503: service unavailable",
    SlackFault.HANG: "Never answers",
    SlackFault.DROP: "Processes the request, then closes the connection",
}


class Dials:
    """Turns the dials, and calls `on_turn` with the new settings."""

    def __init__(self, slack: Slack, kit: RealtimeKit, on_turn: Callable[[dict[str, Any]], None]) -> None:
        self._slack = slack
        self._kit = kit
        self._on_turn = on_turn

    def turn(self, turned: Turned) -> dict[str, Any]:
        """Turn some dials; if one of the values is invalid, turn none and raise Refused 400."""
        cloudflare = _fault(_CLOUDFLARE, turned.cloudflare_fault, self._kit.fault)
        slack = _fault(_SLACK, turned.slack_fault, self._slack.fault)
        speed = self._slack.clock.speed if turned.speed is None else turned.speed
        if turned.speed is not None and turned.speed not in SPEEDS:
            raise Refused(400, f"The speed must be one of {', '.join(map(str, SPEEDS))}.")
        self._kit.fault, self._slack.fault = cloudflare, slack
        self._slack.clock.speed = speed
        # The bot runs in real time, so its time to acknowledge must be real time too.
        self._slack.ack_seconds = ACK_SECONDS * max(1, speed)
        conditions = self.to_dict()
        self._on_turn(conditions)
        return conditions

    def to_dict(self) -> dict[str, Any]:
        """Return the dials' settings and choices as JSON-compatible values."""
        slow = f"{_CLOUDFLARE[CloudflareFault.SLOW]} ({self._kit.slow_seconds:g} s)"
        return {
            "cloudflare_fault": _name(self._kit.fault),
            "slack_fault": _name(self._slack.fault),
            "speed": self._slack.clock.speed,
            "now": self._slack.clock.now(),
            "cloudflare_faults": _choices(_CLOUDFLARE | {CloudflareFault.SLOW: slow}),
            "slack_faults": _choices(_SLACK),
            "speeds": list(SPEEDS),
        }


def _fault(labels: dict[AnyFault, str], name: str | None, now: AnyFault) -> AnyFault:
    if name is None:
        return now
    found = next((fault for fault in labels if _name(fault) == name), None)
    if found is None:
        raise Refused(400, f"A fault must be one of {', '.join(map(_name, labels))}.")
    return found


def _choices(labels: dict[AnyFault, str]) -> list[dict[str, str]]:
    return [{"value": _name(fault), "label": label} for fault, label in labels.items()]


def _name(fault: Enum) -> str:
    return fault.name.lower()
