"""The intervals between checks of a meeting, which depend on whether webhooks and lists report its changes."""

from datetime import datetime, timedelta

from bot.domain.episode import Episode, Phase
from bot.domain.transitions import pending_until
from bot.store.meetings import LIST_SECONDS

ACTIVE_SECONDS = 15.0
QUIET_SECONDS = 60.0
SLOWEST_SECONDS = 300.0
_BACKOFF_DIVISOR = 60.0
"""The longer a phase lasts, the longer the interval: the time since it began divided by this, within limits."""
_MAX_DOUBLINGS = 6


def next_check_in(
    episode: Episode,
    now: datetime,
    *,
    grace: timedelta,
    webhooks: bool = False,
    lists: bool = False,
    failures: int = 0,
    jitter: float = 0.0,
) -> float:
    """Return the seconds until the next check.

    `webhooks`: whether webhooks report changes. `lists`: whether lists show them. `failures`: consecutive failed
    checks. `jitter`, between 0 and 1, shortens the interval by up to 10 % to spread checks.
    """
    if failures:
        backoff = min(ACTIVE_SECONDS * 2 ** (min(failures, _MAX_DOUBLINGS) - 1), SLOWEST_SECONDS)
        return _with_jitter(max(backoff, _base_interval(episode, now, webhooks=webhooks, lists=lists)), jitter)
    usual = _with_jitter(_base_interval(episode, now, webhooks=webhooks, lists=lists), jitter)
    pending = pending_until(episode, grace)
    if pending is None:
        return usual
    left = (pending - now).total_seconds()
    if episode.phase is Phase.LIVE:
        return min(left, usual) if left > 0 else usual
    # Without jitter: a check before the end of the grace period would have nothing to announce, and lists show whether
    # the livestream is live again. If more than the grace period is left, the clock was set back.
    if 0 < left < ACTIVE_SECONDS or (lists and 0 < left <= grace.total_seconds()):
        return min(left, SLOWEST_SECONDS)
    return _with_jitter(ACTIVE_SECONDS, jitter)


def _base_interval(episode: Episode, now: datetime, *, webhooks: bool, lists: bool) -> float:
    age = (now - episode.phase_since).total_seconds()
    certain = episode.phase is not Phase.LIVE or episode.session_is_certain
    if lists and certain and episode.phase in (Phase.STARTING, Phase.LIVE, Phase.ERRORED):
        return QUIET_SECONDS
    match episode.phase:
        case Phase.WAITING | Phase.ENDED:
            return SLOWEST_SECONDS if webhooks else min(max(age / _BACKOFF_DIVISOR, QUIET_SECONDS), SLOWEST_SECONDS)
        case Phase.LIVE:
            # Webhooks report its end, but never an error.
            return 2 * ACTIVE_SECONDS if webhooks else ACTIVE_SECONDS
        case Phase.STARTING | Phase.ERRORED:
            # Webhooks report neither, and Cloudflare may keep reporting either for days.
            return min(max(age / _BACKOFF_DIVISOR, ACTIVE_SECONDS), QUIET_SECONDS)
    return ACTIVE_SECONDS


def _with_jitter(seconds: float, jitter: float) -> float:
    return seconds * (1 - 0.1 * jitter)


class WebhookTrust:
    """Whether webhooks are trusted to arrive: true if the last change that they report arrived with one."""

    def __init__(self) -> None:
        self.trusted = False

    def record(self, before: Phase, after: Phase, *, received: bool) -> None:
        """Record a check's result and whether a webhook had arrived. Webhooks report only LIVE and off air."""
        went_live = after is Phase.LIVE and before is not Phase.LIVE
        went_off_air = before is Phase.LIVE and after in (Phase.INTERRUPTED, Phase.ENDED)
        if went_live or went_off_air:
            self.trusted = received


class ListFreshness:
    """Whether some replica regularly reads a complete list, so that it shows every meeting's changes."""

    def __init__(self) -> None:
        self._until = 0.0

    def record(self, now: float, *, is_complete: bool) -> None:
        """Record that a list was read at this time. `is_complete` is False also if it could not be read."""
        self._until = now + LIST_SECONDS if is_complete else 0.0

    def is_fresh(self, now: float) -> bool:
        """Return whether lists currently show changes; False if the clock was set back since the last one."""
        return 0 < self._until - now <= LIST_SECONDS
