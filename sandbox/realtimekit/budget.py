"""The rate limit: a number of requests in five minutes; once exceeded, none for five minutes. Pure."""

import math
from dataclasses import dataclass

WINDOW_SECONDS = 300.0


@dataclass(frozen=True)
class Spent:
    """The requests counted since `since`, and until when all are refused. Times are epoch seconds."""

    since: float = float("-inf")
    used: int = 0
    blocked_until: float = float("-inf")


def spend(spent: Spent, limit: int, now: float) -> Spent:
    """Count one request. If it exceeds the limit, it and all others are blocked for a whole window."""
    if now < spent.blocked_until:
        return spent
    if now - spent.since >= WINDOW_SECONDS:
        spent = Spent(since=now)
    used = spent.used + 1
    return Spent(spent.since, used, now + WINDOW_SECONDS if used > limit else spent.blocked_until)


def retry_after(spent: Spent, now: float) -> int | None:
    """Return the whole seconds until requests are accepted again, or None if they are now."""
    return math.ceil(spent.blocked_until - now) if now < spent.blocked_until else None


def headers(spent: Spent, limit: int, now: float) -> dict[str, str]:
    """Return the headers in which Cloudflare reports the remaining requests, with `retry-after` while blocked."""
    wait = retry_after(spent, now)
    until = wait if wait is not None else math.ceil(spent.since + WINDOW_SECONDS - now)
    told = {
        "ratelimit": f'"default";r={max(0, limit - spent.used)};t={until}',
        "ratelimit-policy": f'"default";q={limit};w={WINDOW_SECONDS:.0f}',
    }
    return told if wait is None else {**told, "retry-after": str(wait)}
