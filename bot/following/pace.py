"""How soon to look at a meeting again. Pure."""

from datetime import datetime, timedelta

from bot.following.episode import Episode, Phase, pending_until
from bot.store.meetings import LIST_SECONDS

ACTIVE_SECONDS = 15.0
QUIET_SECONDS = 60.0
SLOWEST_SECONDS = 300.0
_SLOWING = 60.0
"""What stays as it is for so many times the wait, is looked at that much less often."""
_LONGEST_DOUBLING = 6


def look_in(
    episode: Episode,
    now: datetime,
    *,
    grace: timedelta,
    webhooks: bool = False,
    sweeps: bool = False,
    failures: int = 0,
    jitter: float = 0.0,
) -> float:
    """Seconds until the next look.

    `webhooks` is whether changes are told without asking, `sweeps` whether lists show them, `failures` how many looks
    in a row got no answer. `jitter`, between 0 and 1, takes off up to a tenth, so that what began together does not
    stay together.
    """
    if failures:
        patience = min(ACTIVE_SECONDS * 2 ** (min(failures, _LONGEST_DOUBLING) - 1), SLOWEST_SECONDS)
        return _shortened(max(patience, _usual(episode, now, webhooks, sweeps)), jitter)
    usual = _shortened(_usual(episode, now, webhooks, sweeps), jitter)
    pending = pending_until(episode, grace)
    if pending is None:
        return usual
    left = (pending - now).total_seconds()
    if episode.phase is Phase.LIVE:
        return min(left, usual) if left > 0 else usual
    # Not shortened: a check before the grace period is over would not see what is announced then. Should it be live
    # again, lists tell. More than the grace period is left where the clock was set back.
    if 0 < left < ACTIVE_SECONDS or (sweeps and 0 < left <= grace.total_seconds()):
        return min(left, SLOWEST_SECONDS)
    return _shortened(ACTIVE_SECONDS, jitter)


def _usual(episode: Episode, now: datetime, webhooks: bool, sweeps: bool) -> float:
    age = (now - episode.phase_since).total_seconds()
    certain = episode.phase is not Phase.LIVE or episode.run_is_certain
    if sweeps and certain and episode.phase in (Phase.STARTING, Phase.LIVE, Phase.ERRORED):
        return QUIET_SECONDS
    match episode.phase:
        case Phase.WAITING | Phase.ENDED:
            return SLOWEST_SECONDS if webhooks else min(max(age / _SLOWING, QUIET_SECONDS), SLOWEST_SECONDS)
        case Phase.LIVE:
            # Webhooks tell of its end, and never of an error.
            return 2 * ACTIVE_SECONDS if webhooks else ACTIVE_SECONDS
        case Phase.STARTING | Phase.ERRORED:
            # Of either, webhooks tell nothing, and Cloudflare may go on saying it for days.
            return min(max(age / _SLOWING, ACTIVE_SECONDS), QUIET_SECONDS)
    return ACTIVE_SECONDS


def _shortened(seconds: float, jitter: float) -> float:
    return seconds * (1 - 0.1 * jitter)


class Webhooks:
    """Whether webhooks are believed to come: as long as the last change that they tell of did not come without one."""

    def __init__(self) -> None:
        self.trusted = False

    def note(self, before: Phase, after: Phase, *, hinted: bool) -> None:
        """What a look found, and whether a webhook had come. They tell of LIVE and off the air only."""
        came = after is Phase.LIVE and before is not Phase.LIVE
        went = before is Phase.LIVE and after in (Phase.INTERRUPTED, Phase.ENDED)
        if came or went:
            self.trusted = hinted


class Sweeps:
    """Whether what becomes of any meeting shows in a list that is read every few seconds, by whichever replica."""

    def __init__(self) -> None:
        self._until = 0.0

    def note(self, whole: bool, now: float) -> None:
        """A list was read at this time, of all meetings or not; or could not be read, which says as little."""
        self._until = now + LIST_SECONDS if whole else 0.0

    def tell(self, now: float) -> bool:
        """Whether they tell of changes; not what was noted by a clock that has been set back since."""
        return 0 < self._until - now <= LIST_SECONDS
