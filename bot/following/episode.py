"""How an episode moves: `advance` compares what was seen with what is known. No clock, no network, no database.

    waiting ──> starting ──> live ──> interrupted ──> ended
                               └─> errored ─┘

A sign of life begins an episode in whichever of these it shows. What has begun is interrupted once it is seen off the
air, goes on if it comes back, and is ended if it is still off the air a grace time later; the next sign of life begins
the next episode. What is told follows from what was told before, not from the phase before, so nothing is told twice.

Errors have a grace period as well, a shorter one: the card shows an error at once, and it is announced when it has
lasted. *Back* is announced when the livestream has then been live for the whole grace period, and for twice as long
after each error that follows soon, so that a livestream that flaps does not fill a thread. An episode of which nothing
was announced, such as a short error, is waited for again.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from bot.following.observation import CouldNotAsk, Observation, Sighting, observation_of
from bot.following.runs import (
    REPAIR_TIME,
    is_error_of_before,
    is_life_after,
    is_next_run,
    live_since,
    off_air_at,
    seen_live_at,
)
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
    "pending_until",
]

ERROR_GRACE = timedelta(seconds=15)
"""How long an error lasts before it is announced, where the grace period is not shorter."""
_MOST_DOUBLINGS = 10
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
        return _begun(episode, observation, now, grace) if is_life_after(episode, observation) else (episode, ())
    if episode.phase is Phase.WAITING and is_error_of_before(episode, observation):
        return episode, ()
    if is_next_run(episode, observation, now, grace):
        ended, last = _ended(episode, now)
        begun, first = _begun(ended, observation, now, grace)
        return begun, (*last, *first)
    return _continued(_noted(episode, observation), observation, now, grace)


def baseline(observation: Observation, now: datetime) -> Episode:
    """The episode when a meeting is first followed: what is under way already is known, and not told."""
    episode, _ = advance(Episode.waiting(now), observation, now, timedelta())
    return episode


def pending_until(episode: Episode, grace: timedelta) -> datetime | None:
    """Return when the next change is announced if the episode stays as it is, or None where that announces nothing."""
    match episode.phase:
        case Phase.INTERRUPTED:
            return episode.phase_since + grace
        case Phase.ERRORED if episode.told is not ChangeKind.ERRORED:
            return (episode.unstable_since or episode.phase_since) + _error_grace(grace)
        case Phase.LIVE if episode.told not in _ON_AIR:
            return episode.phase_since + _back_grace(episode, grace)
    return None


def _error_grace(grace: timedelta) -> timedelta:
    return min(grace, ERROR_GRACE)


def _back_grace(episode: Episode, grace: timedelta) -> timedelta:
    """How long it is live after an error before it is back."""
    doublings: int = 1 << min(episode.relapses, _MOST_DOUBLINGS)
    return min(grace * doublings, max(grace, REPAIR_TIME))


def _begun(ended: Episode, sighting: Sighting, now: datetime, grace: timedelta) -> Step:
    """The episode after one that has ended, at its first sign of life."""
    fresh = Episode(
        number=ended.number + 1,
        phase=Phase.WAITING,
        phase_since=now,
        name=ended.name,
        previous_end=ended.ended_at,
        checked_at=now,
    )
    return _continued(_noted(fresh, sighting), sighting, now, grace)


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
            return _errored(episode, sighting, now, grace)
        case Status.NOT_BROADCASTING:
            return _gone(episode, now, grace)
        case _:  # neither life nor death
            return episode, ()


def _live(episode: Episode, sighting: Sighting, now: datetime, grace: timedelta) -> Step:
    seen_live = seen_live_at(episode, sighting, now, grace)
    began = live_since(episode, sighting, now)
    again = episode.live_since is not None
    episode = _in(Phase.LIVE, episode, now)
    since = min(episode.phase_since, now)
    is_stable = now - since >= _error_grace(grace)
    episode = replace(
        episode,
        phase_since=since,
        live_since=began,
        last_seen_live=seen_live,
        run_started_at=sighting.run_started_at or episode.run_started_at,
        run_stopped_at=None,
        error_reason=None,
        error_since=None,
        unstable_since=None if is_stable else episode.unstable_since,
    )
    if episode.told in _ON_AIR:
        return episode, ()
    if not again:
        return _telling(ChangeKind.LIVE, episode, began, now)
    if now - since < _back_grace(episode, grace):
        return episode, ()
    return _telling(ChangeKind.BACK, episode, since, now)


def _starting(episode: Episode, now: datetime) -> Step:
    """After it was on air, STARTING only says that it is not there; after an error, that the error is being mended."""
    if episode.told is None:
        return _telling(ChangeKind.STARTING, _in(Phase.STARTING, episode, now), now, now)
    if episode.told is ChangeKind.STARTING:
        return _in(Phase.STARTING, episode, now), ()
    return (episode if episode.phase is Phase.ERRORED else _interrupted(episode, now)), ()


def _errored(episode: Episode, sighting: Sighting, now: datetime, grace: timedelta) -> Step:
    episode = replace(
        _in(Phase.ERRORED, episode, now),
        run_started_at=sighting.run_started_at or episode.run_started_at,
        error_reason=sighting.error_reason or episode.error_reason,
        error_since=min(episode.error_since or now, now),
        unstable_since=(unstable_since := min(episode.unstable_since or now, now)),
    )
    if episode.told is ChangeKind.ERRORED or now - unstable_since < _error_grace(grace):
        return episode, ()
    soon = episode.told is ChangeKind.BACK and episode.told_at is not None and now - episode.told_at < REPAIR_TIME
    episode = replace(episode, relapses=episode.relapses + 1 if soon else 0)
    return _telling(ChangeKind.ERRORED, episode, episode.error_since or now, now)


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
    if episode.told is None:
        return _waiting_again(episode, now), ()
    off_air = off_air_at(episode, now)
    ended_at = max(off_air, episode.live_since or off_air)
    episode = replace(_in(Phase.ENDED, episode, now), ended_at=ended_at, playback_url=None)
    return _telling(ChangeKind.ENDED, episode, ended_at, now)


def _waiting_again(episode: Episode, now: datetime) -> Episode:
    """The episode as if it had not begun: nothing of it was announced, so nothing of it can end."""
    return Episode(
        number=episode.number,
        phase=Phase.WAITING,
        phase_since=now,
        name=episode.name,
        previous_end=episode.previous_end,
        checked_at=episode.checked_at,
    )


def _in(phase: Phase, episode: Episode, now: datetime) -> Episode:
    return episode if episode.phase is phase else replace(episode, phase=phase, phase_since=now)


def _telling(kind: ChangeKind, episode: Episode, at: datetime, now: datetime) -> Step:
    episode = replace(episode, told=kind, told_at=now, seq=episode.seq + 1)
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
