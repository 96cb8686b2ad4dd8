"""Token buckets for writing to Slack: a message a second per channel, and a limit per minute for the workspace.

Source: "Rate limits" in Slack's documentation. The buckets count this process's calls only. If several replicas
together write too fast, Slack answers with 429, which the buckets obey.
"""

from collections import OrderedDict
from dataclasses import dataclass

from bot.clock import Clock

MAX_CHANNELS = 10_000
MAX_HOLD_FOR_OTHERS = 30.0
"""The longest wait that one call's 429 imposes on other channels; if they must wait longer, Slack answers 429 again."""
HOLD_FOR_OTHERS_AGAIN_SECONDS = 300.0
"""A channel that keeps getting 429 makes others wait at most once in this time, unless Slack accepts a call there."""
_SILENT_SECONDS = 10.0
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
    held_for: float = 0.0
    held_at: float = _NEVER
    taken_at: float = _NEVER
    spoke_before: float = _NEVER
    """When the last token but one was taken."""
    held_others_at: float = _NEVER
    """When a 429 here last made the other channels wait, with no success since."""

    def wait(self, now: float, left: int = 0) -> float:
        """Return the seconds until a token is available and `left` others remain."""
        interval = 1 / self.rate.per_second
        # Larger values mean that the clock was set back; do not wait for it to catch up.
        self.next_at = min(self.next_at, now + interval * self.rate.burst)
        self.held_at = min(self.held_at, now)
        wait = max(self.next_at - now - interval * (self.rate.burst - 1 - left), self.held_at + self.held_for - now)
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
        self.spoke_before, self.taken_at = self.taken_at, now

    def block(self, now: float, seconds: float) -> None:
        self.held_at, self.held_for = now, seconds

    def may_hold_others(self, now: float) -> bool:
        """Return whether a 429 here makes the other channels wait, and remember that it does."""
        if 0 <= now - self.held_others_at < HOLD_FOR_OTHERS_AGAIN_SECONDS:
            return False
        self.held_others_at = now
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
        now, turns = self._clock.now(), self._channel(channel)
        wait = max(turns.wait(now), self._posts.wait(now, self._posts.rate.burst // 2 if spare else 0))
        if wait == 0:
            turns.take(now)
            self._posts.take(now)
        return wait

    def acquire_edit(self, channel: str = "", *, spare: bool = False) -> float:
        """Take a token for an edit and return 0, or return the seconds until one may be available.

        `spare` takes it only while more than half of the bucket is left.
        """
        now, held = self._clock.now(), self._channels.get(_edits_of(channel))
        wait = max(self._edits.wait(now, self._edits.rate.burst // 2 if spare else 0), held.wait(now) if held else 0.0)
        if wait == 0:
            self._edits.take(now)
        return wait

    def edits_ready(self) -> int:
        """Return how many edits the bucket allows right now."""
        return self._edits.ready(self._clock.now())

    def on_post_limited(self, channel: str, seconds: float) -> None:
        """Block posts in this channel after a 429, and everywhere if the bot had been silent in the channel."""
        now, turns = self._clock.now(), self._channel(channel)
        turns.block(now, seconds)
        if now - turns.spoke_before > _SILENT_SECONDS and turns.may_hold_others(now):
            self._posts.block(now, min(seconds, MAX_HOLD_FOR_OTHERS))

    def on_edit_limited(self, seconds: float, channel: str = "") -> None:
        """Block edits in this channel after a 429, and everywhere: all edits share one limit.

        If only this channel keeps getting 429, it makes the others wait once.
        """
        now, turns = self._clock.now(), self._channel(_edits_of(channel))
        turns.block(now, seconds)
        if turns.may_hold_others(now):
            self._edits.block(now, min(seconds, MAX_HOLD_FOR_OTHERS))

    def post_accepted(self, channel: str) -> None:
        """Record that Slack has accepted a post in this channel."""
        self._accepted(channel)

    def edit_accepted(self, channel: str) -> None:
        """Record that Slack has accepted an edit in this channel."""
        self._accepted(_edits_of(channel))

    def _accepted(self, key: str) -> None:
        if key in self._channels:
            self._channels[key].held_others_at = _NEVER

    def _channel(self, channel: str) -> TokenBucket:
        turns = self._channels.pop(channel, None) or TokenBucket(self._per_channel)
        self._channels[channel] = turns
        if len(self._channels) > MAX_CHANNELS:
            self._channels.popitem(last=False)
        return turns


def _edits_of(channel: str) -> str:
    return f"{channel} edits"
