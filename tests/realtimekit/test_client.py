"""RealtimeKitClient over real sockets: against the sandbox, and against responses that the sandbox can't give."""

import asyncio
import contextlib
import dataclasses
import gzip
import json
import traceback
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, TypeAlias
from uuid import UUID

import httpx
import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from bot.domain.observation import Status
from bot.errors import (
    AuthenticationFailed,
    InvalidResponse,
    MeetingNotFound,
    RateLimited,
    RealtimeKitError,
    ServerError,
    Unreachable,
)
from bot.livestream_sources import open_realtimekit
from bot.realtimekit import client as client_module
from bot.realtimekit.client import RealtimeKitClient, open_http
from bot.realtimekit.http import HttpClient
from bot.realtimekit.models import Livestream, NotLive, Session
from bot.realtimekit.rate_limit import RateLimitState
from bot.uvicorn_server import listen, serving, url_of
from sandbox.realtimekit import AfterEnd, Fault, Shape, seeds
from sandbox.realtimekit import RealtimeKit as Cloudflare
from tests.conftest import World
from tests.strategies import json_values

LIVE = UUID(seeds.LIVE)
NEVER_LIVE = UUID(seeds.NEVER_LIVE)
NO_SUCH_MEETING = UUID("00000000-0000-4000-8000-000000000000")
STREAM_KEY = "sk-f1e2d3c4b5a6"
INGEST = "rtmps://ingest.example.com:443/live/0a1b2c"
FOUR_MIB = 4 * 1024 * 1024
ATTEMPTS = 3

Opened: TypeAlias = contextlib.AbstractAsyncContextManager[RealtimeKitClient]


@pytest.fixture
async def url(cloudflare: Cloudflare) -> AsyncIterator[str]:
    async with serving(cloudflare.asgi, listen(), drain_seconds=1) as url:
        yield url


@pytest.fixture
async def kit(cloudflare: Cloudflare, url: str) -> AsyncIterator[RealtimeKitClient]:
    async with opened(cloudflare, url) as kit:
        yield kit


@contextlib.asynccontextmanager
async def opened_at(url: str, token: str, **options: Any) -> AsyncIterator[RealtimeKitClient]:
    """Open a client for any server."""
    kit = RealtimeKitClient(open_http(f"{url}/client/v4/", token), **options)
    try:
        yield kit
    finally:
        await kit.close()


def opened(cloudflare: Cloudflare, url: str, **options: Any) -> Opened:
    """Open a client for the sandbox's app, or with the access in the options."""
    access = {"token": cloudflare.api_token, "account_id": cloudflare.account_id, "app_id": cloudflare.app_id}
    return opened_at(url, **{**access, **options})


class Server:
    """A server that sends the same bytes to every request, HTTP or not, and closes the connection."""

    def __init__(self, response: bytes, *, forever: bool = False) -> None:
        self.response = response
        self.forever = forever
        self.requests: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.response)
            while self.forever:
                writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                await writer.drain()
            await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[RealtimeKitClient]:
        """Open a client for this server."""
        sock = listen()
        access = {"token": "token-of-the-test", "account_id": "account", "app_id": "app"}
        server = await asyncio.start_server(self.answer, sock=sock)
        async with server, opened_at(url_of(sock), **{**access, **options}) as kit:
            yield kit


def http_answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


def success(data: Any) -> bytes:
    return json.dumps({"success": True, "data": data}).encode()


def requested_paths(cloudflare: Cloudflare) -> list[str]:
    """Return the paths of all requests, without everything up to the app's ID."""
    return [call.path.split(f"/{cloudflare.app_id}")[1] for call in cloudflare.calls]


def assign_to_meeting(cloudflare: Cloudflare, meeting_id: str | None) -> None:
    """Set the meeting ID that the live livestream carries."""
    livestream = cloudflare.meetings[seeds.LIVE].livestream
    assert livestream is not None
    other = dataclasses.replace(livestream, meeting_id=meeting_id)  # type: ignore[arg-type]
    cloudflare.change(seeds.LIVE, livestream=other)


# The active livestream


@pytest.mark.parametrize(
    ("meeting_id", "status", "name"),
    [
        (seeds.LIVE, Status.LIVE, "launch-week-main-stage"),
        (seeds.UNNAMED, Status.LIVE, None),
        (seeds.STARTING, Status.STARTING, "design-review"),
        (seeds.IDLE, Status.NOT_BROADCASTING, None),
        (seeds.OFFLINE, Status.NOT_BROADCASTING, "getting-started"),
        (seeds.ERRORED, Status.ERRORED, None),
        (seeds.UNKNOWN_STATUS, Status.UNKNOWN, "hack-day"),
        (seeds.AS_LIST, Status.LIVE, "product-tour"),
        (seeds.UNDER_RESULT, Status.LIVE, "quarterly-results"),
        (seeds.NO_PLAYBACK, Status.LIVE, "rehearsal"),
    ],
)
async def test_active_livestream_is_parsed_in_every_status_and_shape(
    kit: RealtimeKitClient, meeting_id: str, status: Status, name: str | None
) -> None:
    livestream = await kit.active_livestream(UUID(meeting_id))

    assert isinstance(livestream, Livestream)
    assert (livestream.status, livestream.name) == (status, name)


@pytest.mark.parametrize("shape", [Shape.OBJECT, Shape.NULL, Shape.EMPTY_OBJECT, Shape.EMPTY_LIST])
async def test_every_empty_payload_means_not_live(cloudflare: Cloudflare, kit: RealtimeKitClient, shape: Shape) -> None:
    cloudflare.change(seeds.NEVER_LIVE, shape=shape)

    answer = await kit.active_livestream(NEVER_LIVE)

    assert isinstance(answer, NotLive)
    assert answer.meeting.title == "Hiring committee"


async def test_404_after_a_livestream_ended_means_not_live(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    cloudflare.end(seeds.LIVE, AfterEnd.NOT_FOUND)

    assert isinstance(await kit.active_livestream(LIVE), NotLive)


async def test_404_for_the_livestream_and_its_meeting_raises_meeting_not_found(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    with pytest.raises(MeetingNotFound):
        await kit.active_livestream(NO_SUCH_MEETING)

    assert requested_paths(cloudflare) == [
        f"/meetings/{NO_SUCH_MEETING}/active-livestream",
        f"/meetings/{NO_SUCH_MEETING}",
    ]


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.SERVER_ERROR, Unreachable), (Fault.UNAUTHORIZED, AuthenticationFailed), (Fault.RATE_LIMITED, RateLimited)],
)
async def test_404_is_no_result_when_the_meeting_request_fails(
    cloudflare: Cloudflare, kit: RealtimeKitClient, fault: Fault, error: type[RealtimeKitError]
) -> None:
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fail_next(fault, ATTEMPTS)

    with pytest.raises(error):
        await kit.active_livestream(NEVER_LIVE)


async def test_200_with_success_false_is_an_error(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    cloudflare.change(seeds.LIVE, shape=Shape.UNSUCCESSFUL)

    with pytest.raises(Unreachable):
        await kit.active_livestream(LIVE)


@pytest.mark.parametrize("shape", [Shape.OBJECT, Shape.LIST, Shape.RESULT])
async def test_livestream_of_another_meeting_is_an_invalid_response(
    cloudflare: Cloudflare, kit: RealtimeKitClient, shape: Shape
) -> None:
    cloudflare.change(seeds.LIVE, shape=shape)
    assign_to_meeting(cloudflare, seeds.UNNAMED)

    with pytest.raises(InvalidResponse, match="another meeting"):
        await kit.active_livestream(LIVE)


@pytest.mark.parametrize("meeting_id", [seeds.LIVE.upper(), None])
async def test_livestream_without_a_meeting_id_or_with_one_in_capitals_is_accepted(
    cloudflare: Cloudflare, kit: RealtimeKitClient, meeting_id: str | None
) -> None:
    assign_to_meeting(cloudflare, meeting_id)

    assert isinstance(await kit.active_livestream(LIVE), Livestream)


@pytest.mark.parametrize(
    ("statuses", "chosen"),
    [
        (["IDLE", "LIVE", "ERRORED"], "LIVE"),
        (["OFFLINE", "INVOKED"], "INVOKED"),
        (["IDLE", "ERRORED"], "ERRORED"),
        (["IDLE", "PAUSED"], "PAUSED"),
        (["PAUSED", "ERRORED"], "ERRORED"),
    ],
)
async def test_most_active_of_several_livestreams_is_returned(statuses: list[str], chosen: str) -> None:
    server = Server(http_answer(success([{"status": status, "meeting_id": seeds.LIVE} for status in statuses])))

    async with server.client() as kit:
        answer = await kit.active_livestream(LIVE)

    assert isinstance(answer, Livestream)
    assert answer.raw_status == chosen


async def test_livestreams_of_other_meetings_are_ignored() -> None:
    livestreams = [{"status": "LIVE", "meeting_id": seeds.UNNAMED}, {"status": "IDLE", "meeting_id": seeds.LIVE}]

    async with Server(http_answer(success(livestreams))).client() as kit:
        answer = await kit.active_livestream(LIVE)

    assert isinstance(answer, Livestream)
    assert answer.status is Status.NOT_BROADCASTING


@pytest.mark.parametrize("data", ["text", 7, True, 0, "", False, ["text"], [None], [[]]])
async def test_payload_that_is_not_an_object_is_an_invalid_response(data: Any) -> None:
    async with Server(http_answer(success(data))).client() as kit:
        with pytest.raises(InvalidResponse, match="Livestream: not an object"):
            await kit.active_livestream(LIVE)


# The meeting


async def test_meeting_has_its_title(kit: RealtimeKitClient) -> None:
    assert (await kit.meeting(LIVE)).title == "Launch keynote"


async def test_meeting_is_cached_for_45_seconds(cloudflare: Cloudflare, url: str) -> None:
    seconds = 1_000.0
    async with opened(cloudflare, url, timer=lambda: seconds) as kit:
        await kit.meeting(LIVE)
        cloudflare.change(seeds.LIVE, title="Other")

        seconds += 44
        cached = await kit.meeting(LIVE)
        seconds += 2
        fetched = await kit.meeting(LIVE)

    assert (cached.title, fetched.title) == ("Launch keynote", "Other")
    assert len(cloudflare.calls) == 2


async def test_least_recently_requested_meeting_is_evicted_from_a_full_cache(
    cloudflare: Cloudflare, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_MEETING_CACHE_SIZE", 2)
    first, second, third = (UUID(known) for known in (seeds.LIVE, seeds.UNNAMED, seeds.IDLE))

    async with opened(cloudflare, url) as kit:
        for meeting_id in (first, second, third, third, second, first):
            await kit.meeting(meeting_id)

    assert requested_paths(cloudflare) == [f"/meetings/{meeting_id}" for meeting_id in (first, second, third, first)]


async def test_missing_meeting_is_not_cached(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    with pytest.raises(MeetingNotFound):
        await kit.meeting(NO_SUCH_MEETING)

    cloudflare.add_meeting("New", str(NO_SUCH_MEETING))

    assert (await kit.meeting(NO_SUCH_MEETING)).title == "New"


async def test_response_about_another_meeting_is_rejected_and_not_cached(cloudflare: Cloudflare) -> None:
    async with Server(http_answer(success({"id": seeds.UNNAMED, "title": "Other"}))).client() as kit:
        for _ in range(2):
            with pytest.raises(InvalidResponse, match="another meeting"):
                await kit.meeting(LIVE)


async def test_error_for_an_unreadable_meeting_names_the_field_without_its_value() -> None:
    async with Server(http_answer(success({"id": STREAM_KEY}))).client() as kit:
        with pytest.raises(InvalidResponse) as raised:
            await kit.meeting(LIVE)

    assert raised.value.detail == "Meeting: id"
    assert STREAM_KEY not in "".join(traceback.format_exception(raised.value))


# The session


async def session_of(cloudflare: Cloudflare, kit: RealtimeKitClient, meeting_id: str) -> Session | None:
    livestream = cloudflare.meetings[meeting_id].livestream
    assert livestream is not None
    return await kit.active_session(livestream.id)


async def test_active_session_has_its_start(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    session = await session_of(cloudflare, kit, seeds.LIVE)

    assert session is not None
    assert session.started_time is not None
    assert session.stopped_time is None


async def test_failed_session_has_its_error_message(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    session = await session_of(cloudflare, kit, seeds.ERRORED)

    assert session is not None
    assert (session.err_message or "").startswith("Ingest stopped")


async def test_unknown_livestream_has_no_session(kit: RealtimeKitClient) -> None:
    assert await kit.active_session(str(NO_SUCH_MEETING)) is None


@pytest.mark.parametrize("data", [{"session": None}, {"session": {}}, {"livestream": {}}, [], ["x"], "x", None])
async def test_payload_without_a_session_means_no_session(data: Any) -> None:
    async with Server(http_answer(success(data))).client() as kit:
        assert await kit.active_session("1") is None


async def test_session_that_is_not_an_object_is_an_invalid_response() -> None:
    async with Server(http_answer(success({"session": "x"}))).client() as kit:
        with pytest.raises(InvalidResponse, match="Session: not an object"):
            await kit.active_session("1")


# Access


async def test_access_check_requests_a_list_of_one_meeting(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    await kit.check_access()

    assert requested_paths(cloudflare) == ["/meetings?per_page=1"]


@pytest.mark.parametrize("wrong", ["token", "account_id", "app_id"])
async def test_wrong_token_account_or_app_fails_authentication_without_a_retry(
    cloudflare: Cloudflare, url: str, wrong: str
) -> None:
    async with opened(cloudflare, url, **{wrong: "another"}) as kit:
        for request in (kit.check_access(), kit.active_livestream(LIVE), kit.meeting(LIVE)):
            with pytest.raises(AuthenticationFailed):
                await request

    assert len(cloudflare.calls) == 3


async def test_request_has_the_token_accept_header_and_path() -> None:
    server = Server(http_answer(success(None)))

    async with server.client() as kit:
        await kit.check_access()

    head = server.requests[0].decode()
    assert head.startswith("GET /client/v4/accounts/account/realtime/kit/app/meetings?per_page=1 HTTP/1.1\r\n")
    assert "\r\nauthorization: Bearer token-of-the-test\r\n" in head
    assert "\r\naccept: application/json\r\n" in head


@pytest.mark.parametrize(
    ("livestream_id", "segment"),
    [
        ("d231d346-c422-43a6-a324-c0d65b79c8a7", "d231d346-c422-43a6-a324-c0d65b79c8a7"),
        ("../meetings", "..%2Fmeetings"),
        ("a/b?c#d&e", "a%2Fb%3Fc%23d&e"),
        ("a b\r\nX: y", "a%20b%0D%0AX:%20y"),
        ("%2e%2e", "%252e%252e"),
        ("é", "%C3%A9"),
        ("\ud800", "%3F"),
    ],
)
async def test_livestream_id_is_quoted_as_one_path_segment(livestream_id: str, segment: str) -> None:
    server = Server(http_answer(success(None)))

    async with server.client() as kit:
        await kit.active_session(livestream_id)

    path = server.requests[0].split(b" ")[1].decode()
    assert path.endswith(f"/app/livestreams/{segment}/active-livestream-session")


@pytest.mark.parametrize("livestream_id", ["", ".", ".."])
async def test_livestream_id_of_dots_is_not_requested(livestream_id: str) -> None:
    """Quoting does not keep dots from being read as a parent folder."""
    server = Server(http_answer(success(None)))

    async with server.client() as kit:
        assert await kit.active_session(livestream_id) is None

    assert server.requests == []


async def test_account_id_and_app_id_are_quoted() -> None:
    server = Server(http_answer(success(None)))

    async with server.client(account_id="a/b", app_id="c?d") as kit:
        await kit.check_access()

    assert b"/accounts/a%2Fb/realtime/kit/c%3Fd/meetings" in server.requests[0]


def test_timeouts_leave_time_for_a_retry_and_repr_hides_the_token() -> None:
    http = open_http("https://api.example.com", "token-of-the-test")

    assert http.timeout == httpx.Timeout(3.5, connect=2)
    assert "token-of-the-test" not in f"{http!r} {vars(http)}"


# Failures


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML, Fault.DROP, Fault.HALF])
async def test_transient_failure_is_retried(cloudflare: Cloudflare, kit: RealtimeKitClient, fault: Fault) -> None:
    cloudflare.fail_next(fault, ATTEMPTS - 1)

    assert isinstance(await kit.active_livestream(LIVE), Livestream)


async def test_retry_caller_is_created_only_after_a_failure(
    cloudflare: Cloudflare, kit: RealtimeKitClient, mocker: MockerFixture
) -> None:
    """Creating one costs as much time as a request."""
    created = mocker.spy(stamina, "AsyncRetryingCaller")

    await kit.active_livestream(LIVE)
    assert created.call_count == 0

    cloudflare.fail_next(Fault.SERVER_ERROR, 1)
    await kit.active_livestream(LIVE)
    assert created.call_count == 1


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML, Fault.DROP, Fault.HALF])
async def test_persistent_failure_is_raised_after_three_attempts(
    cloudflare: Cloudflare, url: str, fault: Fault, mocker: MockerFixture
) -> None:
    cloudflare.fault = fault
    on_call = mocker.stub()

    async with opened(cloudflare, url, on_call=on_call) as kit:
        with pytest.raises(Unreachable):
            await kit.active_livestream(LIVE)

    assert on_call.call_count == ATTEMPTS


async def test_refused_connection_raises_unreachable() -> None:
    with listen() as sock:
        nowhere = url_of(sock)

    async with opened_at(nowhere, "token", account_id="a", app_id="b") as kit:
        with pytest.raises(Unreachable, match="ClientConnectorError"):
            await kit.meeting(LIVE)


async def test_request_is_retried_after_a_short_rate_limit(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    cloudflare.retry_after = 2
    cloudflare.fail_next(Fault.RATE_LIMITED)

    assert isinstance(await kit.active_livestream(LIVE), Livestream)
    assert [call.status for call in cloudflare.calls] == [429, 200]


async def test_retry_waits_for_the_seconds_in_retry_after(
    cloudflare: Cloudflare, kit: RealtimeKitClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def shortened(seconds: float) -> None:
        slept.append(seconds)
        await sleep(min(seconds, 0.02))

    monkeypatch.setattr(asyncio, "sleep", shortened)
    cloudflare.retry_after = 2
    cloudflare.fail_next(Fault.RATE_LIMITED)

    with stamina.set_testing(False):
        await kit.active_livestream(LIVE)

    assert 2.0 in slept


async def test_persistent_short_rate_limit_is_raised_after_three_attempts(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    cloudflare.fault, cloudflare.retry_after = Fault.RATE_LIMITED, 1

    with pytest.raises(RateLimited):
        await kit.active_livestream(LIVE)

    assert len(cloudflare.calls) == ATTEMPTS


@pytest.mark.parametrize(("retry_after", "seconds"), [(3, 3), (30, 30), (300, 300), (3_600, 300), (None, 60)])
async def test_long_rate_limit_is_raised_at_once_capped_at_five_minutes(
    cloudflare: Cloudflare, kit: RealtimeKitClient, retry_after: int | None, seconds: float
) -> None:
    """Cloudflare's window is five minutes; without a header the wait is a minute."""
    cloudflare.fault, cloudflare.retry_after = Fault.RATE_LIMITED, retry_after

    with pytest.raises(RateLimited) as raised:
        await kit.active_livestream(LIVE)

    assert raised.value.retry_after == seconds
    assert len(cloudflare.calls) == 1


async def test_retry_after_may_be_a_date() -> None:
    server = Server(
        http_answer(b"<html>", "retry-after: Fri, 31 Dec 2100 23:59:59 GMT", status="429 Too Many Requests")
    )

    async with server.client() as kit:
        with pytest.raises(RateLimited) as raised:
            await kit.active_livestream(LIVE)

    assert raised.value.retry_after == 300


async def test_requests_resume_five_minutes_after_a_429_with_a_longer_retry_after(
    cloudflare: Cloudflare, url: str
) -> None:
    now = 1_000.0
    cloudflare.retry_after = 3_600
    cloudflare.fail_next(Fault.RATE_LIMITED)

    async with opened(cloudflare, url, rate_limit=RateLimitState(lambda: now)) as kit:
        with pytest.raises(RateLimited):
            await kit.active_livestream(LIVE)
        now += 290
        with pytest.raises(RateLimited):
            await kit.active_livestream(LIVE)
        now += 10
        assert isinstance(await kit.active_livestream(LIVE), Livestream)

    assert [call.status for call in cloudflare.calls] == [429, 200]


async def test_hanging_request_times_out_at_the_deadline(cloudflare: Cloudflare, url: str) -> None:
    cloudflare.fault = Fault.HANG

    async with opened(cloudflare, url, answer_seconds=0.05) as kit:
        with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
            await kit.active_livestream(LIVE)


async def test_attempts_share_one_deadline(cloudflare: Cloudflare, url: str) -> None:
    cloudflare.fault, cloudflare.latency = Fault.SERVER_ERROR, 0.04

    async with opened(cloudflare, url, answer_seconds=0.06) as kit:
        with pytest.raises(Unreachable, match="no answer within"):
            await kit.active_livestream(LIVE)


async def test_livestream_and_meeting_requests_share_one_deadline(
    cloudflare: Cloudflare, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    now = 0.0
    monkeypatch.setattr(client_module, "time", SimpleNamespace(monotonic=lambda: now))
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fail_next(Fault.HANG)

    def on_call(endpoint: str, outcome: str, _: float) -> None:
        nonlocal now
        now = 59.95  # when the first response arrives
        calls.append((endpoint, outcome))

    async with opened(cloudflare, url, answer_seconds=60, on_call=on_call) as kit:
        with pytest.raises(Unreachable):
            await kit.active_livestream(NEVER_LIVE)
        assert calls == [("active_livestream", "ok")]


# Malformed HTTP


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"", Unreachable),
        (b"garbage\r\n\r\n", Unreachable),
        (b"\x16\x03\x01\x02\x00\x01", Unreachable),
        (b"HTTP/1.1 200 \xff\xfe\r\ncontent-length: 2\r\n\r\n{}", Unreachable),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n", Unreachable),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}", Unreachable),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{}", Unreachable),
        (http_answer(b"no gzip", "content-encoding: gzip"), Unreachable),
        (http_answer(gzip.compress(success({}))[:-12], "content-encoding: gzip"), InvalidResponse),
        (http_answer(b"{}", "content-encoding: rot13"), InvalidResponse),
        (http_answer(b"{}", "set-cookie: \xff=\xfe; =", "content-type: \xff"), InvalidResponse),
        (http_answer(b"\xff\xfe\x00", "content-type: application/json; charset=nonsense"), InvalidResponse),
        (http_answer(status="204 No Content"), InvalidResponse),
        (http_answer(status="302 Found"), InvalidResponse),
        (http_answer(b"", "location: http://[::1", status="302 Found"), InvalidResponse),
        (http_answer(status="999 Beyond"), ServerError),
    ],
)
async def test_malformed_http_raises_a_realtimekit_error(response: bytes, error: type[RealtimeKitError]) -> None:
    async with Server(response).client() as kit:
        with pytest.raises(RealtimeKitError) as raised:
            await kit.active_livestream(LIVE)

    assert type(raised.value) is error


async def test_redirects_are_not_followed(cloudflare: Cloudflare, url: str) -> None:
    """A redirect would carry the token to another server."""
    body = success({"status": "LIVE"})
    server = Server(http_answer(body, f"location: {url}/client/v4/elsewhere", status="307 Temporary Redirect"))

    async with server.client() as kit:
        with pytest.raises(InvalidResponse):
            await kit.active_livestream(LIVE)

    assert len(server.requests) == 1
    assert list(cloudflare.calls) == []


async def test_compressed_response_is_read() -> None:
    async with Server(
        http_answer(gzip.compress(success({"status": "LIVE"})), "content-encoding: gzip")
    ).client() as kit:
        assert isinstance(await kit.active_livestream(LIVE), Livestream)


async def test_response_of_4_mib_is_read_and_a_longer_one_is_rejected() -> None:
    body = success({"status": "LIVE"})

    async with Server(http_answer(body.ljust(FOUR_MIB))).client() as kit:
        assert isinstance(await kit.active_livestream(LIVE), Livestream)
    async with Server(http_answer(body.ljust(FOUR_MIB + 1))).client() as kit:
        with pytest.raises(InvalidResponse, match="more than 4194304 bytes"):
            await kit.active_livestream(LIVE)


async def test_endless_response_is_aborted_at_4_mib() -> None:
    async with Server(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", forever=True).client() as kit:
        with pytest.raises(InvalidResponse, match="more than 4194304 bytes"):
            await kit.active_livestream(LIVE)


async def test_response_size_is_limited_after_decompression() -> None:
    packed = gzip.compress(b" " * (2 * FOUR_MIB))
    assert len(packed) < 10_000

    async with Server(http_answer(packed, "content-encoding: gzip")).client() as kit:
        with pytest.raises(InvalidResponse, match="more than 4194304 bytes"):
            await kit.active_livestream(LIVE)


# Requests in flight are shared


async def test_concurrent_requests_for_one_meeting_share_one_response(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    cloudflare.latency = 0.02

    answers = await asyncio.gather(*(kit.active_livestream(LIVE) for _ in range(50)))

    assert len(cloudflare.calls) == 1
    assert {answer for answer in answers if isinstance(answer, Livestream)} == {answers[0]}


async def test_concurrent_requests_for_two_meetings_are_separate(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    cloudflare.latency = 0.02

    live, starting = await asyncio.gather(kit.active_livestream(LIVE), kit.active_livestream(UUID(seeds.STARTING)))

    assert isinstance(live, Livestream)
    assert isinstance(starting, Livestream)
    assert (live.status, starting.status) == (Status.LIVE, Status.STARTING)


async def test_livestream_is_not_cached(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    await kit.active_livestream(LIVE)
    cloudflare.drop(seeds.LIVE)

    answer = await kit.active_livestream(LIVE)

    assert isinstance(answer, Livestream)
    assert answer.status is Status.NOT_BROADCASTING


async def test_cancelled_caller_does_not_cancel_the_shared_request(
    cloudflare: Cloudflare, kit: RealtimeKitClient
) -> None:
    cloudflare.latency = 0.03
    waiting = [asyncio.create_task(kit.active_livestream(LIVE)) for _ in range(5)]
    await asyncio.sleep(0.01)

    waiting[0].cancel()
    answers = await asyncio.gather(*waiting[1:])

    assert len(cloudflare.calls) == 1
    assert all(isinstance(answer, Livestream) for answer in answers)


async def test_concurrent_callers_share_an_error(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    cloudflare.latency, cloudflare.fault = 0.02, Fault.UNAUTHORIZED

    outcomes = await asyncio.gather(*(kit.active_livestream(LIVE) for _ in range(5)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [AuthenticationFailed] * 5
    assert len(cloudflare.calls) == 1


# The on_call hook


async def test_on_call_receives_endpoint_outcome_and_duration_of_each_attempt(
    cloudflare: Cloudflare, url: str, mocker: MockerFixture
) -> None:
    on_call = mocker.stub()
    cloudflare.fail_next(Fault.SERVER_ERROR)

    async with opened(cloudflare, url, on_call=on_call) as kit:
        await kit.active_livestream(NEVER_LIVE)
        await kit.active_session(str(NO_SUCH_MEETING))
        await kit.check_access()

    assert [call.args[:2] for call in on_call.call_args_list] == [
        ("active_livestream", "server_error"),
        ("active_livestream", "ok"),
        ("meeting", "ok"),
        ("active_session", "ok"),
        ("meetings", "ok"),
    ]
    assert all(0 <= call.args[2] < 10 for call in on_call.call_args_list)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(Fault.UNAUTHORIZED, "authentication_failed"), (Fault.RATE_LIMITED, "rate_limited"), (Fault.HTML, "server_error")],
)
async def test_on_call_receives_the_error_code_of_a_failed_request(
    cloudflare: Cloudflare, url: str, mocker: MockerFixture, fault: Fault, outcome: str
) -> None:
    on_call = mocker.stub()
    cloudflare.fault = fault

    async with opened(cloudflare, url, on_call=on_call) as kit:
        with pytest.raises(RealtimeKitError):
            await kit.meeting(LIVE)

    assert {call.args[:2] for call in on_call.call_args_list} == {("meeting", outcome)}


async def test_on_call_receives_a_timeout_at_the_deadline(
    cloudflare: Cloudflare, url: str, mocker: MockerFixture
) -> None:
    on_call = mocker.stub()
    cloudflare.fault = Fault.HANG

    async with opened(cloudflare, url, on_call=on_call, answer_seconds=0.05) as kit:
        with pytest.raises(Unreachable):
            await kit.meeting(LIVE)

    assert [call.args[:2] for call in on_call.call_args_list] == [("meeting", "timeout")]


async def test_on_call_is_optional(kit: RealtimeKitClient) -> None:
    await kit.check_access()


# Closing


async def test_close_cancels_requests_in_flight(cloudflare: Cloudflare, url: str) -> None:
    cloudflare.fault = Fault.HANG
    async with opened(cloudflare, url) as kit:
        waiting = [asyncio.create_task(request) for request in (kit.active_livestream(LIVE), kit.meeting(LIVE))]
        await asyncio.sleep(0.02)

        await kit.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2


async def test_unused_client_can_be_closed() -> None:
    await RealtimeKitClient(open_http("http://127.0.0.1:1", "token"), account_id="a", app_id="b").close()


# Secrets


@pytest.mark.parametrize("meeting_id", [seed.id for seed in seeds.SEEDS])
async def test_livestream_contains_no_stream_key_or_ingest_server(
    cloudflare: Cloudflare, kit: RealtimeKitClient, meeting_id: str
) -> None:
    answer = await kit.active_livestream(UUID(meeting_id))

    shown = f"{answer!r} {answer} {answer.model_dump()} {answer.model_dump_json()} {vars(answer)}"
    assert [secret for secret in cloudflare.secrets if secret in shown] == []


SECRETS = {"stream_key": STREAM_KEY, "ingest_server": INGEST}
JSON = json_values(st.just(SECRETS))
LIVESTREAMS = st.fixed_dictionaries(
    {key: st.just(secret) for key, secret in SECRETS.items()},
    optional={
        "id": st.just(seeds.LIVE) | st.sampled_from([".", "..", "a/b", "\ud800"]) | JSON,
        "meeting_id": st.just(seeds.LIVE) | JSON,
        "status": st.sampled_from(["LIVE", "ERRORED", "IDLE"]) | JSON,
        "name": JSON,
        "title": JSON,
        "playback_url": JSON,
        "created_at": JSON,
        "session": JSON,
    },
)
DATA = LIVESTREAMS | st.lists(LIVESTREAMS, max_size=3) | JSON
ERROR = st.fixed_dictionaries({}, optional={"code": st.sampled_from([404, 429, 10000]) | JSON, "message": JSON})
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "success": st.booleans(),
        "data": DATA,
        "result": DATA,
        "error": ERROR | JSON,
        "errors": st.lists(ERROR, max_size=2) | JSON,
    },
)
BODIES = st.binary() | (ENVELOPES | JSON).map(lambda value: json.dumps(value).encode())


@settings(deadline=None)
@given(
    status=st.sampled_from([200, 404]) | st.integers(100, 999),
    body=BODIES,
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "content-encoding", "content-type", "location"]),
        st.sampled_from(["gzip", "deflate", "1", "soon", "text/html"]) | st.binary(max_size=5),
    ),
)
async def test_any_response_gives_a_value_or_a_realtimekit_error_without_secrets(
    status: int, body: bytes, headers: dict[str, Any]
) -> None:
    answers = httpx.MockTransport(
        lambda request: httpx.Response(status, headers=headers, stream=httpx.ByteStream(body), request=request)
    )
    kit = RealtimeKitClient(HttpClient(answers, "http://server"), account_id="a", app_id="b")

    for request in (kit.active_livestream(LIVE), kit.meeting(LIVE), kit.active_session("1"), kit.check_access()):
        try:
            answer = await request
            shown = f"{answer!r} {answer} {answer.model_dump_json() if answer else ''}"
        except RealtimeKitError as error:
            shown = f"{error!r} {error} {error.sentence} {''.join(traceback.format_exception(error))}"
        assert STREAM_KEY not in shown
        assert INGEST not in shown

    await kit.close()


async def test_requests_go_through_the_configured_proxy(world: World) -> None:
    requests: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(proxy, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        kit = open_realtimekit(world.settings(https_proxy=f"http://127.0.0.1:{port}"))
        with pytest.raises(RateLimited):
            await kit.check_access()
        await kit.close()

    assert requests[0].startswith(b"GET http://127.0.0.1:")


async def test_task_repr_contains_no_stream_key(world: World) -> None:
    """The repr of a finished task shows its result."""
    kit = open_realtimekit(world.settings())
    shown: list[str] = []

    async def look() -> None:
        request = asyncio.ensure_future(kit.active_livestream(LIVE))
        tasks: set[asyncio.Task[Any]] = set()
        while not request.done():
            tasks |= asyncio.all_tasks()
            await asyncio.sleep(0)
        shown.extend(repr(task) for task in tasks)

    await look()
    await kit.close()

    assert any("Livestream(" in task for task in shown)
    assert all(secret not in task for secret in world.kit.secrets for task in shown)
