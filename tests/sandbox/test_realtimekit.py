"""The sandbox's RealtimeKit: meetings and their livestreams, over a real socket."""

from typing import Any

import httpx
import pytest

from sandbox.realtimekit import AfterEnd, ImpossibleError, RealtimeKit, seeds
from tests.sandbox.conftest import get_active_livestream, get_session

NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def meeting(kit: RealtimeKit) -> str:
    """Return the ID of a meeting that was never live."""
    return kit.add_meeting("Weekly sync").id


async def status(client: httpx.AsyncClient, meeting_id: str) -> Any:
    """Return the status from Cloudflare's response, or the HTTP status if there is none."""
    response = await get_active_livestream(client, meeting_id)
    return response.json()["data"]["status"] if response.status_code == 200 else response.status_code


async def test_livestream_moves_through_its_statuses(kit: RealtimeKit, client: httpx.AsyncClient, meeting: str) -> None:
    seen = [await status(client, meeting)]
    for step in (kit.start, kit.go_live, kit.drop, kit.go_live, kit.end):
        step(meeting)
        seen.append(await status(client, meeting))

    assert seen == [404, "INVOKED", "LIVE", "OFFLINE", "LIVE", 404]


async def test_interrupted_livestream_keeps_its_session(
    kit: RealtimeKit, client: httpx.AsyncClient, meeting: str
) -> None:
    kit.go_live(meeting)
    before = await get_session(client, kit, meeting)

    kit.clock.advance(20)
    kit.drop(meeting)
    kit.clock.advance(20)
    kit.go_live(meeting)

    after = await get_session(client, kit, meeting)
    assert (after["id"], after["started_time"]) == (before["id"], before["started_time"])
    assert after["stopped_time"] is None


async def test_next_start_reuses_the_livestream_with_a_new_session(
    kit: RealtimeKit, client: httpx.AsyncClient, meeting: str
) -> None:
    async def go_live() -> tuple[Any, Any]:
        kit.clock.advance(600)
        kit.go_live(meeting)
        livestream = (await get_active_livestream(client, meeting)).json()["data"]
        return livestream, await get_session(client, kit, meeting)

    first, first_session = await go_live()
    kit.end(meeting)
    second, second_session = await go_live()

    assert (second["id"], second["playback_url"]) == (first["id"], first["playback_url"])
    assert second_session["id"] != first_session["id"]
    assert second_session["started_time"] > first_session["started_time"]
    assert [each.open for each in kit.meetings[meeting].sessions] == [False, True]


async def test_session_of_a_failed_livestream_has_the_reason(
    kit: RealtimeKit, client: httpx.AsyncClient, meeting: str
) -> None:
    kit.go_live(meeting)

    kit.fail(meeting, "encoder gone")

    over = await get_session(client, kit, meeting)
    assert await status(client, meeting) == "ERRORED"
    assert over["err_message"] == "encoder gone"
    assert over["stopped_time"] is not None


async def test_response_after_the_end_can_be_chosen(kit: RealtimeKit, client: httpx.AsyncClient, meeting: str) -> None:
    for after_end, expected in (
        (AfterEnd.NOT_FOUND, 404),
        (AfterEnd.OFFLINE, "OFFLINE"),
        (AfterEnd.IDLE, "IDLE"),
    ):
        kit.go_live(meeting)
        kit.clock.advance(90)
        kit.end(meeting, after_end)
        assert await status(client, meeting) == expected
        assert (await get_session(client, kit, meeting))["stopped_time"] is not None

    assert (await get_session(client, kit, meeting))["stopped_time"] == "2026-06-03T12:04:30.000Z"


async def test_ingest_seconds_are_at_least_sixty(kit: RealtimeKit, client: httpx.AsyncClient, meeting: str) -> None:
    """As Cloudflare's are."""
    kit.go_live(meeting)

    assert (await get_session(client, kit, meeting))["ingest_seconds"] == 60
    kit.clock.advance(90)
    assert (await get_session(client, kit, meeting))["ingest_seconds"] == 90


def test_impossible_transition_is_rejected(kit: RealtimeKit, meeting: str) -> None:
    with pytest.raises(ImpossibleError):
        kit.drop(meeting)
    with pytest.raises(ImpossibleError):
        kit.end(meeting)
    kit.start(meeting)
    with pytest.raises(ImpossibleError):
        kit.start(meeting)


async def test_requests_about_nothing_are_rejected_with_different_messages(
    kit: RealtimeKit, client: httpx.AsyncClient, meeting: str
) -> None:
    livestream = kit.change_livestream(kit.add_meeting("Idle").id, name="not yet").livestream
    assert livestream

    for path, nothing_there in (
        ("meetings/{}/active-livestream", meeting),
        ("livestreams/{}/active-livestream-session", livestream.id),
    ):
        answers = [await client.get(path.format(each)) for each in (NOWHERE, nothing_there, "not-a-uuid")]
        assert [each.status_code for each in answers] == [404, 404, 400]
        assert [each.json()["error"]["code"] for each in answers] == [404, 404, 400]
        assert len({each.json()["error"]["message"] for each in answers}) == 3


async def test_gateway_rejects_wrong_credentials_and_paths_with_its_own_codes(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    kit.seed()
    path, url = f"meetings/{seeds.LIVE}/active-livestream", str(client.base_url)

    answers = [
        await client.get(path, headers={"authorization": "Bearer unknown"}),
        await client.get(url.replace(kit.account_id, "f" * 32) + path),
        await client.get(url.replace(kit.app_id, "another-app") + path),
        await client.get("weather"),
        await client.delete("meetings"),
    ]

    assert [each.status_code for each in answers] == [401, 404, 404, 404, 405]
    assert [each.json()["errors"][0]["code"] for each in answers] == [10000, 7003, 7003, 7000, 7001]
    assert all(each.json()["result"] is None for each in answers)


async def test_livestream_is_started_and_stopped_over_http(
    kit: RealtimeKit, client: httpx.AsyncClient, meeting: str
) -> None:
    started = await client.post(f"meetings/{meeting}/livestreams", json={"name": "weekly-sync"})
    again = await client.post(f"meetings/{meeting}/livestreams")
    stopped = await client.post(f"meetings/{meeting}/active-livestream/stop")
    stopped_again = await client.post(f"meetings/{meeting}/active-livestream/stop")

    assert [each.status_code for each in (started, again, stopped, stopped_again)] == [201, 400, 200, 404]
    assert started.json()["data"]["status"] == "INVOKED"
    assert (await client.get("livestreams")).json()["data"][0]["name"] == "weekly-sync"
    assert started.json()["data"]["stream_key"] in kit.secrets


async def test_start_with_an_invalid_body_is_rejected(
    kit: RealtimeKit, client: httpx.AsyncClient, meeting: str
) -> None:
    for body in (b'{"name": "no spaces"}', b"{", b'{"video_config": {"width": 0}}'):
        assert (await client.post(f"meetings/{meeting}/livestreams", content=body)).status_code == 400

    assert kit.meetings[meeting].livestream is None
