"""RealtimeKitClient against the sandbox, and against responses that the sandbox can't give.

What depends on the wire goes over real sockets, the rest through httpx's in-process transports.
"""

import asyncio
import contextlib
import gzip
import json
import traceback
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
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
from bot.realtimekit.client import ATTEMPT_SECONDS, RESPONSE_SECONDS, RealtimeKitClient, open_http
from bot.realtimekit.http import AiohttpTransport, HttpClient
from bot.realtimekit.models import Livestream, NotLive
from bot.realtimekit.rate_limit import RateLimitState
from bot.settings import CloudflareSettings
from bot.uvicorn_server import listen, serving, url_of
from sandbox.realtimekit import Fault, Shape, seeds
from sandbox.realtimekit import RealtimeKit as Cloudflare
from tests.realtimekit.conftest import Timer, connect, kit_answering, no_delay
from tests.strategies import json_values

LIVE = UUID(seeds.LIVE)
NEVER_LIVE = UUID(seeds.NEVER_LIVE)
NO_SUCH_MEETING = UUID("00000000-0000-4000-8000-000000000000")
STREAM_KEY = "sk-f1e2d3c4b5a6"
INGEST = "rtmps://ingest.example.com:443/live/0a1b2c"
FOUR_MIB = 4 * 1024 * 1024
ATTEMPTS = 3


@contextlib.asynccontextmanager
async def opened_at(url: str, token: str = "token-of-the-test", **options: Any) -> AsyncIterator[RealtimeKitClient]:
    """Open a client for any server."""
    access = {"account_id": "account", "app_id": "app"}
    kit = RealtimeKitClient(open_http(f"{url}/client/v4/", token), **{**access, **options})
    try:
        yield kit
    finally:
        await kit.close()


@contextlib.asynccontextmanager
async def opened(cloudflare: Cloudflare, **options: Any) -> AsyncIterator[RealtimeKitClient]:
    """Open a client that reaches the sandbox's app over a socket, with the sandbox's access or that in the options."""
    access = {"token": cloudflare.api_token, "account_id": cloudflare.account_id, "app_id": cloudflare.app_id}
    async with (
        serving(cloudflare.asgi, listen(), drain_seconds=1) as url,
        opened_at(url, **{**access, **options}) as kit,
    ):
        yield kit


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
    async def running(self) -> AsyncIterator[str]:
        sock = listen()
        async with await asyncio.start_server(self.answer, sock=sock):
            yield url_of(sock)

    @contextlib.asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[RealtimeKitClient]:
        """Open a client for this server."""
        async with self.running() as url, opened_at(url, **options) as kit:
            yield kit


def http_answer(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


def success(data: Any) -> bytes:
    return json.dumps({"success": True, "data": data}).encode()


def requested_paths(cloudflare: Cloudflare) -> list[str]:
    """Return the paths of all requests, without everything up to the app's ID."""
    return [call.path.split(f"/{cloudflare.app_id}")[1] for call in cloudflare.calls]


# The active livestream


@pytest.mark.parametrize("meeting_id", [seeds.LIVE, seeds.AS_LIST, seeds.UNDER_RESULT, seeds.NO_PLAYBACK])
async def test_active_livestream_is_read_from_every_shape(kit: RealtimeKitClient, meeting_id: str) -> None:
    livestream = await kit.active_livestream(UUID(meeting_id))

    assert isinstance(livestream, Livestream)
    assert (livestream.status, livestream.meeting_id) == (Status.LIVE, meeting_id)
    assert (livestream.playback_url is None) == (meeting_id == seeds.NO_PLAYBACK)


@pytest.mark.parametrize("shape", [Shape.OBJECT, Shape.NULL, Shape.EMPTY_OBJECT, Shape.EMPTY_LIST])
async def test_404_and_every_empty_payload_mean_not_live(
    cloudflare: Cloudflare, kit: RealtimeKitClient, shape: Shape
) -> None:
    cloudflare.change(seeds.NEVER_LIVE, shape=shape)

    answer = await kit.active_livestream(NEVER_LIVE)

    assert isinstance(answer, NotLive)
    assert answer.meeting.title == "Hiring committee"


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


def livestreams(*statuses: str, meeting_id: str | None = seeds.LIVE) -> list[dict[str, Any]]:
    return [{"status": status, "meeting_id": meeting_id} for status in statuses]


@pytest.mark.parametrize(
    ("data", "chosen"),
    [
        pytest.param(livestreams("IDLE", "LIVE", "ERRORED"), "LIVE", id="live comes before errored"),
        pytest.param(livestreams("OFFLINE", "INVOKED"), "INVOKED", id="starting comes before offline"),
        pytest.param(livestreams("IDLE", "ERRORED"), "ERRORED", id="errored comes before idle"),
        pytest.param(livestreams("IDLE", "PAUSED"), "PAUSED", id="an unknown status comes before idle"),
        pytest.param(livestreams("PAUSED", "ERRORED"), "ERRORED", id="errored comes before an unknown status"),
        pytest.param(
            livestreams("LIVE", meeting_id=seeds.UNNAMED) + livestreams("IDLE"), "IDLE", id="other meetings are ignored"
        ),
        pytest.param(livestreams("LIVE", meeting_id=seeds.LIVE.upper())[0], "LIVE", id="meeting ID in capitals"),
        pytest.param(livestreams("LIVE", meeting_id=None)[0], "LIVE", id="no meeting ID"),
    ],
)
async def test_meetings_most_active_livestream_is_returned(data: Any, chosen: str) -> None:
    answer = await kit_answering(data).active_livestream(LIVE)

    assert isinstance(answer, Livestream)
    assert answer.raw_status == chosen


@pytest.mark.parametrize("data", [livestreams("LIVE", meeting_id=seeds.UNNAMED), {"meeting_id": seeds.UNNAMED}])
async def test_livestream_of_another_meeting_is_an_invalid_response(data: Any) -> None:
    with pytest.raises(InvalidResponse, match="another meeting"):
        await kit_answering(data).active_livestream(LIVE)


@pytest.mark.parametrize("data", ["text", 7, True, 0, "", False, ["text"], [None], [[]]])
async def test_payload_that_is_not_an_object_is_an_invalid_response(data: Any) -> None:
    with pytest.raises(InvalidResponse, match="Livestream: not an object"):
        await kit_answering(data).active_livestream(LIVE)


async def test_livestream_created_in_the_future_is_not_chosen_for_that() -> None:
    times = {"future": "9000-01-01T00:00:00Z", "placeholder": "2001-01-01T00:00:00Z", "current": "2026-06-03T10:00:00Z"}
    both = [{"id": name, "status": "LIVE", "created_at": time} for name, time in times.items()]
    found = await kit_answering(both).active_livestream(LIVE)

    assert isinstance(found, Livestream)
    assert found.id == "current"
    assert found.also_live == {"future", "placeholder"}


async def test_unreadable_items_do_not_hide_a_meetings_livestream() -> None:
    found = await kit_answering([None, *livestreams("LIVE")]).active_livestream(LIVE)

    assert isinstance(found, Livestream)
    assert found.status is Status.LIVE


# The meeting


async def test_meeting_is_cached_for_45_seconds(cloudflare: Cloudflare, timer: Timer) -> None:
    kit = connect(cloudflare, timer=timer)
    titles = [(await kit.meeting(LIVE)).title]
    cloudflare.change(seeds.LIVE, title="Other")

    for seconds in (44, 2):
        timer.now += seconds
        titles.append((await kit.meeting(LIVE)).title)

    assert titles == ["Launch keynote", "Launch keynote", "Other"]
    assert len(cloudflare.calls) == 2


async def test_least_recently_requested_meeting_is_evicted_from_a_full_cache(
    cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_MEETING_CACHE_SIZE", 2)
    first, second, third = (UUID(known) for known in (seeds.LIVE, seeds.UNNAMED, seeds.IDLE))
    kit = connect(cloudflare)

    for meeting_id in (first, second, third, third, second, first):
        await kit.meeting(meeting_id)

    assert requested_paths(cloudflare) == [f"/meetings/{meeting_id}" for meeting_id in (first, second, third, first)]


async def test_missing_meeting_is_not_cached(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    with pytest.raises(MeetingNotFound):
        await kit.meeting(NO_SUCH_MEETING)

    cloudflare.add_meeting("New", str(NO_SUCH_MEETING))

    assert (await kit.meeting(NO_SUCH_MEETING)).title == "New"


async def test_response_about_another_meeting_is_rejected_and_not_cached() -> None:
    kit = kit_answering({"id": seeds.UNNAMED, "title": "Other"})

    for _ in range(2):
        with pytest.raises(InvalidResponse, match="another meeting"):
            await kit.meeting(LIVE)


async def test_error_for_an_unreadable_meeting_names_the_field_without_its_value() -> None:
    with pytest.raises(InvalidResponse) as raised:
        await kit_answering({"id": STREAM_KEY}).meeting(LIVE)

    assert raised.value.detail == "Meeting: id"
    assert STREAM_KEY not in "".join(traceback.format_exception(raised.value))


# The session


async def test_unknown_livestream_has_no_session(kit: RealtimeKitClient) -> None:
    assert await kit.active_session(str(NO_SUCH_MEETING)) is None


@pytest.mark.parametrize("data", [{"session": None}, {"session": {}}, {"livestream": {}}, [], ["x"], "x", None])
async def test_payload_without_a_session_means_no_session(data: Any) -> None:
    assert await kit_answering(data).active_session("1") is None


async def test_session_that_is_not_an_object_is_an_invalid_response() -> None:
    with pytest.raises(InvalidResponse, match="Session: not an object"):
        await kit_answering({"session": "x"}).active_session("1")


# Requests on the wire


async def test_request_has_the_token_accept_header_and_path() -> None:
    server = Server(http_answer(success(None)))

    async with server.client(account_id="a/b", app_id="c?d") as kit:
        await kit.check_access()

    head = server.requests[0].decode()
    assert head.startswith("GET /client/v4/accounts/a%2Fb/realtime/kit/c%3Fd/meetings?per_page=1 HTTP/1.1\r\n")
    assert "\r\nauthorization: Bearer token-of-the-test\r\n" in head
    assert "\r\naccept: application/json\r\n" in head


@pytest.mark.parametrize("wrong", ["token", "account_id", "app_id"])
async def test_wrong_token_account_or_app_fails_authentication_without_a_retry(
    cloudflare: Cloudflare, wrong: str
) -> None:
    async with opened(cloudflare, **{wrong: "another"}) as kit:
        for request in (kit.check_access(), kit.active_livestream(LIVE), kit.meeting(LIVE)):
            with pytest.raises(AuthenticationFailed):
                await request

    assert len(cloudflare.calls) == 3


@pytest.mark.parametrize(
    ("livestream_id", "segment"),
    [
        ("d231d346-c422-43a6-a324-c0d65b79c8a7", "d231d346-c422-43a6-a324-c0d65b79c8a7"),
        ("../meetings", "..%2Fmeetings"),
        ("a/b?c#d&e", "a%2Fb%3Fc%23d%26e"),
        ("a b\r\nX: y", "a%20b%0D%0AX%3A%20y"),
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
async def test_livestream_id_of_dots_is_not_requested(
    cloudflare: Cloudflare, kit: RealtimeKitClient, livestream_id: str
) -> None:
    """Quoting does not keep dots from being read as a parent folder."""
    assert await kit.active_session(livestream_id) is None
    assert list(cloudflare.calls) == []


def test_attempts_leave_time_for_a_retry() -> None:
    assert 2 * ATTEMPT_SECONDS < RESPONSE_SECONDS


def test_repr_of_the_connection_hides_the_token() -> None:
    http = open_http("https://api.example.com", "token-of-the-test")

    assert "token-of-the-test" not in f"{http!r} {vars(http)}"


async def test_requests_go_through_the_configured_proxy() -> None:
    proxy = Server(http_answer(status="429 Too Many Requests"))
    access: dict[str, Any] = {
        "cloudflare_account_id": "a",
        "realtimekit_app_id": "b",
        "cloudflare_base_url": "http://127.0.0.1:1",
    }

    async with proxy.running() as url:
        kit = open_realtimekit(
            CloudflareSettings(
                _env_file=None, cloudflare_api_token=SecretStr("t"), https_proxy=SecretStr(url), **access
            )
        )
        with pytest.raises(RateLimited):
            await kit.check_access()
        await kit.close()

    assert proxy.requests[0].startswith(b"GET http://127.0.0.1:1/accounts/")


async def test_attempt_to_reach_a_proxy_that_never_answers_ends() -> None:
    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        closed.set()

    closed, sock = asyncio.Event(), listen()
    async with await asyncio.start_server(stay_silent, sock=sock), asyncio.timeout(60):
        transport = AiohttpTransport(httpx.Timeout(0.1), proxy=url_of(sock))
        async with HttpClient(transport, "https://api.example.com") as http:
            with pytest.raises(httpx.ConnectTimeout):
                await http.send("GET", "/")
        await closed.wait()


async def test_redirects_are_not_followed(cloudflare: Cloudflare) -> None:
    """A redirect would carry the token to another server."""
    async with Server(http_answer(success(None))).running() as elsewhere:
        server = Server(http_answer(b"", f"location: {elsewhere}/client/v4", status="307 Temporary Redirect"))
        async with server.client() as kit:
            with pytest.raises(InvalidResponse):
                await kit.active_livestream(LIVE)

    assert len(server.requests) == 1


# Failures


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML, Fault.DROP, Fault.HALF])
async def test_transient_failure_is_retried_up_to_three_attempts(
    cloudflare: Cloudflare, fault: Fault, mocker: MockerFixture
) -> None:
    cloudflare.fault = fault
    on_call = mocker.stub()

    async with opened(cloudflare, on_call=on_call) as kit:
        with pytest.raises(Unreachable):
            await kit.active_livestream(LIVE)
        assert on_call.call_count == ATTEMPTS

        cloudflare.fault = Fault.NONE
        cloudflare.fail_next(fault, ATTEMPTS - 1)
        assert isinstance(await kit.active_livestream(LIVE), Livestream)


async def test_refused_connection_raises_unreachable() -> None:
    with listen() as sock:
        nowhere = url_of(sock)

    async with opened_at(nowhere) as kit:
        with pytest.raises(Unreachable, match="ClientConnectorError"):
            await kit.meeting(LIVE)


async def test_hanging_request_times_out_at_the_deadline(cloudflare: Cloudflare) -> None:
    cloudflare.fault = Fault.HANG

    async with opened(cloudflare, answer_seconds=0.05) as kit:
        with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
            await kit.active_livestream(LIVE)


async def test_attempts_share_one_deadline(cloudflare: Cloudflare) -> None:
    cloudflare.fault, cloudflare.latency = Fault.SERVER_ERROR, 0.04

    with pytest.raises(Unreachable, match="no answer within"):
        await connect(cloudflare, answer_seconds=0.06).active_livestream(LIVE)


async def test_livestream_and_meeting_requests_share_one_deadline(
    cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch
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

    kit = connect(cloudflare, answer_seconds=60, on_call=on_call)
    with pytest.raises(Unreachable):
        await kit.active_livestream(NEVER_LIVE)

    assert calls == [("active_livestream", "ok"), ("meeting", "timeout")]
    await kit.close()


# The rate limit


@pytest.mark.parametrize("retry_after", [0, 2])
async def test_request_is_retried_after_a_short_rate_limit(
    cloudflare: Cloudflare, kit: RealtimeKitClient, retry_after: int
) -> None:
    cloudflare.retry_after = retry_after
    cloudflare.fail_next(Fault.RATE_LIMITED)

    assert isinstance(await kit.active_livestream(LIVE), Livestream)
    assert [call.status for call in cloudflare.calls] == [429, 200]


@pytest.mark.parametrize(
    ("fault", "waits"), [(Fault.RATE_LIMITED, [(2, 2)]), (Fault.SERVER_ERROR, [(0.1, 0.2), (0.2, 0.4)])]
)
async def test_retry_waits_as_long_as_cloudflare_says_or_longer_each_time(
    cloudflare: Cloudflare, fault: Fault, waits: list[tuple[float, float]]
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    cloudflare.retry_after = 2
    cloudflare.fail_next(fault, len(waits))

    await connect(cloudflare, sleep=sleep).active_livestream(LIVE)

    assert len(slept) == len(waits)
    assert all(least <= seconds <= most for seconds, (least, most) in zip(slept, waits, strict=True))


@pytest.mark.parametrize(("retry_after", "attempts"), [(1, ATTEMPTS), (3, 1)])
async def test_persistent_rate_limit_is_raised_after_three_attempts_or_at_once_if_long(
    cloudflare: Cloudflare, kit: RealtimeKitClient, retry_after: int, attempts: int
) -> None:
    cloudflare.fault, cloudflare.retry_after = Fault.RATE_LIMITED, retry_after

    with pytest.raises(RateLimited) as raised:
        await kit.active_livestream(LIVE)

    assert raised.value.retry_after == retry_after
    assert len(cloudflare.calls) == attempts


async def test_no_request_is_sent_until_retry_after_has_passed(cloudflare: Cloudflare, timer: Timer) -> None:
    """Five minutes at most, which is Cloudflare's window."""
    kit = connect(cloudflare, rate_limit=RateLimitState(timer))
    cloudflare.retry_after = 3_600
    cloudflare.fail_next(Fault.RATE_LIMITED)
    waits = []

    for seconds in (0, 100, 197):
        timer.now += seconds
        with pytest.raises(RateLimited) as refused:
            await kit.livestreams("LIVE", 1)
        waits.append(refused.value.retry_after)
    requests = len(cloudflare.calls)
    timer.now += 3
    await kit.active_livestream(LIVE)

    assert waits == [300, 200, 3]
    assert (requests, len(cloudflare.calls)) == (1, 2)


async def test_exhausted_rate_limit_reports_the_time_until_its_refill(cloudflare: Cloudflare, timer: Timer) -> None:
    """A lookup may use the last request; only checks wait."""
    rate_limit = RateLimitState(timer)
    kit = connect(cloudflare, rate_limit=rate_limit)
    cloudflare.budget = 2
    await kit.active_livestream(LIVE)
    before = rate_limit.retry_after()
    await kit.active_livestream(LIVE)

    assert before == 0
    assert rate_limit.retry_after() == pytest.approx(300, abs=1)


async def test_server_error_starts_no_cooldown(cloudflare: Cloudflare) -> None:
    rate_limit = RateLimitState()
    cloudflare.fault = Fault.HTML

    with pytest.raises(Unreachable):
        await connect(cloudflare, rate_limit=rate_limit).active_livestream(LIVE)

    assert rate_limit.retry_after() == 0


# Malformed HTTP


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"", Unreachable),
        (b"garbage\r\n\r\n", Unreachable),
        (b"\x16\x03\x01\x02\x00\x01", Unreachable),
        (b"HTTP/1.1 200 \xff\xfe\r\ncontent-length: 2\r\n\r\n{}", InvalidResponse),
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


BODY = success({"status": "LIVE"})
GZIP = "content-encoding: gzip"


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(http_answer(BODY.ljust(FOUR_MIB)), id="4 MiB"),
        pytest.param(http_answer(gzip.compress(BODY), GZIP), id="compressed"),
    ],
)
async def test_compressed_or_4_mib_response_is_read(response: bytes) -> None:
    async with Server(response).client() as kit:
        assert isinstance(await kit.active_livestream(LIVE), Livestream)


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(Server(http_answer(BODY.ljust(FOUR_MIB + 1))), id="4 MiB and a byte"),
        pytest.param(Server(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", forever=True), id="endless"),
        pytest.param(Server(http_answer(gzip.compress(b" " * (2 * FOUR_MIB)), GZIP)), id="longer once decompressed"),
    ],
)
async def test_response_of_more_than_4_mib_is_aborted(server: Server) -> None:
    async with server.client() as kit:
        with pytest.raises(InvalidResponse, match="more than 4194304 bytes"):
            await kit.active_livestream(LIVE)


# Closing


async def test_unused_client_can_be_closed() -> None:
    async with opened_at("http://127.0.0.1:1"):
        pass


# The on_call hook


async def test_on_call_receives_endpoint_outcome_and_duration_of_each_attempt(
    cloudflare: Cloudflare, mocker: MockerFixture
) -> None:
    on_call = mocker.stub()
    cloudflare.fail_next(Fault.SERVER_ERROR)
    kit = connect(cloudflare, on_call=on_call)

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
    assert requested_paths(cloudflare)[-1] == "/meetings?per_page=1"


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault.UNAUTHORIZED, "authentication_failed"),
        (Fault.RATE_LIMITED, "rate_limited"),
        (Fault.HTML, "server_error"),
        (Fault.HANG, "timeout"),
    ],
)
async def test_on_call_receives_the_error_code_of_a_failed_request(
    cloudflare: Cloudflare, mocker: MockerFixture, fault: Fault, outcome: str
) -> None:
    on_call = mocker.stub()
    cloudflare.fault = fault

    with pytest.raises(RealtimeKitError):
        await connect(cloudflare, on_call=on_call, answer_seconds=0.05).meeting(LIVE)

    assert {call.args[:2] for call in on_call.call_args_list} == {("meeting", outcome)}


# Secrets


async def test_task_repr_contains_no_stream_key(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """The repr of a finished task shows its result."""
    request = asyncio.ensure_future(kit.active_livestream(LIVE))
    tasks: set[asyncio.Task[Any]] = set()
    while not request.done():
        tasks |= asyncio.all_tasks()
        await asyncio.sleep(0)
    shown = [repr(task) for task in tasks]

    assert any("Livestream(" in task for task in shown)
    assert all(secret not in task for secret in cloudflare.secrets for task in shown)


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
CODES = st.sampled_from([404, 429, 500, 7003, 10000])
ERROR = st.fixed_dictionaries({}, optional={"code": CODES | JSON, "message": JSON})
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "success": st.booleans() | JSON,
        "data": DATA,
        "result": DATA,
        "error": ERROR | JSON,
        "errors": st.lists(ERROR, max_size=2) | JSON,
    },
)
BODIES = st.binary() | (ENVELOPES | JSON).map(lambda value: json.dumps(value).encode())


@settings(deadline=None)
@given(
    status=st.sampled_from([200, 404, 429, 500]) | st.integers(100, 999),
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
    kit = RealtimeKitClient(HttpClient(answers, "http://server"), account_id="a", app_id="b", sleep=no_delay)

    for request in (kit.active_livestream(LIVE), kit.meeting(LIVE), kit.active_session("1"), kit.check_access()):
        try:
            answer = await request
            shown = f"{answer!r} {answer} {answer.model_dump_json() if answer else ''}"
        except RealtimeKitError as error:
            shown = f"{error!r} {error} {error.detail} {error.sentence} {''.join(traceback.format_exception(error))}"
        assert STREAM_KEY not in shown
        assert INGEST not in shown
