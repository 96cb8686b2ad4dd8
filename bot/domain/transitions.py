"""The state machine of an episode: `advance` applies an observation to it. No clock, no network, no database.

    waiting ──> starting ──> live ──> interrupted ──> ended
                               └─> errored ─┘

A sign of life begins an episode, in the phase that it shows. The episode is interrupted when it is seen off air,
continues if it comes back, and ends if it is still off air a grace period later (after a gap between checks, one more
has to confirm that); the next sign of life begins the next episode. What is announced depends on what was announced
before, not on the previous phase, so nothing is announced twice.

Errors have a grace period as well, a shorter one: the card shows an error at once, and it is announced once it has
lasted. *Back* is announced when the livestream has been live for the whole grace period again, and for twice as long
after each error that follows soon, so that a flapping livestream does not fill a thread. An episode that ends before
anything was announced, such as a short error, returns to waiting.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.episode import Change, ChangeKind, Episode, Phase
from bot.domain.observation import CheckFailed, CheckResult, Observation, Status
from bot.domain.sessions import (
    ERROR_GRACE,
    ERROR_RECOVERY_WINDOW,
    differ,
    is_error_of_previous,
    is_new_session,
    known_session_id,
    last_live_at,
    live_since,
    seen_off_air,
    starts_new_episode,
    was_watched_off_air,
    went_off_air_at,
)

_MAX_DOUBLINGS = 10
_ON_AIR = (ChangeKind.LIVE, ChangeKind.BACK)

Step = tuple[Episode, tuple[Change, ...]]


def advance(episode: Episode, observation: CheckResult, now: datetime, grace: timedelta) -> Step:
    """Return the episode after this observation, and the changes to announce, in order.

    The changes belong to two episodes if one ends and the next begins. `grace`: how long a livestream may be off air
    before the episode counts as ended.
    """
    if isinstance(observation, CheckFailed):
        return replace(episode, failed_checks=episode.failed_checks + 1), ()
    episode = replace(episode, checked_at=now, failed_checks=0, is_missing=observation.is_missing)
    if episode.phase is Phase.ENDED:
        return (
            _start_next(episode, observation, now, grace) if starts_new_episode(episode, observation) else (episode, ())
        )
    if is_error_of_previous(episode, observation):
        return (episode if episode.phase is Phase.WAITING else _waiting_again(episode, now)), ()
    if is_new_session(episode, observation, now, grace):
        ended, last = _end(episode, now)
        begun, first = _start_next(ended, observation, now, grace)
        return begun, (*last, *first)
    return _advance_phase(_apply_details(episode, observation), observation, now, grace)


def initial(observation: CheckResult, now: datetime) -> Episode:
    """Return the episode when a meeting is first followed; a livestream already under way is not announced."""
    episode, _ = advance(Episode.waiting(now), observation, now, timedelta())
    return episode


def pending_until(episode: Episode, grace: timedelta) -> datetime | None:
    """Return when a pending change is announced if the phase stays the same; None if no change is pending."""
    match episode.phase:
        case Phase.INTERRUPTED:
            end = episode.phase_since + grace
            was_live_before = episode.off_air_again_at
            return end if was_live_before is None else max(end, was_live_before + _error_grace(grace))
        case Phase.ERRORED if episode.last_announced is not ChangeKind.ERRORED:
            return (episode.unstable_since or episode.phase_since) + _error_grace(grace)
        case Phase.LIVE if episode.last_announced not in _ON_AIR:
            return episode.phase_since + _back_grace(episode, grace)
    return None


def _error_grace(grace: timedelta) -> timedelta:
    return min(grace, ERROR_GRACE)


def _back_grace(episode: Episode, grace: timedelta) -> timedelta:
    """Return how long the livestream must be live after an error before *back* is announced."""
    doublings: int = 1 << min(episode.relapses, _MAX_DOUBLINGS)
    return min(grace * doublings, max(grace, ERROR_RECOVERY_WINDOW))


def _start_next(ended: Episode, observation: Observation, now: datetime, grace: timedelta) -> Step:
    """Begin the next episode at its first sign of life."""
    fresh = Episode(
        number=ended.number + 1,
        phase=Phase.WAITING,
        phase_since=now,
        name=ended.name,
        previous_end=ended.ended_at,
        previous_session_id=ended.session_id,
        previous_session_started_at=ended.session_started_at,
        checked_at=now,
    )
    return _advance_phase(_apply_details(fresh, observation), observation, now, grace)


def _apply_details(episode: Episode, observation: Observation) -> Episode:
    if differ(episode.livestream_id, observation.livestream_id):
        # Another livestream does not inherit the previous one's URL or error. An end keeps the reason of the error
        # before it.
        is_off_air = observation.status is Status.NOT_BROADCASTING
        episode = replace(episode, playback_url=None, error_reason=episode.error_reason if is_off_air else None)
    if differ(episode.session_id, observation.session_id):
        # The reason of this session's error may come later than the error.
        episode = replace(episode, error_reason=None)
    return replace(
        episode,
        name=(observation.name if observation.name_is_certain else None) or episode.name or observation.name,
        playback_url=observation.playback_url or episode.playback_url,
        raw_status=(observation.raw_status or "") if observation.status is Status.UNKNOWN else None,
        session_stopped_at=observation.session_stopped_at or episode.session_stopped_at,
        livestream=observation.livestream,
        livestream_id=observation.livestream_id or episode.livestream_id,
        session_id=known_session_id(episode, observation),
    )


def _advance_phase(episode: Episode, observation: Observation, now: datetime, grace: timedelta) -> Step:
    match observation.status:
        case Status.LIVE:
            return _on_live(episode, observation, now, grace)
        case Status.STARTING:
            return _on_starting(episode, now, grace)
        case Status.ERRORED:
            return _on_errored(episode, observation, now, grace)
        case Status.NOT_BROADCASTING:
            return _on_off_air(episode, now, grace)
        case _:  # an unknown status changes nothing
            return episode, ()


def _on_live(episode: Episode, observation: Observation, now: datetime, grace: timedelta) -> Step:
    seen_live = last_live_at(episode, observation, now, grace)
    on_air_since = live_since(episode, observation, now)
    was_live_before = episode.live_since is not None
    episode = _with_phase(Phase.LIVE, episode, now)
    since = min(episode.phase_since, now)
    is_stable = now - since >= _error_grace(grace)
    episode = replace(
        episode,
        phase_since=since,
        live_since=on_air_since,
        last_seen_live=seen_live,
        session_started_at=observation.session_started_at or episode.session_started_at,
        session_stopped_at=None,
        error_reason=None,
        error_since=None,
        unstable_since=None if is_stable else episode.unstable_since,
    )
    if episode.last_announced in _ON_AIR:
        return episode, ()
    if not was_live_before:
        return _emit(ChangeKind.LIVE, episode, on_air_since, now)
    if now - since < _back_grace(episode, grace):
        return episode, ()
    return _emit(ChangeKind.BACK, episode, since, now)


def _on_starting(episode: Episode, now: datetime, grace: timedelta) -> Step:
    """Apply STARTING, which means off air for an episode that was on air, and recovering for one that had failed."""
    if episode.last_announced is None:
        return _emit(ChangeKind.STARTING, _with_phase(Phase.STARTING, episode, now), now, now)
    if episode.last_announced is ChangeKind.STARTING:
        return _with_phase(Phase.STARTING, episode, now), ()
    return (episode if episode.phase is Phase.ERRORED else _interrupt(episode, now, grace)), ()


def _on_errored(episode: Episode, observation: Observation, now: datetime, grace: timedelta) -> Step:
    episode = replace(
        _with_phase(Phase.ERRORED, episode, now),
        session_started_at=observation.session_started_at or episode.session_started_at,
        error_reason=observation.error_reason or episode.error_reason,
        error_since=min(episode.error_since or now, now),
        unstable_since=(unstable_since := min(episode.unstable_since or now, now)),
    )
    if episode.last_announced is ChangeKind.ERRORED or now - unstable_since < _error_grace(grace):
        return episode, ()
    is_relapse = (
        episode.last_announced is ChangeKind.BACK
        and episode.announced_at is not None
        and now - episode.announced_at < ERROR_RECOVERY_WINDOW
    )
    episode = replace(episode, relapses=episode.relapses + 1 if is_relapse else 0)
    return _emit(ChangeKind.ERRORED, episode, episode.error_since or now, now)


def _on_off_air(episode: Episode, now: datetime, grace: timedelta) -> Step:
    if episode.phase is Phase.WAITING:
        return episode, ()
    is_over = episode.phase is Phase.INTERRUPTED and now - episode.phase_since >= grace
    if is_over and was_watched_off_air(episode, now, grace):
        return _end(episode, now)
    return _interrupt(episode, now, grace), ()


def _interrupt(episode: Episode, now: datetime, grace: timedelta) -> Episode:
    """Mark the episode as off air since a check first saw it so."""
    return seen_off_air(_with_phase(Phase.INTERRUPTED, episode, now), now, grace)


def _end(episode: Episode, now: datetime) -> Step:
    if episode.last_announced is None:
        return _waiting_again(episode, now), ()
    off_air = went_off_air_at(episode, now)
    ended_at = max(off_air, episode.live_since or off_air)
    episode = replace(_with_phase(Phase.ENDED, episode, now), ended_at=ended_at, playback_url=None)
    return _emit(ChangeKind.ENDED, episode, ended_at, now)


def _waiting_again(episode: Episode, now: datetime) -> Episode:
    """Return the episode to waiting: nothing was announced, so there is no end to announce."""
    return Episode(
        number=episode.number,
        phase=Phase.WAITING,
        phase_since=now,
        name=episode.name,
        previous_end=episode.previous_end,
        previous_session_id=episode.previous_session_id,
        previous_session_started_at=episode.previous_session_started_at,
        checked_at=episode.checked_at,
    )


def _with_phase(phase: Phase, episode: Episode, now: datetime) -> Episode:
    if episode.phase is phase:
        return episode
    return replace(episode, phase=phase, phase_since=now, off_air_seen_at=None, off_air_again_at=None)


def _emit(kind: ChangeKind, episode: Episode, at: datetime, now: datetime) -> Step:
    episode = replace(episode, last_announced=kind, announced_at=now, seq=episode.seq + 1)
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
