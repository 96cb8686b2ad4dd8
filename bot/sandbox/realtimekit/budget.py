"""The request budget: so many requests in five minutes, then nothing at all for five minutes. Pure."""

import math
from dataclasses import dataclass

WINDOW_SECONDS = 300.0


@dataclass(frozen=True)
class Spent:
    """How much of the budget is gone since `since`, and until when everything is refused. Times are epoch seconds."""

    since: float = float("-inf")
    used: int = 0
    blocked_until: float = float("-inf")


def spend(spent: Spent, limit: int, now: float) -> Spent:
    """Count one request. The one that goes over the limit blocks it and all others for a whole window."""
    if now < spent.blocked_until:
        return spent
    if now - spent.since >= WINDOW_SECONDS:
        spent = Spent(since=now)
    used = spent.used + 1
    return Spent(spent.since, used, now + WINDOW_SECONDS if used > limit else spent.blocked_until)


def retry_after(spent: Spent, now: float) -> int | None:
    """Whole seconds until requests are answered again, or None if they are."""
    return math.ceil(spent.blocked_until - now) if now < spent.blocked_until else None


def headers(spent: Spent, limit: int, now: float) -> dict[str, str]:
    """The headers in which Cloudflare tells what is left, and `retry-after` if nothing is."""
    wait = retry_after(spent, now)
    until = wait if wait is not None else math.ceil(spent.since + WINDOW_SECONDS - now)
    told = {
        "ratelimit": f'"default";r={max(0, limit - spent.used)};t={until}',
        "ratelimit-policy": f'"default";q={limit};w={WINDOW_SECONDS:.0f}',
    }
    return told if wait is None else {**told, "retry-after": str(wait)}
