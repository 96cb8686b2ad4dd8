"""Slack's rate limits: token buckets on the sandbox's time."""

import math
from collections import OrderedDict
from dataclasses import dataclass

KEPT_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: `per_second` calls in the long run, `burst` at once."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class _Bucket:
    tokens: float
    at: float


class Limits:
    """The rate limits by method in `rates`; `enabled` False switches them off.

    Source of the rates: "Rate limits" in Slack's documentation. It does not document the bursts, which are assumptions.
    """

    def __init__(self) -> None:
        self.enabled = True
        self.rates = {
            "chat.postMessage": Rate(per_second=1, burst=5),
            "chat.update": Rate(per_second=50 / 60, burst=50),
        }
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def retry_after(self, method: str, scope: str, now: float) -> int | None:
        """Count a call of `method` within `scope` (a channel); return the seconds to wait if it exceeds the rate."""
        rate = self.rates.get(method)
        if not self.enabled or rate is None:
            return None
        bucket = self._buckets.pop((method, scope), None) or _Bucket(rate.burst, now)
        tokens = min(rate.burst, bucket.tokens + (now - bucket.at) * rate.per_second)
        passes = tokens >= 1
        self._keep((method, scope), _Bucket(tokens - 1 if passes else tokens, now))
        return None if passes else max(1, math.ceil((1 - tokens) / rate.per_second))

    def _keep(self, key: tuple[str, str], bucket: _Bucket) -> None:
        self._buckets[key] = bucket
        if len(self._buckets) > KEPT_BUCKETS:
            self._buckets.popitem(last=False)
