"""A lookup of one meeting against the sandbox's RealtimeKit, and the requests that it needs."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.domain.observation import Status
from bot.errors import MeetingNotFound, Unreachable
from bot.realtimekit import lookup as lookup_module
from bot.realtimekit.client import RealtimeKitClient, open_http
from bot.realtimekit.lookup import Lookup, look_up
from bot.realtimekit.models import Livestream, Session
from bot.uvicorn_server import listen, serving
from sandbox.realtimekit import Fault, Shape, seeds
from sandbox.realtimekit import RealtimeKit as Cloudflare

STARTED = datetime(2026, 6, 3, 9, 35, tzinfo=UTC)
NOW = datetime(2100, 6, 3, 10, 0, tzinfo=UTC)
NO_SUCH_MEETING = UUID("00000000-0000-4000-8000-000000000000")
PLAYBACK = "https://example.com/live.m3u8"


@contextlib.asynccontextmanager
async def opened(cloudflare: Cloudflare, asgi: ASGIApp, **options: Any) -> AsyncIterator[RealtimeKitClient]:
    async with serving(asgi, listen(), drain_seconds=1) as url:
        http = open_http(f"{url}/client/v4", cloudflare.api_token)
        kit = RealtimeKitClient(http, account_id=cloudflare.account_id, app_id=cloudflare.app_id, **options)
        try:
            yield kit
        finally:
            await kit.close()


@pytest.fixture
async def kit(cloudflare: Cloudflare) -> AsyncIterator[RealtimeKitClient]:
    async with opened(cloudflare, cloudflare.asgi) as kit:
        yield kit


async def looked_up(kit: RealtimeKitClient, meeting_id: str) -> Lookup:
    return await look_up(kit, UUID(meeting_id), lambda: NOW)


def requests(cloudflare: Cloudflare) -> list[str]:
    """The last segment of each requested path."""
    return [call.path.rpartition("/")[2] for call in cloudflare.calls]


def lookup(livestream: dict[str, Any] | None, session: dict[str, Any] | None = None) -> Lookup:
    return Lookup(
        meeting_id=UUID(seeds.LIVE),
        name=None,
        livestream=None if livestream is None else Livestream.model_validate(livestream),
        session=None if session is None else Session.model_validate(session),
        checked_at=NOW,
    )


@pytest.mark.parametrize(
    ("meeting_id", "status", "name"),
    [
        (seeds.LIVE, Status.LIVE, "Launch keynote"),
        (seeds.UNNAMED, Status.LIVE, "Monthly all-hands"),
        (seeds.STARTING, Status.STARTING, "Design review"),
        (seeds.IDLE, Status.NOT_BROADCASTING, "Office hours"),
        (seeds.OFFLINE, Status.NOT_BROADCASTING, "Customer webinar: getting started"),
        (seeds.ERRORED, Status.ERRORED, "Board update"),
        (seeds.UNKNOWN_STATUS, Status.UNKNOWN, "Hack day demos"),
        (seeds.NEVER_LIVE, Status.NOT_BROADCASTING, "Hiring committee"),
        (seeds.NULL_DATA, Status.NOT_BROADCASTING, "Support rota handover"),
    ],
)
async def test_lookup_has_the_status_and_title_of_every_seeded_meeting(
    kit: RealtimeKitClient, meeting_id: str, status: Status, name: str
) -> None:
    found = await looked_up(kit, meeting_id)

    assert (found.meeting_id, found.status, found.name) == (UUID(meeting_id), status, name)
    assert found.checked_at == NOW


@pytest.mark.parametrize(
    ("meeting_id", "expected"),
    [
        (seeds.LIVE, ["active-livestream", "active-livestream-session", seeds.LIVE]),
        (seeds.UNNAMED, ["active-livestream", "active-livestream-session", seeds.UNNAMED]),
        (seeds.STARTING, ["active-livestream", seeds.STARTING]),
        (seeds.IDLE, ["active-livestream", seeds.IDLE]),
        (seeds.ERRORED, ["active-livestream", "active-livestream-session", seeds.ERRORED]),
        (seeds.UNKNOWN_STATUS, ["active-livestream", seeds.UNKNOWN_STATUS]),
        (seeds.NEVER_LIVE, ["active-livestream", seeds.NEVER_LIVE]),
    ],
)
async def test_session_is_requested_only_for_a_start_or_an_error_reason(
    cloudflare: Cloudflare, kit: RealtimeKitClient, meeting_id: str, expected: list[str]
) -> None:
    await looked_up(kit, meeting_id)

    assert sorted(requests(cloudflare)) == sorted(expected)


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
        await look_up(kit, NO_SUCH_MEETING, lambda: NOW)


async def test_failed_livestream_request_fails_the_lookup(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    cloudflare.fault = Fault.SERVER_ERROR

    with pytest.raises(Unreachable):
        await looked_up(kit, seeds.LIVE)


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.UNAUTHORIZED, Fault.RATE_LIMITED, Fault.HTML, Fault.HALF])
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


async def test_last_known_title_replaces_one_that_cannot_be_fetched(cloudflare: Cloudflare) -> None:
    seconds = 1_000.0
    async with opened(cloudflare, cloudflare.asgi, timer=lambda: seconds) as kit:
        before = await looked_up(kit, seeds.LIVE)
        seconds += 3600
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

    async with opened(cloudflare, together) as kit:
        found = await looked_up(kit, seeds.UNNAMED)

    assert found.name is not None
    assert found.live_since is not None


async def test_concurrent_lookups_of_one_meeting_share_their_requests(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    cloudflare.latency = 0.02

    found = await asyncio.gather(*(looked_up(kit, seeds.UNNAMED) for _ in range(100)))

    assert len(cloudflare.calls) == 3
    assert {each.name for each in found} == {"Monthly all-hands"}


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
    ("status", "shown"),
    [("LIVE", True), ("INVOKED", True), ("PAUSED", True), ("IDLE", False), ("OFFLINE", False), ("ERRORED", False)],
)
def test_playback_url_is_hidden_when_nothing_plays(status: str, shown: bool) -> None:
    found = lookup({"status": status, "playback_url": PLAYBACK})

    assert found.playback_url == (PLAYBACK if shown else None)


def test_playback_url_is_none_without_an_address_or_livestream() -> None:
    assert lookup({"status": "LIVE"}).playback_url is None
    assert lookup(None).playback_url is None


@pytest.mark.parametrize(
    ("status", "session", "since"),
    [
        ("LIVE", {"started_time": STARTED.isoformat()}, STARTED),
        ("LIVE", {"started_time": STARTED.isoformat(), "stopped_time": NOW.isoformat()}, None),
        ("LIVE", {"started_time": None}, None),
        ("LIVE", None, None),
        ("LIVE", {"started_time": "0001-01-01T00:00:00Z"}, None),
        ("LIVE", {"started_time": "2100-06-03T10:00:01Z"}, None),
        ("LIVE", {"started_time": STARTED.isoformat(), "stopped_time": "0001-01-01T00:00:00Z"}, STARTED),
        ("ERRORED", {"started_time": STARTED.isoformat()}, None),
        ("OFFLINE", {"started_time": STARTED.isoformat()}, None),
    ],
)
def test_live_since_is_the_start_of_the_current_session(
    status: str, session: dict[str, Any] | None, since: datetime | None
) -> None:
    assert lookup({"status": status, "created_at": NOW.isoformat()}, session).live_since == since


@pytest.mark.parametrize(
    ("status", "session", "reason"),
    [
        ("ERRORED", {"err_message": "no video"}, "no video"),
        ("ERRORED", None, None),
        ("LIVE", {"err_message": "no video"}, None),
    ],
)
def test_error_reason_needs_the_errored_status(status: str, session: dict[str, Any] | None, reason: str | None) -> None:
    assert lookup({"status": status}, session).error_reason == reason


@pytest.mark.parametrize("meeting_id", [seed.id for seed in seeds.SEEDS])
async def test_lookup_contains_no_stream_key_or_ingest_server(
    cloudflare: Cloudflare, kit: RealtimeKitClient, meeting_id: str
) -> None:
    shown = repr(await looked_up(kit, meeting_id))

    assert [secret for secret in cloudflare.secrets if secret in shown] == []
