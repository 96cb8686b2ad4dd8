"""The list of livestreams, asked over real sockets, and what Cloudflare's own count does to every question."""

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
def cloudflare(clock: Clock) -> Cloudflare:
    cloudflare = Cloudflare(clock)
    cloudflare.seed()
    return cloudflare


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


async def test_all_on_one_page(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """Every livestream of the status that was asked for, with the meeting that it belongs to."""
    page = await kit.livestreams("LIVE", 1)

    assert {livestream.meeting_id for livestream in page.livestreams} == live_meetings(cloudflare)
    assert {livestream.status for livestream in page.livestreams} == {Status.LIVE}
    assert not page.more
    assert cloudflare.calls[-1].path.endswith("/livestreams?status=LIVE&page_no=1&per_page=100")


@pytest.mark.parametrize("shape", [ListShape.ARRAY, ListShape.OBJECT])
async def test_page_by_page(cloudflare: Cloudflare, kit: RealtimeKitClient, shape: ListShape) -> None:
    """In both forms the pages lead to every livestream once, and then to an end."""
    cloudflare.list_shape = shape
    pages = [await kit.livestreams("LIVE", 1, 1)]
    while pages[-1].more:
        pages.append(await kit.livestreams("LIVE", len(pages) + 1, 1))

    found = [livestream.meeting_id for page in pages for livestream in page.livestreams]
    assert len(found) == len(pages) > 1
    assert set(found) == live_meetings(cloudflare)


@pytest.mark.parametrize("shape", [ListShape.ARRAY, ListShape.OBJECT])
async def test_none(cloudflare: Cloudflare, kit: RealtimeKitClient, shape: ListShape) -> None:
    """Where there is none, the page is empty, in either form."""
    cloudflare.list_shape = shape

    assert await kit.livestreams("NO_SUCH_STATUS", 1) == LivestreamPage((), more=False)


@pytest.mark.parametrize("shape", [ListShape.OBJECT, ListShape.UNKNOWN])
async def test_incomplete(cloudflare: Cloudflare, kit: RealtimeKitClient, shape: ListShape) -> None:
    """A list that leaves livestreams out, or has a form of its own, is never taken for a whole one."""
    cloudflare.list_shape = shape

    with pytest.raises(InvalidResponse):
        await kit.livestreams("LIVE", 1)


async def test_no_list_there() -> None:
    """A 404 is no empty list: what asks for it would believe that nothing is live."""
    body = {"success": False, "error": {"code": 404, "message": "not found"}}
    answers = httpx.MockTransport(lambda request: httpx.Response(404, json=body))
    kit = RealtimeKitClient(HttpClient(answers, "http://peer"), account_id="a", app_id="b")

    with pytest.raises(InvalidResponse, match="404 for a list"):
        await kit.livestreams("LIVE", 1)
    await kit.close()


@pytest.fixture
async def answering() -> AsyncIterator[Callable[[Any], RealtimeKitClient]]:
    """Make a client for a RealtimeKit whose every answer has this payload."""
    kits: list[RealtimeKitClient] = []

    def make(data: Any) -> RealtimeKitClient:
        answers = httpx.MockTransport(lambda request: httpx.Response(200, json={"success": True, "data": data}))
        kits.append(RealtimeKitClient(HttpClient(answers, "http://peer"), account_id="a", app_id="b"))
        return kits[-1]

    yield make
    for kit in kits:
        await kit.close()


@pytest.mark.parametrize("junk", [None, "2", [], 7])
async def test_item_that_is_no_livestream(answering: Callable[[Any], RealtimeKitClient], junk: Any) -> None:
    """It is left out, and logged once; the page is not complete, so that an absence from it means nothing."""
    with capture_logs() as logs:
        page = await answering([junk, {"id": "1"}, junk, {"id": "3"}]).livestreams("LIVE", 1)

    assert [each.id for each in page.livestreams] == ["1", "3"]
    assert not page.is_complete
    assert [(each["event"], each["unreadable"]) for each in logs] == [("livestreams_left_out", 2)]


async def test_a_page_that_can_be_read_is_whole(answering: Callable[[Any], RealtimeKitClient]) -> None:
    assert (await answering([{"id": "1"}]).livestreams("LIVE", 1)).is_complete
    assert (await answering([]).livestreams("LIVE", 1)).is_complete


async def test_a_page_of_which_nothing_can_be_read(answering: Callable[[Any], RealtimeKitClient]) -> None:
    with pytest.raises(InvalidResponse, match="not an object"):
        await answering([None, "2"]).livestreams("LIVE", 1)


async def test_a_meeting_s_livestreams_without_what_is_none(answering: Callable[[Any], RealtimeKitClient]) -> None:
    """The same goes for a meeting's own livestreams: who is live is not hidden by an entry that nobody can read."""
    found = await answering([None, {"id": "1", "status": "LIVE", "meeting_id": str(LIVE)}]).active_livestream(LIVE)

    assert isinstance(found, Livestream)
    assert (found.id, found.status) == ("1", Status.LIVE)
    with pytest.raises(InvalidResponse, match="not an object"):
        await answering([None]).active_livestream(LIVE)


async def test_refused(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """It fails as every other question does."""
    cloudflare.fault = Fault.UNAUTHORIZED

    with pytest.raises(AuthenticationFailed):
        await kit.livestreams("LIVE", 1)


async def test_no_secret(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """No stream key and no ingest server is in a page."""
    page = await kit.livestreams("LIVE", 1)

    told = f"{page!r} {[livestream.model_dump_json() for livestream in page.livestreams]}"
    assert [secret for secret in cloudflare.secrets if secret in told] == []


# Cloudflare's count


async def test_not_asked_while_refused(cloudflare: Cloudflare, kit: RealtimeKitClient, clock: Clock) -> None:
    """Until the wait that Cloudflare asked for is over nothing is sent, whatever is asked, and then it is again."""
    cloudflare.retry_after = 300
    cloudflare.fail_next(Fault.RATE_LIMITED)
    with pytest.raises(RateLimited):
        await kit.active_livestream(LIVE)
    clock.advance(100)

    with pytest.raises(RateLimited) as refused:
        await kit.livestreams("LIVE", 1)
    asked = len(cloudflare.calls)
    clock.advance(200)
    await kit.active_livestream(LIVE)

    assert refused.value.retry_after == 200
    assert (asked, len(cloudflare.calls)) == (1, 2)


async def test_a_short_wait_is_sat_out(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """A wait of no more than two seconds keeps nobody from being answered."""
    cloudflare.retry_after = 0
    cloudflare.fail_next(Fault.RATE_LIMITED)

    await kit.active_livestream(LIVE)

    assert [call.status for call in cloudflare.calls] == [429, 200]


async def test_what_is_left_is_noted(
    cloudflare: Cloudflare, kit: RealtimeKitClient, rate_limit: RateLimitState
) -> None:
    """People are still answered with the last of the budget, and whoever can wait is told for how long."""
    cloudflare.budget = 2
    await kit.active_livestream(LIVE)
    before = rate_limit.retry_after()
    await kit.active_livestream(LIVE)

    assert (before, rate_limit.retry_after()) == (0, 300)


async def test_a_server_error_is_no_refusal(
    cloudflare: Cloudflare, kit: RealtimeKitClient, rate_limit: RateLimitState
) -> None:
    """Only a 429 keeps others from asking."""
    cloudflare.fault = Fault.HTML

    with pytest.raises(Unreachable):
        await kit.active_livestream(LIVE)

    assert rate_limit.retry_after() == 0
