"""The observation made from one lookup."""

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


def make_lookup(status: str | None, session: dict[str, Any] | None = None) -> Lookup:
    """Make a lookup from Cloudflare's values; no status means no livestream."""
    livestream = None if status is None else Livestream.model_validate({"status": status, "playback_url": STREAM})
    return Lookup(MEETING, "Keynote", livestream, Session.model_validate(session) if session else None, CHECKED)


def fingerprint(lookup: Lookup) -> str:
    assert lookup.livestream is not None
    return lookup.livestream.fingerprint


def test_live_observation_has_name_playback_url_and_session_start() -> None:
    lookup = make_lookup("LIVE", {"started_time": STARTED.isoformat()})

    assert observation_of(lookup) == Observation(
        Status.LIVE, "LIVE", "Keynote", STREAM, STARTED, livestream=fingerprint(lookup)
    )


def test_errored_observation_has_reason_and_session_times() -> None:
    session = {"started_time": STARTED.isoformat(), "stopped_time": STOPPED.isoformat(), "err_message": "No ingest"}

    lookup = make_lookup("ERRORED", session)

    assert observation_of(lookup) == Observation(
        Status.ERRORED, "ERRORED", "Keynote", None, STARTED, STOPPED, "No ingest", livestream=fingerprint(lookup)
    )


def test_observation_has_the_livestream_id() -> None:
    lookup = make_lookup("LIVE")
    assert lookup.livestream is not None
    named = replace(lookup, livestream=lookup.livestream.model_copy(update={"id": "l1"}))

    assert (observation_of(lookup).livestream_id, observation_of(named).livestream_id) == (None, "l1")


def test_meeting_without_a_livestream_is_not_broadcasting() -> None:
    assert observation_of(make_lookup(None)) == Observation(Status.NOT_BROADCASTING, None, "Keynote")


@pytest.mark.parametrize(
    ("raw_status", "status"),
    [
        ("INVOKED", Status.STARTING),
        ("IDLE", Status.NOT_BROADCASTING),
        ("OFFLINE", Status.NOT_BROADCASTING),
        ("PAUSED", Status.UNKNOWN),
    ],
)
def test_raw_status_is_kept_beside_its_meaning(raw_status: str, status: Status) -> None:
    observation = observation_of(make_lookup(raw_status))

    assert (observation.status, observation.raw_status) == (status, raw_status)


def test_stopped_session_is_ignored_while_live() -> None:
    lookup = make_lookup("LIVE", {"started_time": STARTED.isoformat(), "stopped_time": STOPPED.isoformat()})

    observation = observation_of(lookup)

    assert observation.session_started_at is None
    assert observation.session_stopped_at is None
