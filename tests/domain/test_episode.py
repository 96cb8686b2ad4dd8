"""An ended episode is restored from the announcement of its end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.episode import Episode, ended_by
from bot.domain.observation import Observation, Status
from bot.domain.transitions import advance

T0 = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
GRACE = timedelta(seconds=60)


@pytest.mark.parametrize("status", [Status.LIVE, Status.STARTING, Status.ERRORED])
def test_ended_by_restores_the_ended_episode(status: Status) -> None:
    """The result equals the state machine's ended episode."""
    episode = Episode.waiting(T0)
    gone = Observation(Status.NOT_BROADCASTING, name="All hands")
    observation = Observation(status, playback_url="https://example.com/a", error_reason="x")
    for minute, seen in enumerate([observation, observation, gone]):
        episode, _ = advance(episode, seen, T0 + timedelta(minutes=minute), GRACE)

    ended, (change,) = advance(episode, gone, T0 + timedelta(minutes=3), GRACE)

    assert ended_by(episode, change) == ended
    assert ended_by(replace(episode, failed_checks=5), change) == ended
