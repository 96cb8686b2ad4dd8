"""Rate limits: how fast the bot writes to Slack, and how fast one person may send it requests.

Slack allows a message a second per channel, and a number of writes per minute for the workspace. Source: "Rate limits"
in Slack's documentation. The token buckets count this process's calls only. If several replicas together write too
fast, Slack answers with 429, which the buckets obey.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from bot.clock import Clock
from bot.errors import TooFast

MAX_CHANNELS = 10_000
MAX_BLOCK_OF_OTHERS_SECONDS = 30.0
"""How long a 429 in one channel blocks other channels at most. If they must wait longer, Slack answers 429 again."""
BLOCK_OTHERS_INTERVAL_SECONDS = 300.0
"""A channel that keeps getting 429 blocks others at most once in this time, unless Slack accepts a call there."""
USER_BURST = 30
USER_SECONDS_PER_REQUEST = 2.0
_USER_CACHE_SIZE = 10_000
_SILENT_SECONDS = 10.0
"""After this long without a post by the bot, a 429 in a channel is not about that channel's own limit."""
_RESOLUTION = 1e-3
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit: `per_second` in the long run, `burst` at once."""

    per_second: float
    burst: int


PER_CHANNEL = Rate(per_second=1, burst=3)
POSTS = Rate(per_second=5, burst=50)
"""Slack says "several hundred a minute"."""
EDITS = Rate(per_second=50 / 60, burst=40)


@dataclass(slots=True)
class TokenBucket:
    """Token bucket (GCRA): theoretical arrival time (`next_at`) plus an optional block set by Retry-After."""

    rate: Rate
    next_at: float = 0.0
    block_seconds: float = 0.0
    blocked_at: float = _NEVER
    last_at: float = _NEVER
    previous_at: float = _NEVER
    """When the token before the last one was taken."""
    blocked_others_at: float = _NEVER
    """When a 429 in this channel last blocked the others, without an accepted call since."""

    def wait(self, now: float, left: int = 0) -> float:
        """Return the seconds until a token is available and `left` others remain."""
        interval = 1 / self.rate.per_second
        # A later time means that the clock was set back; do not wait for it to catch up.
        self.next_at = min(self.next_at, now + interval * self.rate.burst)
        self.blocked_at = min(self.blocked_at, now)
        wait = max(
            self.next_at - now - interval * (self.rate.burst - 1 - left), self.blocked_at + self.block_seconds - now
        )
        return wait if wait > _RESOLUTION else 0.0

    def ready(self, now: float) -> int:
        """Return how many tokens are available right now."""
        if self.wait(now) > 0:
            return 0
        interval = 1 / self.rate.per_second
        return min(self.rate.burst, 1 + int((now - self.next_at) / interval + self.rate.burst - 1 + _RESOLUTION))

    def take(self, now: float) -> None:
        interval = 1 / self.rate.per_second
        self.next_at = max(now, self.next_at) + interval
        self.previous_at, self.last_at = self.last_at, now

    def block(self, now: float, seconds: float) -> None:
        self.blocked_at, self.block_seconds = now, seconds

    def may_block_others(self, now: float) -> bool:
        """Return whether a 429 in this channel blocks the others, and record that it does."""
        if 0 <= now - self.blocked_others_at < BLOCK_OTHERS_INTERVAL_SECONDS:
            return False
        self.blocked_others_at = now
        return True


class SlackRateLimiter:
    """Token buckets for posts and edits. Posts count per channel and per workspace, edits per workspace only."""

    def __init__(
        self, clock: Clock, *, per_channel: Rate = PER_CHANNEL, posts: Rate = POSTS, edits: Rate = EDITS
    ) -> None:
        self._clock = clock
        self._per_channel = per_channel
        self._posts = TokenBucket(posts)
        self._edits = TokenBucket(edits)
        self._channels: OrderedDict[str, TokenBucket] = OrderedDict()

    def acquire_post(self, channel: str, *, spare: bool = False) -> float:
        """Take a token for a post and return 0, or return the seconds until one may be available.

        `spare` takes it only while more than half of the workspace's bucket is left.
        """
        now, bucket = self._clock.now(), self._channel(channel)
        wait = max(bucket.wait(now), self._posts.wait(now, self._posts.rate.burst // 2 if spare else 0))
        if wait == 0:
            bucket.take(now)
            self._posts.take(now)
        return wait

    def acquire_edit(self, channel: str = "", *, spare: bool = False) -> float:
        """Take a token for an edit and return 0, or return the seconds until one may be available.

        `spare` takes it only while more than half of the bucket is left.
        """
        now, bucket = self._clock.now(), self._channels.get(_edits_of(channel))
        wait = max(
            self._edits.wait(now, self._edits.rate.burst // 2 if spare else 0), bucket.wait(now) if bucket else 0.0
        )
        if wait == 0:
            self._edits.take(now)
        return wait

    def edits_ready(self) -> int:
        """Return how many edits the bucket allows right now."""
        return self._edits.ready(self._clock.now())

    def on_post_limited(self, channel: str, seconds: float) -> None:
        """Block posts in this channel after a 429, and everywhere if the bot had been silent in the channel."""
        now, bucket = self._clock.now(), self._channel(channel)
        bucket.block(now, seconds)
        if now - bucket.previous_at > _SILENT_SECONDS and bucket.may_block_others(now):
            self._posts.block(now, min(seconds, MAX_BLOCK_OF_OTHERS_SECONDS))

    def on_edit_limited(self, seconds: float, channel: str = "") -> None:
        """Block edits in this channel after a 429, and everywhere: all edits share one limit.

        If only this channel keeps getting 429, it blocks the others once.
        """
        now, bucket = self._clock.now(), self._channel(_edits_of(channel))
        bucket.block(now, seconds)
        if bucket.may_block_others(now):
            self._edits.block(now, min(seconds, MAX_BLOCK_OF_OTHERS_SECONDS))

    def post_accepted(self, channel: str) -> None:
        """Record that Slack has accepted a post in this channel."""
        self._accepted(channel)

    def edit_accepted(self, channel: str) -> None:
        """Record that Slack has accepted an edit in this channel."""
        self._accepted(_edits_of(channel))

    def _accepted(self, key: str) -> None:
        if key in self._channels:
            self._channels[key].blocked_others_at = _NEVER

    def _channel(self, channel: str) -> TokenBucket:
        bucket = self._channels.pop(channel, None) or TokenBucket(self._per_channel)
        self._channels[channel] = bucket
        if len(self._channels) > MAX_CHANNELS:
            self._channels.popitem(last=False)
        return bucket


def _edits_of(channel: str) -> str:
    """Return the key of a channel's bucket for edits."""
    return f"{channel} edits"


class UserRateLimiter:
    """A token bucket per person, since each command or click costs Cloudflare requests, which everyone shares.

    It allows thirty commands and clicks at once, and one more every two seconds.
    """

    def __init__(
        self,
        timer: Callable[[], float] = time.monotonic,
        burst: int = USER_BURST,
        seconds_per_request: float = USER_SECONDS_PER_REQUEST,
    ) -> None:
        self._timer = timer
        self._seconds_per_request = seconds_per_request
        self._tolerance = (burst - 1) * seconds_per_request
        # When each person's bucket will be full again. A person dropped from here has a full bucket.
        self._full_at: LRUCache[str, float] = LRUCache(_USER_CACHE_SIZE)

    def acquire(self, user_id: str) -> None:
        """Take a token for a command or click of this person. Raises TooFast, without taking one, if none is left."""
        now = self._timer()
        full_at = max(self._full_at.get(user_id, now), now)
        if full_at - now > self._tolerance:
            raise TooFast(full_at - now - self._tolerance)
        self._full_at[user_id] = full_at + self._seconds_per_request
