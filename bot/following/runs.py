"""Which run a sighting belongs to, and when that run was on air.

Only the start of its session tells one run from another, and it does not come with every answer. Our clock and
Cloudflare's may disagree, and ours may jump: so no run is believed to begin in our future.
"""

from datetime import datetime, timedelta

from bot.following.observation import Sighting
from bot.following.state import ChangeKind, Episode, Phase
from bot.realtimekit.models import Status

REPAIR_TIME = timedelta(minutes=15)
"""A new run this soon after an error is its repair; a later one is the meeting's next livestream, with its own card."""


def is_life_after(ended: Episode, sighting: Sighting) -> bool:
    """Whether this begins the episode after one that has ended.

    LIVE always does, even of the very run that has ended. The end was seen twice, a grace time apart, so an old answer
    out of some cache is unlikely, while an encoder that comes back to its open session is not; and a false "live" is
    put right a grace time later, while a livestream that is taken for an old answer would never be told. ERRORED of
    that run tells nothing new: Cloudflare may go on saying it of a run that is over.
    """
    run = sighting.run_started_at
    match sighting.status:
        case Status.LIVE | Status.STARTING:
            return True
        case Status.ERRORED:
            return run is None or not (run == ended.run_started_at or _is_before(ended.ended_at, run))
        case _:
            return False


def is_error_of_before(waiting: Episode, sighting: Sighting) -> bool:
    """Return whether this is an error of the episode before the one that is waited for."""
    run = sighting.run_started_at
    return sighting.status is Status.ERRORED and run is not None and _is_before(waiting.previous_end, run)


def is_next_run(episode: Episode, sighting: Sighting, now: datetime, grace: timedelta) -> bool:
    """Whether this is the run after the episode's, whose end nobody saw.

    A run that is not known, or is the known one, is not, however long nobody could look. Nor is one that began within
    the patience: to those who watch it is the same broadcast.
    """
    if episode.told is None or episode.phase not in (Phase.LIVE, Phase.INTERRUPTED, Phase.ERRORED):
        return False
    off_air, patience = _off_air_from(episode), REPAIR_TIME if episode.phase is Phase.ERRORED else grace
    run = sighting.run_started_at
    match sighting.status:
        case Status.STARTING:
            seen_off_air = episode.phase is not Phase.LIVE and episode.told is not ChangeKind.STARTING
            return seen_off_air and now - off_air >= patience
        case Status.LIVE | Status.ERRORED:
            return run is not None and run != episode.run_started_at and min(run, now) - off_air > patience
        case _:
            return False


def _off_air_from(episode: Episode) -> datetime:
    """From when on nobody can say that it was on air."""
    seen_live = episode.last_seen_live if episode.phase is Phase.LIVE else None
    return seen_live or episode.phase_since


def seen_live_at(episode: Episode, sighting: Sighting, now: datetime, grace: timedelta) -> datetime:
    """When the episode's run was on air for certain, as far as this sighting of something live says.

    What is live without saying in which run may be the next one, where nobody could look for longer than the grace
    time: then that is decided when the run is known, by when the known one was seen last.
    """
    last = episode.last_seen_live
    unknown = sighting.run_started_at is None and episode.run_started_at is not None
    could_be_next = episode.phase in (Phase.LIVE, Phase.INTERRUPTED) and now - _off_air_from(episode) > grace
    return last if last is not None and unknown and could_be_next else now


def live_since(episode: Episode, sighting: Sighting, now: datetime) -> datetime:
    """When the episode went on air: its run's start, or else when it was first seen there.

    A start that is read only later is taken over. One before the end of the episode before is not: that much of the
    run has been told already.
    """
    seen, run = episode.live_since or now, sighting.run_started_at
    if run is None or _is_before(episode.previous_end, run):
        return seen
    return min(run, seen) if episode.live_since is None or episode.run_started_at is None else seen


def off_air_at(episode: Episode, now: datetime) -> datetime:
    """When the episode went off the air: as Cloudflare says, where that fits what was seen, or when it was seen gone.

    An error has taken it off the air before that, and an end that nobody saw has no such time: then it is when it was
    last seen live.
    """
    interrupted = episode.phase is Phase.INTERRUPTED
    seen_gone = episode.phase_since if interrupted else now
    last, stopped = episode.last_seen_live, episode.run_stopped_at
    if last is None:
        return episode.phase_since
    if stopped is not None and last <= stopped <= seen_gone:
        return stopped
    return seen_gone if interrupted and episode.error_since is None else last


def _is_before(end: datetime | None, run: datetime) -> bool:
    """Whether a run began before that end, if there was one."""
    return end is not None and run <= end
