"""A lookup of one meeting against the sandbox's RealtimeKit, and the requests that it needs."""

import asyncio
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from starlette.types import Receive, Scope, Send

from bot.domain.observation import Observation, Status
from bot.errors import MeetingNotFound, Unreachable
from bot.realtimekit import lookup as lookup_module
from bot.realtimekit.client import RealtimeKitClient
from bot.realtimekit.lookup import Lookup, look_up, observation_of
from bot.realtimekit.models import Livestream, Session
from sandbox.realtimekit import Fault, Shape, seeds
from sandbox.realtimekit import RealtimeKit as Cloudflare
from tests.realtimekit.conftest import Timer, connect

STARTED = datetime(2026, 6, 3, 9, 35, tzinfo=UTC)
STOPPED = datetime(2026, 6, 3, 9, 55, tzinfo=UTC)
NOW = datetime(2100, 6, 3, 10, 0, tzinfo=UTC)
NO_SUCH_MEETING = "00000000-0000-4000-8000-000000000000"
PLAYBACK = "https://example.com/live.m3u8"
SESSION = "active-livestream-session"
BEGUN = {"id": "s1", "started_time": STARTED.isoformat()}
FAILED = {**BEGUN, "stopped_time": STOPPED.isoformat(), "err_message": "no video"}


async def looked_up(kit: RealtimeKitClient, meeting_id: str) -> Lookup:
    return await look_up(kit, UUID(meeting_id), lambda: NOW)


def requests(cloudflare: Cloudflare) -> list[str]:
    """Return the last segment of each requested path."""
    return [call.path.rpartition("/")[2] for call in cloudflare.calls]


def lookup(livestream: dict[str, Any] | None, session: dict[str, Any] | None = None) -> Lookup:
    return Lookup(
        meeting_id=UUID(seeds.LIVE),
        name="Keynote",
        livestream=None if livestream is None else Livestream.model_validate(livestream),
        session=None if session is None else Session.model_validate(session),
        checked_at=NOW,
    )


@pytest.mark.parametrize(
    ("meeting_id", "status", "name", "session"),
    [
        (seeds.LIVE, Status.LIVE, "Launch keynote", True),
        (seeds.UNNAMED, Status.LIVE, "Monthly all-hands", True),
        (seeds.STARTING, Status.STARTING, "Design review", False),
        (seeds.IDLE, Status.NOT_BROADCASTING, "Office hours", False),
        (seeds.OFFLINE, Status.NOT_BROADCASTING, "Customer webinar: getting started", False),
        (seeds.ERRORED, Status.ERRORED, "Board update", True),
        (seeds.UNKNOWN_STATUS, Status.UNKNOWN, "Hack day demos", False),
        (seeds.NEVER_LIVE, Status.NOT_BROADCASTING, "Hiring committee", False),
        (seeds.NULL_DATA, Status.NOT_BROADCASTING, "Support rota handover", False),
    ],
)
async def test_lookup_has_status_and_title_and_requests_a_session_only_for_a_start_or_a_reason(
    cloudflare: Cloudflare, kit: RealtimeKitClient, meeting_id: str, status: Status, name: str, session: bool
) -> None:
    found = await looked_up(kit, meeting_id)

    assert (found.meeting_id, found.status, found.name) == (UUID(meeting_id), status, name)
    assert found.checked_at == NOW
    assert sorted(requests(cloudflare)) == sorted(["active-livestream", meeting_id, *[SESSION] * session])
    assert [secret for secret in cloudflare.secrets if secret in repr(found)] == []


async def test_live_since_comes_from_the_session_not_the_livestream(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    session = cloudflare.meetings[seeds.LIVE].sessions[-1]
    assert session.started_time is not None

    found = await looked_up(kit, seeds.LIVE)

    assert found.live_since is not None
    assert found.live_since.timestamp() == pytest.approx(session.started_time, abs=0.001)
    assert found.livestream is not None
    assert found.livestream.created_at != found.live_since


async def test_error_reason_comes_from_the_session(kit: RealtimeKitClient) -> None:
    found = await looked_up(kit, seeds.ERRORED)

    assert (found.error_reason or "").startswith("Ingest stopped")
    assert found.live_since is None


async def test_lookup_of_a_missing_meeting_raises_meeting_not_found(kit: RealtimeKitClient) -> None:
    with pytest.raises(MeetingNotFound):
        await looked_up(kit, NO_SUCH_MEETING)


async def test_failed_livestream_request_fails_the_lookup(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    cloudflare.fault = Fault.SERVER_ERROR

    with pytest.raises(Unreachable):
        await looked_up(kit, seeds.LIVE)


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.UNAUTHORIZED, Fault.RATE_LIMITED])
async def test_name_and_start_are_left_out_when_their_requests_fail(
    cloudflare: Cloudflare, kit: RealtimeKitClient, fault: Fault
) -> None:
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fail_next(fault, 100)

    found = await looked_up(kit, seeds.UNNAMED)

    assert found.status is Status.LIVE
    assert found.playback_url is not None
    assert (found.name, found.live_since) == (None, None)


async def test_livestream_name_replaces_a_missing_or_unknown_title(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    """A title is unknown when its request fails; a caller that knows the title already then keeps it."""
    cloudflare.change(seeds.LIVE, title="")
    missing = await looked_up(kit, seeds.LIVE)
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fail_next(Fault.SERVER_ERROR, 100)
    unknown = await looked_up(kit, seeds.STARTING)

    assert (missing.name, missing.name_is_certain) == ("launch-week-main-stage", True)
    assert (unknown.name, unknown.name_is_certain) == ("design-review", False)


async def test_last_known_title_replaces_one_that_cannot_be_fetched(cloudflare: Cloudflare, timer: Timer) -> None:
    kit = connect(cloudflare, timer=timer)
    before = await looked_up(kit, seeds.LIVE)
    timer.now += 3600
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fail_next(Fault.SERVER_ERROR, 100)
    after = await looked_up(kit, seeds.LIVE)

    assert before.name == after.name == "Launch keynote"
    assert after.name_is_certain


async def test_name_and_start_are_left_out_when_they_are_late(
    cloudflare: Cloudflare, kit: RealtimeKitClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_module, "_DETAIL_SECONDS", 0.03)
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fault = Fault.HANG

    found = await looked_up(kit, seeds.UNNAMED)

    assert found.status is Status.LIVE
    assert (found.name, found.live_since) == (None, None)


async def test_reason_for_an_incomplete_lookup_is_logged(
    cloudflare: Cloudflare, kit: RealtimeKitClient, log: io.StringIO
) -> None:
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fail_next(Fault.UNAUTHORIZED)

    await looked_up(kit, seeds.LIVE)

    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["error"] for line in lines if line["event"] == "lookup_incomplete"] == [
        "HTTP 401, 10000, Authentication error"
    ]


async def test_meeting_and_session_are_requested_concurrently(cloudflare: Cloudflare) -> None:
    both = asyncio.Barrier(2)

    async def together(scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].endswith("/active-livestream"):
            await both.wait()
        await cloudflare.asgi(scope, receive, send)

    found = await looked_up(connect(cloudflare, together), seeds.UNNAMED)

    assert found.name is not None
    assert found.live_since is not None


async def test_checked_at_is_the_time_of_the_livestream_response(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    requests_by_then: list[int] = []

    def now() -> datetime:
        requests_by_then.append(len(cloudflare.calls))
        return NOW

    await look_up(kit, UUID(seeds.UNNAMED), now)

    assert requests_by_then == [1]


async def test_session_of_a_livestream_without_id_is_not_requested(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    cloudflare.change_livestream(seeds.LIVE, id=None)
    cloudflare.change(seeds.LIVE, shape=Shape.LIST)

    found = await looked_up(kit, seeds.LIVE)

    assert found.live_since is None
    assert requests(cloudflare) == ["active-livestream", seeds.LIVE]


@pytest.mark.parametrize(
    ("status", "session", "since"),
    [
        ("LIVE", BEGUN, STARTED),
        ("LIVE", {**BEGUN, "stopped_time": NOW.isoformat()}, None),
        ("LIVE", {"started_time": None}, None),
        ("LIVE", None, None),
        ("LIVE", {"started_time": "0001-01-01T00:00:00Z"}, None),
        ("LIVE", {"started_time": "2100-06-03T10:00:01Z"}, None),
        ("LIVE", {**BEGUN, "stopped_time": "0001-01-01T00:00:00Z"}, STARTED),
        ("ERRORED", BEGUN, None),
        ("OFFLINE", BEGUN, None),
    ],
)
def test_live_since_is_the_start_of_the_current_session(
    status: str, session: dict[str, Any] | None, since: datetime | None
) -> None:
    assert lookup({"status": status, "created_at": NOW.isoformat()}, session).live_since == since


@pytest.mark.parametrize(
    ("status", "session", "observation"),
    [
        ("LIVE", BEGUN, Observation(Status.LIVE, "LIVE", "Keynote", PLAYBACK, STARTED, session_id="s1")),
        ("LIVE", FAILED, Observation(Status.LIVE, "LIVE", "Keynote", PLAYBACK)),
        ("INVOKED", None, Observation(Status.STARTING, "INVOKED", "Keynote", PLAYBACK)),
        ("PAUSED", None, Observation(Status.UNKNOWN, "PAUSED", "Keynote", PLAYBACK)),
        ("IDLE", None, Observation(Status.NOT_BROADCASTING, "IDLE", "Keynote")),
        ("OFFLINE", None, Observation(Status.NOT_BROADCASTING, "OFFLINE", "Keynote")),
        ("ERRORED", None, Observation(Status.ERRORED, "ERRORED", "Keynote")),
        (
            "ERRORED",
            FAILED,
            Observation(Status.ERRORED, "ERRORED", "Keynote", None, STARTED, STOPPED, "no video", session_id="s1"),
        ),
    ],
)
def test_observation_has_what_a_lookup_found_except_what_cannot_be_current(
    status: str, session: dict[str, Any] | None, observation: Observation
) -> None:
    """Nothing plays off air, an error's reason needs the status, and while live a stopped session is the last one."""
    found = lookup({"id": "l1", "status": status, "playback_url": PLAYBACK}, session)
    assert found.livestream is not None

    assert observation_of(found) == replace(observation, livestream=found.livestream.fingerprint, livestream_id="l1")
    assert (found.playback_url, found.error_reason) == (observation.playback_url, observation.error_reason)


def test_meeting_without_a_livestream_is_not_broadcasting() -> None:
    assert observation_of(lookup(None)) == Observation(Status.NOT_BROADCASTING, None, "Keynote")
    assert lookup(None).playback_url is None
