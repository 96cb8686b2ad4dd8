"""Cloudflare's rate limit, as its answers report it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot.realtimekit.responses import MAX_RETRY_AFTER, parse_retry_after


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A pause of `seconds` from the time `since`."""

    since: float = 0.0
    seconds: float = 0.0

    def left(self, now: float) -> float:
        # Before `since` the clock was set back, and the rest of the pause is unknown.
        return max(0.0, self.since + self.seconds - now) if now >= self.since else 0.0


class RateLimitState:
    """Cloudflare's own count of requests. `timer` returns seconds from any starting point."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._blocked = Cooldown()
        self._exhausted = Cooldown()

    def update(self, status: int, headers: Mapping[str, str]) -> None:
        """Record the rate limit in an answer: a 429's `retry-after`, and `Ratelimit: "default";r=50;t=30`."""
        now = self._timer()
        if status == 429:
            demanded = Cooldown(now, parse_retry_after(headers))
            # A slow answer must not shorten the pause that a later one demanded.
            self._blocked = max(self._blocked, demanded, key=lambda pause: pause.left(now))
        if "ratelimit" in headers:
            self._exhausted = Cooldown(now, _seconds_until_refill(headers["ratelimit"]))

    def blocked_for(self) -> float:
        """Return the seconds for which every request would get another 429."""
        return self._blocked.left(self._timer())

    def retry_after(self) -> float:
        """Return the seconds until Cloudflare accepts requests again; 0 if it accepts them now."""
        return max(self.blocked_for(), self._exhausted.left(self._timer()))


def _seconds_until_refill(header: str) -> float:
    """Return the seconds until every exhausted limit in the header is refilled; ignore what cannot be parsed."""
    limits = [dict(_parameters(limit)) for limit in header.split(",")]
    return max(
        (min(limit["t"], MAX_RETRY_AFTER) for limit in limits if limit.get("r") == 0 and "t" in limit), default=0
    )


def _parameters(limit: str) -> list[tuple[str, float]]:
    pairs = [parameter.strip().partition("=") for parameter in limit.split(";")[1:]]
    return [(name, float(value)) for name, _, value in pairs if value.isascii() and value.isdigit()]
