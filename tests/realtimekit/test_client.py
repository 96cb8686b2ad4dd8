"""The client, driven over real sockets: against the sandbox's RealtimeKit, and what the sandbox cannot say."""

import asyncio
import contextlib
import dataclasses
import gzip
import json
import traceback
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, TypeAlias
from uuid import UUID

import httpx
import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture

from bot.app import open_realtimekit
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
from bot.realtimekit import client as client_module
from bot.realtimekit.client import RealtimeKitClient, open_http
from bot.realtimekit.http import HttpClient
from bot.realtimekit.models import Livestream, NotLive, Session
from bot.realtimekit.rate_limit import RateLimitState
from bot.uvicorn_server import listen, serving, url_of
from sandbox.clock import Clock
from sandbox.realtimekit import AfterEnd, Fault, Shape, seeds
from sandbox.realtimekit import RealtimeKit as Cloudflare
from tests.conftest import World

LIVE = UUID(seeds.LIVE)
NEVER_LIVE = UUID(seeds.NEVER_LIVE)
NO_SUCH_MEETING = UUID("00000000-0000-4000-8000-000000000000")
STREAM_KEY = "sk-f1e2d3c4b5a6"
INGEST = "rtmps://ingest.example.com:443/live/0a1b2c"
FOUR_MIB = 4 * 1024 * 1024
ATTEMPTS = 3

Opened: TypeAlias = contextlib.AbstractAsyncContextManager[RealtimeKitClient]


@pytest.fixture(autouse=True)
def _no_waiting_between_attempts() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def cloudflare(clock: Clock) -> Cloudflare:
    cloudflare = Cloudflare(clock)
    cloudflare.seed()
    return cloudflare


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
    """A client of whatever is there."""
    kit = RealtimeKitClient(open_http(f"{url}/client/v4/", token), **options)
    try:
        yield kit
    finally:
        await kit.close()


def opened(cloudflare: Cloudflare, url: str, **options: Any) -> Opened:
    """A client of the sandbox's app, or of what the options say."""
    access = {"token": cloudflare.api_token, "account_id": cloudflare.account_id, "app_id": cloudflare.app_id}
    return opened_at(url, **{**access, **options})


class Peer:
    """A server that says the same bytes to every request, be they HTTP or not, and hangs up."""

    def __init__(self, said: bytes, *, forever: bool = False) -> None:
        self.said = said
        self.forever = forever
        self.requests: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.said)
            while self.forever:
                writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                await writer.drain()
            await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def asked_by(self, **options: Any) -> AsyncIterator[RealtimeKitClient]:
        """A client of this server."""
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


def paths(cloudflare: Cloudflare) -> list[str]:
    """What was asked, from behind the app's id on."""
    return [call.path.split(f"/{cloudflare.app_id}")[1] for call in cloudflare.calls]


def hand_over(cloudflare: Cloudflare, meeting_id: str | None) -> None:
    """Let the livestream that is answered say that it belongs to this meeting."""
    livestream = cloudflare.meetings[seeds.LIVE].livestream
    assert livestream is not None
    other = dataclasses.replace(livestream, meeting_id=meeting_id)  # type: ignore[arg-type]
    cloudflare.change(seeds.LIVE, livestream=other)


# What the active livestream is


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
async def test_active_livestream(kit: RealtimeKitClient, meeting_id: str, status: Status, name: str | None) -> None:
    """Every state, in every shape it comes in, is read."""
    livestream = await kit.active_livestream(UUID(meeting_id))

    assert isinstance(livestream, Livestream)
    assert (livestream.status, livestream.name) == (status, name)


@pytest.mark.parametrize("shape", [Shape.OBJECT, Shape.NULL, Shape.EMPTY_OBJECT, Shape.EMPTY_LIST])
async def test_not_live(cloudflare: Cloudflare, kit: RealtimeKitClient, shape: Shape) -> None:
    """Every way of saying that there is none: a value that knows the meeting."""
    cloudflare.change(seeds.NEVER_LIVE, shape=shape)

    answer = await kit.active_livestream(NEVER_LIVE)

    assert isinstance(answer, NotLive)
    assert answer.meeting.title == "Hiring committee"


async def test_not_live_any_more(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """A run that ended, and is answered with 404 from then on, is not live."""
    cloudflare.end(seeds.LIVE, AfterEnd.NOT_FOUND)

    assert isinstance(await kit.active_livestream(LIVE), NotLive)


async def test_no_such_meeting(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """A 404 is ambiguous: only when the meeting's own is 404 too, there is no such meeting."""
    with pytest.raises(MeetingNotFound):
        await kit.active_livestream(NO_SUCH_MEETING)

    assert paths(cloudflare) == [f"/meetings/{NO_SUCH_MEETING}/active-livestream", f"/meetings/{NO_SUCH_MEETING}"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [(Fault.SERVER_ERROR, Unreachable), (Fault.UNAUTHORIZED, AuthenticationFailed), (Fault.RATE_LIMITED, RateLimited)],
)
async def test_could_not_tell_the_404s_apart(
    cloudflare: Cloudflare, kit: RealtimeKitClient, fault: Fault, error: type[RealtimeKitError]
) -> None:
    """When the meeting cannot be asked for after a 404, it is neither "not live" nor "no such meeting"."""
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fail_next(fault, ATTEMPTS)

    with pytest.raises(error):
        await kit.active_livestream(NEVER_LIVE)


async def test_unsuccessful_with_status_200(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """A 200 that says `success: false` is no answer, and never "not live"."""
    cloudflare.change(seeds.LIVE, shape=Shape.UNSUCCESSFUL)

    with pytest.raises(Unreachable):
        await kit.active_livestream(LIVE)


@pytest.mark.parametrize("shape", [Shape.OBJECT, Shape.LIST, Shape.RESULT])
async def test_livestream_of_another_meeting(cloudflare: Cloudflare, kit: RealtimeKitClient, shape: Shape) -> None:
    """A livestream of another meeting is never an answer."""
    cloudflare.change(seeds.LIVE, shape=shape)
    hand_over(cloudflare, seeds.UNNAMED)

    with pytest.raises(InvalidResponse, match="another meeting"):
        await kit.active_livestream(LIVE)


@pytest.mark.parametrize("meeting_id", [seeds.LIVE.upper(), None])
async def test_livestream_of_this_meeting(
    cloudflare: Cloudflare, kit: RealtimeKitClient, meeting_id: str | None
) -> None:
    """A livestream that names this meeting in capitals, or none, is this meeting's."""
    hand_over(cloudflare, meeting_id)

    assert isinstance(await kit.active_livestream(LIVE), Livestream)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["IDLE", "LIVE", "ERRORED"], "LIVE"),
        (["OFFLINE", "INVOKED"], "INVOKED"),
        (["IDLE", "ERRORED"], "ERRORED"),
        (["IDLE", "PAUSED"], "PAUSED"),
        (["PAUSED", "ERRORED"], "ERRORED"),
    ],
)
async def test_several_livestreams(words: list[str], chosen: str) -> None:
    """Of several livestreams of a meeting the most active one is the answer."""
    peer = Peer(http_answer(success([{"status": word, "meeting_id": seeds.LIVE} for word in words])))

    async with peer.asked_by() as kit:
        answer = await kit.active_livestream(LIVE)

    assert isinstance(answer, Livestream)
    assert answer.raw_status == chosen


async def test_several_livestreams_of_several_meetings() -> None:
    """Among livestreams of other meetings, this meeting's is found, be it the least active."""
    livestreams = [{"status": "LIVE", "meeting_id": seeds.UNNAMED}, {"status": "IDLE", "meeting_id": seeds.LIVE}]

    async with Peer(http_answer(success(livestreams))).asked_by() as kit:
        answer = await kit.active_livestream(LIVE)

    assert isinstance(answer, Livestream)
    assert answer.status is Status.NOT_BROADCASTING


@pytest.mark.parametrize("data", ["text", 7, True, 0, "", False, ["text"], [None], [[]]])
async def test_no_livestream_at_all(data: Any) -> None:
    """What is no object is not understood; it is not taken for "not live"."""
    async with Peer(http_answer(success(data))).asked_by() as kit:
        with pytest.raises(InvalidResponse, match="Livestream: not an object"):
            await kit.active_livestream(LIVE)


# The meeting


async def test_meeting(kit: RealtimeKitClient) -> None:
    """A meeting has its title."""
    assert (await kit.meeting(LIVE)).title == "Launch keynote"


async def test_meeting_is_remembered_for_less_than_a_minute(cloudflare: Cloudflare, url: str) -> None:
    """A title that changes is seen after 45 seconds, and not asked for before."""
    seconds = 1_000.0
    async with opened(cloudflare, url, timer=lambda: seconds) as kit:
        await kit.meeting(LIVE)
        cloudflare.change(seeds.LIVE, title="Other")

        seconds += 44
        remembered = await kit.meeting(LIVE)
        seconds += 2
        asked = await kit.meeting(LIVE)

    assert (remembered.title, asked.title) == ("Launch keynote", "Other")
    assert len(cloudflare.calls) == 2


async def test_only_so_many_meetings_are_remembered(
    cloudflare: Cloudflare, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When there are too many, the one that was not asked for the longest is forgotten."""
    monkeypatch.setattr(client_module, "_MEETING_CACHE_SIZE", 2)
    first, second, third = (UUID(known) for known in (seeds.LIVE, seeds.UNNAMED, seeds.IDLE))

    async with opened(cloudflare, url) as kit:
        for meeting_id in (first, second, third, third, second, first):
            await kit.meeting(meeting_id)

    assert paths(cloudflare) == [f"/meetings/{meeting_id}" for meeting_id in (first, second, third, first)]


async def test_meeting_that_does_not_exist_is_not_remembered(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """A meeting that is created later is found at once."""
    with pytest.raises(MeetingNotFound):
        await kit.meeting(NO_SUCH_MEETING)

    cloudflare.add_meeting("New", str(NO_SUCH_MEETING))

    assert (await kit.meeting(NO_SUCH_MEETING)).title == "New"


async def test_another_meeting(cloudflare: Cloudflare) -> None:
    """Another meeting is not taken for the one asked for, nor remembered as it."""
    async with Peer(http_answer(success({"id": seeds.UNNAMED, "title": "Other"}))).asked_by() as kit:
        for _ in range(2):
            with pytest.raises(InvalidResponse, match="another meeting"):
                await kit.meeting(LIVE)


async def test_meeting_that_cannot_be_read() -> None:
    """The error names the field and never quotes it."""
    async with Peer(http_answer(success({"id": STREAM_KEY}))).asked_by() as kit:
        with pytest.raises(InvalidResponse) as raised:
            await kit.meeting(LIVE)

    assert raised.value.detail == "Meeting: id"
    assert STREAM_KEY not in "".join(traceback.format_exception(raised.value))


# The session


async def session_of(cloudflare: Cloudflare, kit: RealtimeKitClient, meeting_id: str) -> Session | None:
    livestream = cloudflare.meetings[meeting_id].livestream
    assert livestream is not None
    return await kit.active_session(livestream.id)


async def test_session(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """The run that is on air has its start."""
    session = await session_of(cloudflare, kit, seeds.LIVE)

    assert session is not None
    assert session.started_time is not None
    assert session.stopped_time is None


async def test_session_that_failed(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """A run that failed has its reason."""
    session = await session_of(cloudflare, kit, seeds.ERRORED)

    assert session is not None
    assert (session.err_message or "").startswith("Ingest stopped")


async def test_no_session(kit: RealtimeKitClient) -> None:
    """A livestream that is not known has none."""
    assert await kit.active_session(str(NO_SUCH_MEETING)) is None


@pytest.mark.parametrize("data", [{"session": None}, {"session": {}}, {"livestream": {}}, [], ["x"], "x", None])
async def test_no_session_in_the_answer(data: Any) -> None:
    """An answer without a session says that there is none."""
    async with Peer(http_answer(success(data))).asked_by() as kit:
        assert await kit.active_session("1") is None


async def test_session_that_cannot_be_read() -> None:
    """What stands for a session and is none is not understood."""
    async with Peer(http_answer(success({"session": "x"}))).asked_by() as kit:
        with pytest.raises(InvalidResponse, match="Session: not an object"):
            await kit.active_session("1")


# Access


async def test_access(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """Access is checked with the smallest question there is."""
    await kit.check_access()

    assert paths(cloudflare) == ["/meetings?per_page=1"]


@pytest.mark.parametrize("wrong", ["token", "account_id", "app_id"])
async def test_no_access(cloudflare: Cloudflare, url: str, wrong: str) -> None:
    """A wrong token, account or app is one error, and is not asked again."""
    async with opened(cloudflare, url, **{wrong: "another"}) as kit:
        for question in (kit.check_access(), kit.active_livestream(LIVE), kit.meeting(LIVE)):
            with pytest.raises(AuthenticationFailed):
                await question

    assert len(cloudflare.calls) == 3


async def test_what_is_sent() -> None:
    """Token and wanted form go in the headers; slashes around the base do not double."""
    peer = Peer(http_answer(success(None)))

    async with peer.asked_by() as kit:
        await kit.check_access()

    head = peer.requests[0].decode()
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
async def test_ids_are_quoted(livestream_id: str, segment: str) -> None:
    """An id is one segment of the path, whatever is in it."""
    peer = Peer(http_answer(success(None)))

    async with peer.asked_by() as kit:
        await kit.active_session(livestream_id)

    path = peer.requests[0].split(b" ")[1].decode()
    assert path.endswith(f"/app/livestreams/{segment}/active-livestream-session")


@pytest.mark.parametrize("livestream_id", ["", ".", ".."])
async def test_ids_that_would_climb(livestream_id: str) -> None:
    """An id of dots, which no quoting keeps from climbing, is not asked for."""
    peer = Peer(http_answer(success(None)))

    async with peer.asked_by() as kit:
        assert await kit.active_session(livestream_id) is None

    assert peer.requests == []


async def test_account_and_app_are_quoted() -> None:
    """So are the account's and the app's."""
    peer = Peer(http_answer(success(None)))

    async with peer.asked_by(account_id="a/b", app_id="c?d") as kit:
        await kit.check_access()

    assert b"/accounts/a%2Fb/realtime/kit/c%3Fd/meetings" in peer.requests[0]


def test_deadlines() -> None:
    """Connecting may take 2 seconds and silence 3.5, which leaves time for another attempt; no repr has the token."""
    http = open_http("https://api.example.com", "token-of-the-test")

    assert http.timeout == httpx.Timeout(3.5, connect=2)
    assert "token-of-the-test" not in f"{http!r} {vars(http)}"


# When it goes wrong


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML, Fault.DROP, Fault.HALF])
async def test_asked_again(cloudflare: Cloudflare, kit: RealtimeKitClient, fault: Fault) -> None:
    """What fails for a moment is asked again, and answered."""
    cloudflare.fail_next(fault, ATTEMPTS - 1)

    assert isinstance(await kit.active_livestream(LIVE), Livestream)


async def test_no_preparation_for_another_try(
    cloudflare: Cloudflare, kit: RealtimeKitClient, mocker: MockerFixture
) -> None:
    """What is answered at once prepares no retries: that would cost as much as the question."""
    prepared = mocker.spy(stamina, "AsyncRetryingCaller")

    await kit.active_livestream(LIVE)
    assert prepared.call_count == 0

    cloudflare.fail_next(Fault.SERVER_ERROR, 1)
    await kit.active_livestream(LIVE)
    assert prepared.call_count == 1


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.HTML, Fault.DROP, Fault.HALF])
async def test_asked_three_times(cloudflare: Cloudflare, url: str, fault: Fault, mocker: MockerFixture) -> None:
    """What goes on failing is given up after three attempts."""
    cloudflare.fault = fault
    on_call = mocker.stub()

    async with opened(cloudflare, url, on_call=on_call) as kit:
        with pytest.raises(Unreachable):
            await kit.active_livestream(LIVE)

    assert on_call.call_count == ATTEMPTS


async def test_nobody_listens() -> None:
    """A refused connection is unreachable."""
    with listen() as sock:
        nowhere = url_of(sock)

    async with opened_at(nowhere, "token", account_id="a", app_id="b") as kit:
        with pytest.raises(Unreachable, match="ClientConnectorError"):
            await kit.meeting(LIVE)


async def test_rate_limit_that_is_short(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """A short wait is waited for, and the question asked again."""
    cloudflare.retry_after = 2
    cloudflare.fail_next(Fault.RATE_LIMITED)

    assert isinstance(await kit.active_livestream(LIVE), Livestream)
    assert [call.status for call in cloudflare.calls] == [429, 200]


async def test_rate_limit_is_waited_for_as_long_as_it_says(
    cloudflare: Cloudflare, kit: RealtimeKitClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait is what Cloudflare asked for."""
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


async def test_rate_limit_that_stays(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """A short wait that does not help is told after three attempts."""
    cloudflare.fault, cloudflare.retry_after = Fault.RATE_LIMITED, 1

    with pytest.raises(RateLimited):
        await kit.active_livestream(LIVE)

    assert len(cloudflare.calls) == ATTEMPTS


@pytest.mark.parametrize(("retry_after", "seconds"), [(3, 3), (30, 30), (300, 300), (3_600, 300), (None, 60)])
async def test_rate_limit_that_is_long(
    cloudflare: Cloudflare, kit: RealtimeKitClient, retry_after: int | None, seconds: float
) -> None:
    """A long wait is told at once: five minutes at most, and a minute where Cloudflare says nothing."""
    cloudflare.fault, cloudflare.retry_after = Fault.RATE_LIMITED, retry_after

    with pytest.raises(RateLimited) as raised:
        await kit.active_livestream(LIVE)

    assert raised.value.retry_after == seconds
    assert len(cloudflare.calls) == 1


async def test_rate_limit_until_a_date() -> None:
    """The wait may be a date."""
    peer = Peer(http_answer(b"<html>", "retry-after: Fri, 31 Dec 2100 23:59:59 GMT", status="429 Too Many Requests"))

    async with peer.asked_by() as kit:
        with pytest.raises(RateLimited) as raised:
            await kit.active_livestream(LIVE)

    assert raised.value.retry_after == 300


async def test_one_answer_stops_no_request_for_longer_than_cloudflare_counts(cloudflare: Cloudflare, url: str) -> None:
    """Whatever a refusal says: after five minutes Cloudflare is asked again."""
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


async def test_no_answer_in_time(cloudflare: Cloudflare, url: str) -> None:
    """What hangs is given up at the deadline."""
    cloudflare.fault = Fault.HANG

    async with opened(cloudflare, url, answer_seconds=0.05) as kit:
        with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
            await kit.active_livestream(LIVE)


async def test_attempts_share_one_deadline(cloudflare: Cloudflare, url: str) -> None:
    """Attempts that go on failing slowly end at the deadline, not after the last of them."""
    cloudflare.fault, cloudflare.latency = Fault.SERVER_ERROR, 0.04

    async with opened(cloudflare, url, answer_seconds=0.06) as kit:
        with pytest.raises(Unreachable, match="no answer within"):
            await kit.active_livestream(LIVE)


async def test_two_questions_share_one_deadline(
    cloudflare: Cloudflare, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the meeting has to be asked for as well, the time that the first answer took is not given twice."""
    heard: list[tuple[str, str]] = []
    now = 0.0
    monkeypatch.setattr(client_module, "time", SimpleNamespace(monotonic=lambda: now))
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fail_next(Fault.HANG)

    def hear(endpoint: str, outcome: str, _: float) -> None:
        nonlocal now
        now = 59.95  # so late does the first answer come
        heard.append((endpoint, outcome))

    async with opened(cloudflare, url, answer_seconds=60, on_call=hear) as kit:
        with pytest.raises(Unreachable):
            await kit.active_livestream(NEVER_LIVE)
        assert heard == [("active_livestream", "ok")]


# What is hardly HTTP


@pytest.mark.parametrize(
    ("said", "error"),
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
async def test_garbage(said: bytes, error: type[RealtimeKitError]) -> None:
    """Whatever comes over the wire, what is raised is an error of ours."""
    async with Peer(said).asked_by() as kit:
        with pytest.raises(RealtimeKitError) as raised:
            await kit.active_livestream(LIVE)

    assert type(raised.value) is error


async def test_redirects_are_not_followed(cloudflare: Cloudflare, url: str) -> None:
    """The token is not carried to wherever an answer points to."""
    body = success({"status": "LIVE"})
    peer = Peer(http_answer(body, f"location: {url}/client/v4/elsewhere", status="307 Temporary Redirect"))

    async with peer.asked_by() as kit:
        with pytest.raises(InvalidResponse):
            await kit.active_livestream(LIVE)

    assert len(peer.requests) == 1
    assert list(cloudflare.calls) == []


async def test_compressed() -> None:
    """A compressed answer is read."""
    async with Peer(
        http_answer(gzip.compress(success({"status": "LIVE"})), "content-encoding: gzip")
    ).asked_by() as kit:
        assert isinstance(await kit.active_livestream(LIVE), Livestream)


async def test_the_longest_answer() -> None:
    """An answer of 4 MiB is read, one byte more is too long."""
    body = success({"status": "LIVE"})

    async with Peer(http_answer(body.ljust(FOUR_MIB))).asked_by() as kit:
        assert isinstance(await kit.active_livestream(LIVE), Livestream)
    async with Peer(http_answer(body.ljust(FOUR_MIB + 1))).asked_by() as kit:
        with pytest.raises(InvalidResponse, match="more than 4194304 bytes"):
            await kit.active_livestream(LIVE)


async def test_endless_answer() -> None:
    """An answer that does not end is given up as soon as it is too long."""
    async with Peer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", forever=True).asked_by() as kit:
        with pytest.raises(InvalidResponse, match="more than 4194304 bytes"):
            await kit.active_livestream(LIVE)


async def test_answer_that_unpacks_to_too_much() -> None:
    """What counts is the length after unpacking."""
    packed = gzip.compress(b" " * (2 * FOUR_MIB))
    assert len(packed) < 10_000

    async with Peer(http_answer(packed, "content-encoding: gzip")).asked_by() as kit:
        with pytest.raises(InvalidResponse, match="more than 4194304 bytes"):
            await kit.active_livestream(LIVE)


# The same question


async def test_asked_once_for_fifty(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """Fifty who ask for the same meeting at once cost one request."""
    cloudflare.latency = 0.02

    answers = await asyncio.gather(*(kit.active_livestream(LIVE) for _ in range(50)))

    assert len(cloudflare.calls) == 1
    assert {answer for answer in answers if isinstance(answer, Livestream)} == {answers[0]}


async def test_other_meetings_are_other_questions(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """Questions for two meetings do not share an answer."""
    cloudflare.latency = 0.02

    live, starting = await asyncio.gather(kit.active_livestream(LIVE), kit.active_livestream(UUID(seeds.STARTING)))

    assert isinstance(live, Livestream)
    assert isinstance(starting, Livestream)
    assert (live.status, starting.status) == (Status.LIVE, Status.STARTING)


async def test_answer_is_not_kept(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """Who asks after the answer has come gets the present state."""
    await kit.active_livestream(LIVE)
    cloudflare.drop(seeds.LIVE)

    answer = await kit.active_livestream(LIVE)

    assert isinstance(answer, Livestream)
    assert answer.status is Status.NOT_BROADCASTING


async def test_who_stops_waiting_does_not_stop_the_others(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """The first to ask goes away; the others are answered, by the same request."""
    cloudflare.latency = 0.03
    waiting = [asyncio.create_task(kit.active_livestream(LIVE)) for _ in range(5)]
    await asyncio.sleep(0.01)

    waiting[0].cancel()
    answers = await asyncio.gather(*waiting[1:])

    assert len(cloudflare.calls) == 1
    assert all(isinstance(answer, Livestream) for answer in answers)


async def test_all_share_the_error(cloudflare: Cloudflare, kit: RealtimeKitClient) -> None:
    """One refused request is everybody's error."""
    cloudflare.latency, cloudflare.fault = 0.02, Fault.UNAUTHORIZED

    outcomes = await asyncio.gather(*(kit.active_livestream(LIVE) for _ in range(5)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [AuthenticationFailed] * 5
    assert len(cloudflare.calls) == 1


# What is told of the calls


async def test_each_request_is_told(cloudflare: Cloudflare, url: str, mocker: MockerFixture) -> None:
    """Endpoint, outcome and duration of each attempt."""
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
async def test_failed_requests_are_told(
    cloudflare: Cloudflare, url: str, mocker: MockerFixture, fault: Fault, outcome: str
) -> None:
    """A failure is told by its error's name."""
    on_call = mocker.stub()
    cloudflare.fault = fault

    async with opened(cloudflare, url, on_call=on_call) as kit:
        with pytest.raises(RealtimeKitError):
            await kit.meeting(LIVE)

    assert {call.args[:2] for call in on_call.call_args_list} == {("meeting", outcome)}


async def test_requests_that_were_given_up_are_told(cloudflare: Cloudflare, url: str, mocker: MockerFixture) -> None:
    """What was given up at the deadline is told as a timeout."""
    on_call = mocker.stub()
    cloudflare.fault = Fault.HANG

    async with opened(cloudflare, url, on_call=on_call, answer_seconds=0.05) as kit:
        with pytest.raises(Unreachable):
            await kit.meeting(LIVE)

    assert [call.args[:2] for call in on_call.call_args_list] == [("meeting", "timeout")]


async def test_calls_need_not_be_told(kit: RealtimeKitClient) -> None:
    """Nobody has to listen."""
    await kit.check_access()


# The end


async def test_close_with_questions_under_way(cloudflare: Cloudflare, url: str) -> None:
    """Closing ends what is under way at once, and leaves no task and no connection."""
    cloudflare.fault = Fault.HANG
    async with opened(cloudflare, url) as kit:
        waiting = [asyncio.create_task(question) for question in (kit.active_livestream(LIVE), kit.meeting(LIVE))]
        await asyncio.sleep(0.02)

        await kit.close()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 2


async def test_close_before_anything_was_asked() -> None:
    """A client that never asked closes as well."""
    await RealtimeKitClient(open_http("http://127.0.0.1:1", "token"), account_id="a", app_id="b").close()


# Secrets


@pytest.mark.parametrize("meeting_id", [seed.id for seed in seeds.SEEDS])
async def test_no_answer_tells_a_secret(cloudflare: Cloudflare, kit: RealtimeKitClient, meeting_id: str) -> None:
    """No stream key and no ingest server is in any answer."""
    answer = await kit.active_livestream(UUID(meeting_id))

    told = f"{answer!r} {answer} {answer.model_dump()} {answer.model_dump_json()} {vars(answer)}"
    assert [secret for secret in cloudflare.secrets if secret in told] == []


SECRETS = {"stream_key": STREAM_KEY, "ingest_server": INGEST}
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just(SECRETS)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
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
async def test_any_answer_at_all(status: int, body: bytes, headers: dict[str, Any]) -> None:
    """Whatever is answered: what comes out is a value or an error of ours, and tells no secret."""
    answers = httpx.MockTransport(
        lambda request: httpx.Response(status, headers=headers, stream=httpx.ByteStream(body), request=request)
    )
    kit = RealtimeKitClient(HttpClient(answers, "http://peer"), account_id="a", app_id="b")

    for question in (kit.active_livestream(LIVE), kit.meeting(LIVE), kit.active_session("1"), kit.check_access()):
        try:
            answer = await question
            told = f"{answer!r} {answer} {answer.model_dump_json() if answer else ''}"
        except RealtimeKitError as error:
            told = f"{error!r} {error} {error.sentence} {''.join(traceback.format_exception(error))}"
        assert STREAM_KEY not in told
        assert INGEST not in told

    await kit.close()


async def test_proxy(world: World) -> None:
    """With a proxy every request goes through it."""
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(proxy, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        kit = open_realtimekit(world.settings(https_proxy=f"http://127.0.0.1:{port}"))
        with pytest.raises(RateLimited):
            await kit.check_access()
        await kit.close()

    assert asked[0].startswith(b"GET http://127.0.0.1:")


async def test_no_stream_key_in_a_task(world: World) -> None:
    """Not even the task that asked, whose repr shows its result, has a stream key."""
    kit = open_realtimekit(world.settings())
    shown: list[str] = []

    async def look() -> None:
        asking = asyncio.ensure_future(kit.active_livestream(LIVE))
        tasks: set[asyncio.Task[Any]] = set()
        while not asking.done():
            tasks |= asyncio.all_tasks()
            await asyncio.sleep(0)
        shown.extend(repr(task) for task in tasks)

    await look()
    await kit.close()

    assert any("Livestream(" in task for task in shown)
    assert all(secret not in task for secret in world.kit.secrets for task in shown)
