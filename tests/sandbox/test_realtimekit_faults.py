"""The sandbox's RealtimeKit: each fault over a real socket, the rate limit, and the log of calls."""

import asyncio
import time

import httpx
import pytest

from sandbox.clock import Clock
from sandbox.realtimekit import Call, Fault, RealtimeKit, seeds

PATH = f"meetings/{seeds.LIVE}/active-livestream"


@pytest.fixture
def kit() -> RealtimeKit:
    kit = RealtimeKit(clock=Clock(speed=0))
    kit.seed()
    return kit


def next_call(kit: RealtimeKit) -> asyncio.Future[Call]:
    """Return the next call, once the server has finished it."""
    ended = asyncio.get_running_loop().create_future()
    kit.on_call[:] = [ended.set_result]
    return ended


async def test_each_fault_has_its_status_and_body(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    async def answer_with(fault: Fault) -> httpx.Response:
        kit.fault = fault
        return await client.get(PATH)

    unauthorized, limited = await answer_with(Fault.UNAUTHORIZED), await answer_with(Fault.RATE_LIMITED)
    assert (unauthorized.status_code, unauthorized.json()["errors"][0]["code"]) == (401, 10000)
    assert (limited.status_code, limited.json()["errors"][0]["code"]) == (429, 971)
    failed = await answer_with(Fault.SERVER_ERROR)
    assert (failed.status_code, failed.json()["error"]["code"]) == (500, 500)
    page = await answer_with(Fault.HTML)
    assert (page.status_code, page.text[:15]) == (502, "<!DOCTYPE html>")
    assert page.headers["content-type"].startswith("text/html")


async def test_retry_after_of_a_rate_limit_can_be_set_or_omitted(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.fault = Fault.RATE_LIMITED
    for seconds, header in ((7, "7"), (None, None)):
        kit.retry_after = seconds
        assert (await client.get(PATH)).headers.get("retry-after") == header


async def test_slow_response_is_late_and_complete(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.fault, kit.slow_seconds, kit.latency = Fault.SLOW, 0.04, 0.02

    began = time.perf_counter()
    response = await client.get(PATH)

    assert time.perf_counter() - began >= 0.06
    assert response.json()["data"]["status"] == "LIVE"


async def test_hanging_request_ends_when_the_client_disconnects(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.fault = Fault.HANG
    for method, path in (("GET", PATH), ("POST", f"meetings/{seeds.NEVER_LIVE}/livestreams")):
        ended = next_call(kit)
        with pytest.raises(httpx.ReadTimeout):
            await client.request(method, path, timeout=httpx.Timeout(5, read=0.05))
        call = await asyncio.wait_for(ended, 5)
        assert (call.method, call.status) == (method, 0)

    assert kit.meetings[seeds.NEVER_LIVE].livestream is None


async def test_dropped_connection_sends_no_or_half_a_response(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.fail_next(Fault.DROP)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await client.get(PATH)
    assert (await client.get(PATH)).status_code == 200
    assert [call.status for call in kit.calls] == [0, 200]

    kit.fail_next(Fault.HALF)
    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"):
        await client.get(PATH)
    assert (await client.get(PATH)).status_code == 200


async def test_planned_faults_come_first_then_the_standing_fault(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.fault = Fault.HTML

    kit.fail_next(Fault.SERVER_ERROR, 2)
    kit.fail_next(Fault.NONE)

    assert [(await client.get(PATH)).status_code for _ in range(4)] == [500, 500, 200, 502]


async def test_exhausted_rate_limit_blocks_all_requests_for_five_minutes(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    kit.budget = 2

    first, _, third = [await client.get(PATH) for _ in range(3)]
    kit.clock.advance(299)
    still = await client.get("meetings")
    kit.clock.advance(1)
    again = await client.get(PATH)

    assert first.headers["ratelimit"] == '"default";r=1;t=300'
    assert first.headers["ratelimit-policy"] == '"default";q=2;w=300'
    assert (third.status_code, third.headers["retry-after"]) == (429, "300")
    assert (still.status_code, still.headers["retry-after"]) == (429, "1")
    assert again.status_code == 200
    assert again.headers["ratelimit"] == '"default";r=1;t=300'


async def test_rate_limit_resets_in_the_next_window(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.budget = 2

    statuses = []
    for _ in range(3):
        statuses += [(await client.get(PATH)).status_code for _ in range(2)]
        kit.clock.advance(300)

    assert statuses == [200] * 6


async def test_wrong_token_does_not_count_against_the_limit(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """Without a limit, no header names it."""
    assert "ratelimit" not in (await client.get(PATH)).headers
    kit.budget = 1
    for _ in range(3):
        assert (await client.get(PATH, headers={"authorization": "Bearer unknown"})).status_code == 401

    assert (await client.get(PATH)).status_code == 200


async def test_each_call_is_logged_and_reported_to_listeners(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    ended = next_call(kit)

    await client.get("meetings?search=board")

    call = await asyncio.wait_for(ended, 5)
    assert list(kit.calls) == [call]
    assert (call.method, call.status, call.at) == ("GET", 200, kit.clock.now())
    assert call.path.endswith("/meetings?search=board")
    assert call.ms > 0


async def test_call_log_is_bounded(kit: RealtimeKit) -> None:
    for number in range(2000):
        kit.record(Call("GET", f"/{number}", 200, 1, 0))

    assert len(kit.calls) < 2000
    assert kit.calls[-1].path == "/1999"
