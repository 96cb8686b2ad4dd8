"""What one look at a meeting's livestream showed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from bot.domain.observation import Observation, Status
from bot.realtimekit.lookup import Lookup, observation_of
from bot.realtimekit.models import Livestream, Session

MEETING = UUID("50c8940e-1b97-402a-97d6-2708b7feca41")
STREAM = "https://customer-s4ndb0x.cloudflarestream.com/0123456789abcdef0123456789abcdef/manifest/video.m3u8"
STARTED = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
STOPPED = datetime(2026, 6, 3, 10, 20, tzinfo=UTC)
CHECKED = datetime(2026, 6, 3, 10, 25, tzinfo=UTC)


def a_lookup(status: str | None, session: dict[str, Any] | None = None) -> Lookup:
    """A lookup made of what Cloudflare says; no status is no livestream."""
    livestream = None if status is None else Livestream.model_validate({"status": status, "playback_url": STREAM})
    return Lookup(MEETING, "Keynote", livestream, Session.model_validate(session) if session else None, CHECKED)


def fingerprint(lookup: Lookup) -> str:
    assert lookup.livestream is not None
    return lookup.livestream.fingerprint


def test_live() -> None:
    """A livestream that is live is seen with its name, where it plays, and when its run began."""
    lookup = a_lookup("LIVE", {"started_time": STARTED.isoformat()})

    assert observation_of(lookup) == Observation(
        Status.LIVE, "LIVE", "Keynote", STREAM, STARTED, livestream=fingerprint(lookup)
    )


def test_errored() -> None:
    """An error is seen with its reason, and with when its run began and stopped."""
    session = {"started_time": STARTED.isoformat(), "stopped_time": STOPPED.isoformat(), "err_message": "No ingest"}

    lookup = a_lookup("ERRORED", session)

    assert observation_of(lookup) == Observation(
        Status.ERRORED, "ERRORED", "Keynote", None, STARTED, STOPPED, "No ingest", livestream=fingerprint(lookup)
    )


def test_livestream_id() -> None:
    """A livestream is told apart from another one of the same meeting."""
    lookup = a_lookup("LIVE")
    assert lookup.livestream is not None
    named = replace(lookup, livestream=lookup.livestream.model_copy(update={"id": "l1"}))

    assert (observation_of(lookup).livestream_id, observation_of(named).livestream_id) == (None, "l1")


def test_no_livestream() -> None:
    """A meeting without any livestream is not live."""
    assert observation_of(a_lookup(None)) == Observation(Status.NOT_BROADCASTING, None, "Keynote")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("INVOKED", Status.STARTING),
        ("IDLE", Status.NOT_BROADCASTING),
        ("OFFLINE", Status.NOT_BROADCASTING),
        ("PAUSED", Status.UNKNOWN),
    ],
)
def test_word(word: str, status: Status) -> None:
    """The word is kept beside what it means, known or not."""
    observation = observation_of(a_lookup(word))

    assert (observation.status, observation.raw_status) == (status, word)


def test_session_of_the_run_before() -> None:
    """A session that has stopped says nothing about the run that is live."""
    lookup = a_lookup("LIVE", {"started_time": STARTED.isoformat(), "stopped_time": STOPPED.isoformat()})

    observation = observation_of(lookup)

    assert observation.session_started_at is None
    assert observation.session_stopped_at is None
