"""What Cloudflare says about how many more questions it takes, remembered from one answer to the next."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.realtimekit.envelope import LONGEST_WAIT, seconds_to_wait


@dataclass(frozen=True, slots=True)
class _Pause:
    """So many seconds from a moment on."""

    since: float = 0.0
    seconds: float = 0.0

    def left(self, now: float) -> float:
        # Before it began: the clock was set back, and nobody knows how much of the pause is over.
        return max(0.0, self.since + self.seconds - now) if now >= self.since else 0.0


class Quota:
    """Cloudflare's own count. `timer` is in seconds and only ever compared with itself."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._refused = _Pause()
        self._used_up = _Pause()

    def note(self, status: int, headers: Mapping[str, str]) -> None:
        """Remember what an answer says of it: a 429's `retry-after`, and `Ratelimit: "default";r=50;t=30`."""
        now = self._timer()
        if status == 429:
            asked = _Pause(now, seconds_to_wait(headers))
            # An answer that was slow to come does not cut short what a later one asked for.
            self._refused = max(self._refused, asked, key=lambda pause: pause.left(now))
        if "ratelimit" in headers:
            self._used_up = _Pause(now, _seconds_without_any(headers["ratelimit"]))

    def refused_for(self) -> float:
        """Seconds for which every request would only be another 429."""
        return self._refused.left(self._timer())

    def wait(self) -> float:
        """Seconds until Cloudflare takes questions again: 0 when it takes them now."""
        return max(self.refused_for(), self._used_up.left(self._timer()))


def _seconds_without_any(header: str) -> float:
    """Until the last of the limits that are used up is filled again, where it says so in a form that is known."""
    limits = [dict(_parameters(limit)) for limit in header.split(",")]
    return max((min(limit["t"], LONGEST_WAIT) for limit in limits if limit.get("r") == 0 and "t" in limit), default=0)


def _parameters(limit: str) -> list[tuple[str, float]]:
    pairs = [parameter.strip().partition("=") for parameter in limit.split(";")[1:]]
    return [(name, float(value)) for name, _, value in pairs if value.isascii() and value.isdigit()]
