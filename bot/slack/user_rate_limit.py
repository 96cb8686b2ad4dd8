"""A rate limit per person: each command or click costs Cloudflare requests, which everyone shares."""

import time
from collections.abc import Callable

from cachetools import LRUCache

from bot.errors import TooFast

AT_ONCE = 30
SECONDS_EACH = 2.0
_MOST_KEPT = 10_000


class PersonalLimit:
    """A token bucket for each person: thirty commands and clicks at once, and one more every two seconds."""

    def __init__(
        self,
        timer: Callable[[], float] = time.monotonic,
        at_once: int = AT_ONCE,
        seconds_each: float = SECONDS_EACH,
    ) -> None:
        self._timer = timer
        self._seconds_each = seconds_each
        self._slack = (at_once - 1) * seconds_each
        # When each person's bucket will be full again. A person dropped from here has a full bucket.
        self._full_at: LRUCache[str, float] = LRUCache(_MOST_KEPT)

    def take(self, user_id: str) -> None:
        """Count one command or click of this person. Raises TooFast if there are too many, and then counts nothing."""
        now = self._timer()
        full_at = max(self._full_at.get(user_id, now), now)
        if full_at - now > self._slack:
            raise TooFast(full_at - now - self._slack)
        self._full_at[user_id] = full_at + self._seconds_each
