"""The sandbox's RealtimeKit when things go wrong: each fault over a real socket, the budget, and the log of calls."""

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
    """The next call, once the server has seen its end."""
    ended = asyncio.get_running_loop().create_future()
    kit.on_call.append(ended.set_result)
    return ended


@pytest.mark.parametrize(
    ("fault", "status", "code"), [(Fault.UNAUTHORIZED, 401, 10000), (Fault.RATE_LIMITED, 429, 971)]
)
async def test_faults_of_the_gateway(
    kit: RealtimeKit, client: httpx.AsyncClient, fault: Fault, status: int, code: int
) -> None:
    """The gateway refuses in its own envelope, a list of errors."""
    kit.fault = fault

    response = await client.get(PATH)

    assert response.status_code == status
    assert response.json()["errors"][0]["code"] == code


async def test_a_rate_limit_says_how_long_to_wait_or_nothing(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """`retry-after` is what was set, and is left out if that is None."""
    kit.fault = Fault.RATE_LIMITED

    kit.retry_after = 7
    told = await client.get(PATH)
    kit.retry_after = None
    untold = await client.get(PATH)

    assert told.headers["retry-after"] == "7"
    assert "retry-after" not in untold.headers


async def test_a_server_error_is_in_the_applications_envelope(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """A 500 carries one `error`."""
    kit.fault = Fault.SERVER_ERROR

    response = await client.get(PATH)

    assert response.status_code == 500
    assert response.json()["error"]["code"] == 500


async def test_a_bad_gateway_answers_with_a_page(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """A 502 carries HTML, no JSON."""
    kit.fault = Fault.HTML

    response = await client.get(PATH)

    assert response.status_code == 502
    assert response.headers["content-type"].startswith("text/html")
    assert response.text.startswith("<!DOCTYPE html>")


async def test_a_slow_answer_comes_late_and_whole(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """SLOW and latency add up, and the answer is the usual one."""
    kit.fault, kit.slow_seconds, kit.latency = Fault.SLOW, 0.04, 0.02

    began = time.perf_counter()
    response = await client.get(PATH)

    assert time.perf_counter() - began >= 0.06
    assert response.json()["data"]["status"] == "LIVE"


async def test_a_hanging_answer_lasts_until_the_client_goes_away(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """HANG never answers, and leaves nothing running once the client has given up."""
    kit.fault = Fault.HANG
    ended = next_call(kit)

    with pytest.raises(httpx.ReadTimeout):
        await client.get(PATH, timeout=httpx.Timeout(5, read=0.05))

    assert (await asyncio.wait_for(ended, 5)).status == 0


async def test_a_hanging_answer_to_a_post_ends_as_well(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """HANG reads over the body on its way to the client's leaving."""
    kit.fault = Fault.HANG
    ended = next_call(kit)

    with pytest.raises(httpx.ReadTimeout):
        await client.post(
            f"meetings/{seeds.NEVER_LIVE}/livestreams", json={"name": "x"}, timeout=httpx.Timeout(5, read=0.05)
        )

    assert (await asyncio.wait_for(ended, 5)).method == "POST"
    assert kit.meetings[seeds.NEVER_LIVE].livestream is None


async def test_a_dropped_connection_answers_not_a_byte(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """DROP closes the connection before any answer, and the next request is answered."""
    kit.fail_next(Fault.DROP)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await client.get(PATH)

    assert (await client.get(PATH)).status_code == 200
    assert [call.status for call in kit.calls] == [0, 200]


async def test_half_an_answer_breaks_off_in_the_body(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """HALF sends a good start and less body than it promised."""
    kit.fail_next(Fault.HALF)

    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"):
        await client.get(PATH)

    assert (await client.get(PATH)).status_code == 200


async def test_faults_for_the_next_requests_pass(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """Planned faults come one after another, then the standing one again."""
    kit.fault = Fault.HTML

    kit.fail_next(Fault.SERVER_ERROR, 2)
    kit.fail_next(Fault.NONE)

    assert [(await client.get(PATH)).status_code for _ in range(4)] == [500, 500, 200, 502]


async def test_the_budget_blocks_everything_for_five_minutes(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """Over the budget every call is 429 until five minutes have passed; each answer tells what is left."""
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


async def test_the_budget_is_whole_again_in_the_next_window(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """Who stays within the budget is never blocked."""
    kit.budget = 2

    statuses = []
    for _ in range(3):
        statuses += [(await client.get(PATH)).status_code for _ in range(2)]
        kit.clock.advance(300)

    assert statuses == [200] * 6


async def test_without_a_budget_nothing_is_told_of_one(client: httpx.AsyncClient) -> None:
    """No limit, no headers about it."""
    response = await client.get(PATH)

    assert "ratelimit" not in response.headers


async def test_a_bad_token_spends_no_budget(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """The budget belongs to the token, so a stranger cannot use it up."""
    kit.budget = 1

    for _ in range(3):
        assert (await client.get(PATH, headers={"authorization": "Bearer nobody"})).status_code == 401

    assert (await client.get(PATH)).status_code == 200


async def test_calls_are_logged_and_told(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """The log has method, path with query, status and time of every call, and tells listeners."""
    ended = next_call(kit)

    await client.get("meetings?search=board")

    call = await asyncio.wait_for(ended, 5)
    assert list(kit.calls) == [call]
    assert (call.method, call.status, call.at) == ("GET", 200, kit.clock.now())
    assert call.path.endswith("/meetings?search=board")
    assert call.ms > 0


async def test_the_log_is_bounded(kit: RealtimeKit) -> None:
    """A long demo does not grow the log without end."""
    for number in range(2000):
        kit.record(Call("GET", f"/{number}", 200, 1, 0))

    assert len(kit.calls) < 2000
    assert kit.calls[-1].path == "/1999"
