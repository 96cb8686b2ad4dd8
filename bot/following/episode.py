"""How an episode moves: `advance` compares what was seen with what is known. No clock, no network, no database.

    waiting ──> starting ──> live ──> interrupted ──> ended
                               └─> errored ─┘

A sign of life begins an episode in whichever of these it shows. What has begun is interrupted once it is seen off the
air, goes on if it comes back, and is ended if it is still off the air a grace time later; the next sign of life begins
the next episode. What is told follows from what was told before, not from the phase before, so nothing is told twice.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from bot.following.observation import CouldNotAsk, Observation, Sighting, observation_of
from bot.following.runs import is_life_after, is_next_run, live_since, off_air_at, seen_live_at
from bot.following.state import Change, ChangeKind, Episode, Phase, card_key
from bot.realtimekit.models import Status

__all__ = [
    "Change",
    "ChangeKind",
    "CouldNotAsk",
    "Episode",
    "Observation",
    "Phase",
    "Sighting",
    "advance",
    "baseline",
    "card_key",
    "observation_of",
]

_ON_AIR = (ChangeKind.LIVE, ChangeKind.BACK)

Step = tuple[Episode, tuple[Change, ...]]


def advance(episode: Episode, observation: Observation, now: datetime, grace: timedelta) -> Step:
    """The episode after this observation, and what there is to tell, in order; of two episodes if one follows another.

    `grace` is how long a livestream may be off the air before that is its end.
    """
    if isinstance(observation, CouldNotAsk):
        return replace(episode, unanswered=episode.unanswered + 1), ()
    episode = replace(episode, checked_at=now, unanswered=0)
    if episode.phase is Phase.ENDED:
        return _begun(episode, observation, now) if is_life_after(episode, observation) else (episode, ())
    if is_next_run(episode, observation, now, grace):
        ended, last = _ended(episode, now)
        begun, first = _begun(ended, observation, now)
        return begun, (*last, *first)
    return _continued(_noted(episode, observation), observation, now, grace)


def baseline(observation: Observation, now: datetime) -> Episode:
    """The episode when a meeting is first followed: what is under way already is known, and not told."""
    episode, _ = advance(Episode.waiting(now), observation, now, timedelta())
    return episode


def _begun(ended: Episode, sighting: Sighting, now: datetime) -> Step:
    """The episode after one that has ended, at its first sign of life."""
    fresh = Episode(
        number=ended.number + 1,
        phase=Phase.WAITING,
        phase_since=now,
        name=ended.name,
        previous_end=ended.ended_at,
        checked_at=now,
    )
    return _continued(_noted(fresh, sighting), sighting, now, timedelta())


def _noted(episode: Episode, sighting: Sighting) -> Episode:
    return replace(
        episode,
        name=(sighting.name if sighting.name_is_certain else None) or episode.name or sighting.name,
        playback_url=sighting.playback_url or episode.playback_url,
        raw_status=(sighting.raw_status or "") if sighting.status is Status.UNKNOWN else None,
        run_stopped_at=sighting.run_stopped_at or episode.run_stopped_at,
        livestream=sighting.livestream,
    )


def _continued(episode: Episode, sighting: Sighting, now: datetime, grace: timedelta) -> Step:
    match sighting.status:
        case Status.LIVE:
            return _live(episode, sighting, now, grace)
        case Status.STARTING:
            return _starting(episode, now)
        case Status.ERRORED:
            return _errored(episode, sighting, now)
        case Status.NOT_BROADCASTING:
            return _gone(episode, now, grace)
        case _:  # neither life nor death
            return episode, ()


def _live(episode: Episode, sighting: Sighting, now: datetime, grace: timedelta) -> Step:
    seen_live = seen_live_at(episode, sighting, now, grace)
    began = live_since(episode, sighting, now)
    again = episode.live_since is not None
    episode = replace(
        _in(Phase.LIVE, episode, now),
        live_since=began,
        last_seen_live=seen_live,
        run_started_at=sighting.run_started_at or episode.run_started_at,
        run_stopped_at=None,
        error_reason=None,
    )
    if episode.told in _ON_AIR:
        return episode, ()
    if again:
        return _telling(ChangeKind.BACK, episode, now, now)
    return _telling(ChangeKind.LIVE, episode, began, now)


def _starting(episode: Episode, now: datetime) -> Step:
    """After it was on air, STARTING only says that it is not there; after an error, that the error is being mended."""
    if episode.told is None:
        return _telling(ChangeKind.STARTING, _in(Phase.STARTING, episode, now), now, now)
    if episode.told is ChangeKind.STARTING:
        return _in(Phase.STARTING, episode, now), ()
    return (episode if episode.phase is Phase.ERRORED else _interrupted(episode, now)), ()


def _errored(episode: Episode, sighting: Sighting, now: datetime) -> Step:
    episode = replace(
        _in(Phase.ERRORED, episode, now),
        run_started_at=sighting.run_started_at or episode.run_started_at,
        error_reason=sighting.error_reason or episode.error_reason,
    )
    return (episode, ()) if episode.told is ChangeKind.ERRORED else _telling(ChangeKind.ERRORED, episode, now, now)


def _gone(episode: Episode, now: datetime, grace: timedelta) -> Step:
    if episode.phase is Phase.WAITING:
        return episode, ()
    if episode.phase is Phase.INTERRUPTED and now - episode.phase_since >= grace:
        return _ended(episode, now)
    return _interrupted(episode, now), ()


def _interrupted(episode: Episode, now: datetime) -> Episode:
    """Off the air, since it was first seen so. A clock that was set back costs one more grace time, not an hour."""
    episode = _in(Phase.INTERRUPTED, episode, now)
    return replace(episode, phase_since=min(episode.phase_since, now))


def _ended(episode: Episode, now: datetime) -> Step:
    off_air = off_air_at(episode, now)
    ended_at = max(off_air, episode.live_since or off_air)
    episode = replace(_in(Phase.ENDED, episode, now), ended_at=ended_at, playback_url=None)
    return _telling(ChangeKind.ENDED, episode, ended_at, now)


def _in(phase: Phase, episode: Episode, now: datetime) -> Episode:
    return episode if episode.phase is phase else replace(episode, phase=phase, phase_since=now)


def _telling(kind: ChangeKind, episode: Episode, at: datetime, now: datetime) -> Step:
    episode = replace(episode, told=kind, seq=episode.seq + 1)
    change = Change(
        episode=episode.number,
        seq=episode.seq,
        kind=kind,
        at=at,
        seen_at=now,
        name=episode.name,
        playback_url=episode.playback_url,
        error_reason=episode.error_reason,
        live_since=episode.live_since,
        last_seen_live=episode.last_seen_live,
    )
    return episode, (change,)
