"""The list of livestreams over real sockets, and how Cloudflare's rate limit affects every request."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from bot.domain.observation import Status
from bot.errors import AuthenticationFailed, InvalidResponse, RateLimited, Unreachable
from bot.realtimekit.client import RealtimeKitClient, open_http
from bot.realtimekit.http import HttpClient
from bot.realtimekit.models import Livestream
from bot.realtimekit.rate_limit import RateLimitState
from bot.realtimekit.responses import LivestreamPage
from bot.uvicorn_server import listen, serving
from sandbox.clock import Clock
from sandbox.realtimekit import Fault, ListShape, seeds
from sandbox.realtimekit import RealtimeKit as Cloudflare

LIVE = UUID(seeds.LIVE)


@pytest.fixture
def clock() -> Clock:
    return Clock(speed=0)


@pytest.fixture
def rate_limit(clock: Clock) -> RateLimitState:
    return RateLimitState(clock.now)


@pytest.fixture
async def kit(cloudflare: Cloudflare, rate_limit: RateLimitState) -> AsyncIterator[RealtimeKitClient]:
    async with serving(cloudflare.asgi, listen(), drain_seconds=1) as url:
        http = open_http(f"{url}/client/v4", cloudflare.api_token)
        kit = RealtimeKitClient(http, account_id=cloudflare.account_id, app_id=cloudflare.app_id, rate_limit=rate_limit)
        yield kit
        await kit.close()


def live_meetings(cloudflare: Cloudflare) -> set[str]:
    livestreams = [meeting.livestream for meeting in cloudflare.meetings.values()]
    return {livestream.meeting_id for livestream in livestreams if livestream and livestream.status == "LIVE"}


# The list


async def test_one_page_lists_every_livestream_of_the_status_with_its_meeting(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    page = await kit.livestreams("LIVE", 1)

    assert {livestream.meeting_id for livestream in page.livestreams} == live_meetings(cloudflare)
    assert {livestream.status for livestream in page.livestreams} == {Status.LIVE}
    assert not page.more
    assert cloudflare.calls[-1].path.endswith("/livestreams?status=LIVE&page_no=1&per_page=100")


@pytest.mark.parametrize("shape", [ListShape.ARRAY, ListShape.OBJECT])
async def test_pages_list_every_livestream_once(
    cloudflare: Cloudflare, kit: RealtimeKitClient, shape: ListShape
) -> None:
    cloudflare.list_shape = shape
    pages = [await kit.livestreams("LIVE", 1, 1)]
    while pages[-1].more:
        pages.append(await kit.livestreams("LIVE", len(pages) + 1, 1))

    found = [livestream.meeting_id for page in pages for livestream in page.livestreams]
    assert len(found) == len(pages) > 1
    assert set(found) == live_meetings(cloudflare)


@pytest.mark.parametrize("shape", [ListShape.ARRAY, ListShape.OBJECT])
async def test_status_without_livestreams_gives_an_empty_page(
    cloudflare: Cloudflare, kit: RealtimeKitClient, shape: ListShape
) -> None:
    cloudflare.list_shape = shape

    assert await kit.livestreams("NO_SUCH_STATUS", 1) == LivestreamPage((), more=False)


@pytest.mark.parametrize("shape", [ListShape.OBJECT, ListShape.UNKNOWN])
async def test_list_with_omissions_or_an_unknown_shape_is_an_invalid_response(
    cloudflare: Cloudflare, kit: RealtimeKitClient, shape: ListShape
) -> None:
    cloudflare.list_shape = shape

    with pytest.raises(InvalidResponse):
        await kit.livestreams("LIVE", 1)


async def test_404_is_not_an_empty_list() -> None:
    """An empty list would mean that no meeting is live."""
    body = {"success": False, "error": {"code": 404, "message": "not found"}}
    answers = httpx.MockTransport(lambda request: httpx.Response(404, json=body))
    kit = RealtimeKitClient(HttpClient(answers, "http://peer"), account_id="a", app_id="b")

    with pytest.raises(InvalidResponse, match="404 for a list"):
        await kit.livestreams("LIVE", 1)
    await kit.close()


@pytest.fixture
async def client_answering() -> AsyncIterator[Callable[[Any], RealtimeKitClient]]:
    """Return a function that makes a client for a RealtimeKit whose every response has the given payload."""
    kits: list[RealtimeKitClient] = []

    def make(data: Any) -> RealtimeKitClient:
        answers = httpx.MockTransport(lambda request: httpx.Response(200, json={"success": True, "data": data}))
        kits.append(RealtimeKitClient(HttpClient(answers, "http://peer"), account_id="a", app_id="b"))
        return kits[-1]

    yield make
    for kit in kits:
        await kit.close()


@pytest.mark.parametrize("junk", [None, "2", [], 7])
async def test_unreadable_items_are_skipped_and_make_the_page_incomplete(
    client_answering: Callable[[Any], RealtimeKitClient], junk: Any
) -> None:
    with capture_logs() as logs:
        page = await client_answering([junk, {"id": "1"}, junk, {"id": "3"}]).livestreams("LIVE", 1)

    assert [each.id for each in page.livestreams] == ["1", "3"]
    assert not page.is_complete
    assert [(each["event"], each["unreadable"]) for each in logs] == [("livestreams_left_out", 2)]


async def test_readable_page_is_complete(client_answering: Callable[[Any], RealtimeKitClient]) -> None:
    assert (await client_answering([{"id": "1"}]).livestreams("LIVE", 1)).is_complete
    assert (await client_answering([]).livestreams("LIVE", 1)).is_complete


async def test_page_without_any_readable_item_is_an_invalid_response(
    client_answering: Callable[[Any], RealtimeKitClient],
) -> None:
    with pytest.raises(InvalidResponse, match="not an object"):
        await client_answering([None, "2"]).livestreams("LIVE", 1)


async def test_livestream_created_in_the_future_is_not_chosen_for_that(
    client_answering: Callable[[Any], RealtimeKitClient],
) -> None:
    times = {"future": "9000-01-01T00:00:00Z", "placeholder": "2001-01-01T00:00:00Z", "current": "2026-06-03T10:00:00Z"}
    both = [{"id": name, "status": "LIVE", "created_at": time} for name, time in times.items()]
    found = await client_answering(both).active_livestream(LIVE)

    assert isinstance(found, Livestream)
    assert found.id == "current"
    assert found.also_live == {"future", "placeholder"}


async def test_unreadable_items_do_not_hide_a_meetings_livestream(
    client_answering: Callable[[Any], RealtimeKitClient],
) -> None:
    found = await client_answering([None, {"id": "1", "status": "LIVE", "meeting_id": str(LIVE)}]).active_livestream(
        LIVE
    )

    assert isinstance(found, Livestream)
    assert (found.id, found.status) == ("1", Status.LIVE)
    with pytest.raises(InvalidResponse, match="not an object"):
        await client_answering([None]).active_livestream(LIVE)


async def test_authentication_failure_of_the_list_is_raised(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    cloudflare.fault = Fault.UNAUTHORIZED

    with pytest.raises(AuthenticationFailed):
        await kit.livestreams("LIVE", 1)


async def test_page_contains_no_stream_key_or_ingest_server(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    page = await kit.livestreams("LIVE", 1)

    shown = f"{page!r} {[livestream.model_dump_json() for livestream in page.livestreams]}"
    assert [secret for secret in cloudflare.secrets if secret in shown] == []


# The rate limit


async def test_no_request_is_sent_until_retry_after_has_passed(
    cloudflare: Cloudflare, kit: RealtimeKitClient, clock: Clock
) -> None:
    cloudflare.retry_after = 300
    cloudflare.fail_next(Fault.RATE_LIMITED)
    with pytest.raises(RateLimited):
        await kit.active_livestream(LIVE)
    clock.advance(100)

    with pytest.raises(RateLimited) as refused:
        await kit.livestreams("LIVE", 1)
    requests = len(cloudflare.calls)
    clock.advance(200)
    await kit.active_livestream(LIVE)

    assert refused.value.retry_after == 200
    assert (requests, len(cloudflare.calls)) == (1, 2)


async def test_request_waits_out_a_short_rate_limit(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    cloudflare.retry_after = 0
    cloudflare.fail_next(Fault.RATE_LIMITED)

    await kit.active_livestream(LIVE)

    assert [call.status for call in cloudflare.calls] == [429, 200]


async def test_exhausted_rate_limit_reports_the_time_until_its_refill(
    cloudflare: Cloudflare, kit: RealtimeKitClient, rate_limit: RateLimitState
) -> None:
    """A lookup may use the last request; only checks wait."""
    cloudflare.budget = 2
    await kit.active_livestream(LIVE)
    before = rate_limit.retry_after()
    await kit.active_livestream(LIVE)

    assert (before, rate_limit.retry_after()) == (0, 300)


async def test_server_error_starts_no_cooldown(
    cloudflare: Cloudflare, kit: RealtimeKitClient, rate_limit: RateLimitState
) -> None:
    cloudflare.fault = Fault.HTML

    with pytest.raises(Unreachable):
        await kit.active_livestream(LIVE)

    assert rate_limit.retry_after() == 0
