"""Rules that say which session an observation belongs to, and when that session was on air.

Whether a session is the next one depends on when it began, and not every answer says that. Its ID, where Cloudflare
sends one, tells two sessions apart. The bot's clock may jump or disagree with Cloudflare's, so a session never counts
as starting in the future.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.episode import ChangeKind, Episode, Phase
from bot.domain.observation import Observation, Status

ERROR_RECOVERY_WINDOW = timedelta(minutes=15)
"""A new session this soon after an error continues the episode; a later one begins the next, with its own card."""
ERROR_GRACE = timedelta(seconds=15)
"""How long an error lasts before it is announced, unless the grace period is shorter."""
_MAX_CHECK_DELAY = timedelta(seconds=5)
"""How late the check at the end of the grace period may be."""


def starts_new_episode(ended: Episode, observation: Observation) -> bool:
    """Return whether the observation begins a new episode after one that has ended.

    LIVE always does, even in the session that just ended: two checks a grace period apart confirmed the end, so a stale
    cache is less likely than an encoder reconnecting. A false "live" is corrected a grace period later, while a
    livestream mistaken for a stale answer would never be announced. ERRORED in that session does not, nor does it
    without a session, which Cloudflare may fail to return: it may keep reporting the error after the session is over.
    """
    match observation.status:
        case Status.LIVE | Status.STARTING:
            return True
        case Status.ERRORED:
            last = (ended.session_id, ended.session_started_at, ended.ended_at)
            return not _belongs_to_previous(observation.session_id, observation.session_started_at, *last)
        case _:
            return False


def is_error_of_previous(episode: Episode, observation: Observation) -> bool:
    """Return whether this is an error of the previous episode, and the current one has announced nothing yet."""
    if observation.status is not Status.ERRORED or episode.last_announced is not None:
        return False
    session_start = observation.session_started_at or episode.session_started_at
    last = (episode.previous_session_id, episode.previous_session_started_at, episode.previous_end)
    return _belongs_to_previous(observation.session_id, session_start, *last)


def _belongs_to_previous(
    session_id: str | None,
    session_start: datetime | None,
    last_session_id: str | None,
    last_session_start: datetime | None,
    end: datetime | None,
) -> bool:
    """Return whether an error belongs to the session that ended.

    An unknown session counts as that one, unless that one is unknown as well. A session that failed before it went on
    air has no start; its ID tells it apart.
    """
    if session_start is None:
        return last_session_start is not None and not differ(last_session_id, session_id)
    return session_start == last_session_start or _is_before(end, session_start)


def is_new_session(episode: Episode, observation: Observation, now: datetime, grace: timedelta) -> bool:
    """Return whether this is a new episode's session, and no check saw the end of the current episode.

    An unknown session or the known one is not new, however long ago the last successful check was. Neither is one that
    began within the grace period (after an error, within ERROR_RECOVERY_WINDOW), because viewers see the same
    broadcast, nor that of another livestream while the known one is still on air.
    """
    if episode.last_announced is None or episode.phase not in (Phase.LIVE, Phase.INTERRUPTED, Phase.ERRORED):
        return False
    off_air = _off_air_from(episode)
    max_gap = ERROR_RECOVERY_WINDOW if episode.phase is Phase.ERRORED else grace
    session_start = observation.session_started_at
    match observation.status:
        case Status.STARTING:
            was_off_air = episode.phase is not Phase.LIVE and episode.last_announced is not ChangeKind.STARTING
            is_watched = episode.phase is not Phase.INTERRUPTED or was_watched_off_air(episode, now, grace)
            return was_off_air and now - off_air >= max_gap and is_watched
        case Status.LIVE if episode.livestream_id in observation.also_live:
            return False
        case Status.LIVE | Status.ERRORED:
            is_known = observation.session_id is not None and observation.session_id == episode.session_id
            is_other = not is_known and session_start is not None and session_start != episode.session_started_at
            return is_other and min(session_start or now, now) - off_air > max_gap
        case _:
            return False


def known_session_id(episode: Episode, observation: Observation) -> str | None:
    """Return the ID of the episode's session after this observation.

    While the start of another session that is live is unknown (on a slow clock it is in the future at first), that
    session may be the next episode's. So its ID is not the episode's yet.
    """
    is_unknown = observation.session_started_at is None and episode.session_started_at is not None
    if observation.session_id is None or (is_unknown and observation.status is Status.LIVE):
        return episode.session_id
    return observation.session_id


def differ(known: str | None, seen: str | None) -> bool:
    """Return whether two IDs are known and not the same."""
    return None not in (known, seen) and known != seen


def seen_off_air(episode: Episode, now: datetime, grace: timedelta) -> Episode:
    """Return an interrupted episode after another check saw it off air.

    If the clock is set back by an hour, that delays the end by one grace period, not by an hour.
    """
    again = episode.off_air_again_at
    if again is None and _is_after_gap(episode, now, grace):
        again = now
    return replace(
        episode,
        phase_since=min(episode.phase_since, now),
        off_air_seen_at=now,
        off_air_again_at=again and min(again, now),
    )


def was_watched_off_air(episode: Episode, now: datetime, grace: timedelta) -> bool:
    """Return whether the checks before this one suffice for an end.

    During a gap longer than the grace period (no check succeeded, or the clock jumped), the livestream may have been on
    air. So another check some seconds later has to see it off air as well.
    """
    again = episode.off_air_again_at
    if again is None:
        return not _is_after_gap(episode, now, grace)
    return now - again >= min(grace, ERROR_GRACE)


def _is_after_gap(episode: Episode, now: datetime, grace: timedelta) -> bool:
    return episode.off_air_seen_at is not None and now - episode.off_air_seen_at > grace + _MAX_CHECK_DELAY


def _off_air_from(episode: Episode) -> datetime:
    """Return the earliest time at which the livestream may have been off air."""
    seen_live = episode.last_seen_live if episode.phase is Phase.LIVE else None
    return seen_live or episode.phase_since


def last_live_at(episode: Episode, observation: Observation, now: datetime, grace: timedelta) -> datetime:
    """Return when the episode's session was last certainly on air, given an observation of LIVE.

    If checks failed for longer than the grace period and the answer does not contain the session, it may be the next
    one. In that case this returns the earlier time, which decides once the session is known.
    """
    last = episode.last_seen_live
    unknown = observation.session_started_at is None and episode.session_started_at is not None
    could_be_next = episode.phase in (Phase.LIVE, Phase.INTERRUPTED) and now - _off_air_from(episode) > grace
    return last if last is not None and unknown and could_be_next else now


def live_since(episode: Episode, observation: Observation, now: datetime) -> datetime:
    """Return when the episode went on air: its session's start, or when it was first seen live.

    A session's start that is known only later is adopted, unless it is before the previous episode's end: that part of
    the session belongs to the previous episode.
    """
    seen, session_start = episode.live_since or now, observation.session_started_at
    if session_start is None or _is_before(episode.previous_end, session_start):
        return seen
    return min(session_start, seen) if episode.live_since is None or episode.session_started_at is None else seen


def went_off_air_at(episode: Episode, now: datetime) -> datetime:
    """Return when the episode went off air: Cloudflare's time if it fits the observations, or when it was seen off air.

    After an error, or if no check saw the end, this is the time at which the livestream was last seen live.
    """
    interrupted = episode.phase is Phase.INTERRUPTED
    seen_gone = episode.phase_since if interrupted else now
    last, stopped = episode.last_seen_live, episode.session_stopped_at
    if last is None:
        return episode.phase_since
    if stopped is not None and last <= stopped <= seen_gone:
        return stopped
    return seen_gone if interrupted and episode.error_since is None else last


def _is_before(end: datetime | None, session_start: datetime) -> bool:
    """Return whether the session began by the end of the previous episode, if there was one."""
    return end is not None and session_start <= end
