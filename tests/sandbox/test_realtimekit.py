"""The sandbox's RealtimeKit: meetings and their livestreams, asked over a real socket."""

from typing import Any

import httpx
import pytest

from sandbox.realtimekit import AfterEnd, ImpossibleError, RealtimeKit, seeds

NOWHERE = "00000000-0000-4000-8000-000000000000"


async def active(client: httpx.AsyncClient, meeting_id: str) -> httpx.Response:
    return await client.get(f"meetings/{meeting_id}/active-livestream")


async def status(client: httpx.AsyncClient, meeting_id: str) -> Any:
    """The status word that Cloudflare answers with, or the HTTP status if there is none."""
    response = await active(client, meeting_id)
    return response.json()["data"]["status"] if response.status_code == 200 else response.status_code


async def session(client: httpx.AsyncClient, kit: RealtimeKit, meeting_id: str) -> Any:
    livestream = kit.meetings[meeting_id].livestream
    assert livestream
    response = await client.get(f"livestreams/{livestream.id}/active-livestream-session")
    return response.json()["data"]["session"]


async def test_a_run_moves_through_its_statuses(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """A run is INVOKED, LIVE, OFFLINE while it is interrupted, LIVE again, and gone after its end."""
    meeting = kit.add_meeting("Weekly sync").id

    seen = [await status(client, meeting)]
    for step in (kit.start, kit.go_live, kit.drop, kit.go_live, kit.end):
        step(meeting)
        seen.append(await status(client, meeting))

    assert seen == [404, "INVOKED", "LIVE", "OFFLINE", "LIVE", 404]


async def test_an_interrupted_run_keeps_its_session(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """Who comes back after a drop comes back into the same session, with the time it first started."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.go_live(meeting)
    before = await session(client, kit, meeting)

    kit.clock.advance(20)
    kit.drop(meeting)
    kit.clock.advance(20)
    kit.go_live(meeting)

    after = await session(client, kit, meeting)
    assert (after["id"], after["started_time"]) == (before["id"], before["started_time"])
    assert after["stopped_time"] is None


async def test_the_next_run_reuses_the_livestream_with_a_new_session(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    """Two runs share the livestream's id and playback URL; only the session tells them apart."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.go_live(meeting)
    first, first_session = (await active(client, meeting)).json()["data"], await session(client, kit, meeting)

    kit.clock.advance(600)
    kit.end(meeting)
    kit.clock.advance(600)
    kit.go_live(meeting)

    second, second_session = (await active(client, meeting)).json()["data"], await session(client, kit, meeting)
    assert (second["id"], second["playback_url"]) == (first["id"], first["playback_url"])
    assert second_session["id"] != first_session["id"]
    assert second_session["started_time"] > first_session["started_time"]
    assert [each.open for each in kit.meetings[meeting].sessions] == [False, True]


async def test_a_failed_run_tells_its_reason_in_the_session(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """ERRORED is answered as a livestream; why is only in its session, which is over."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.go_live(meeting)

    kit.fail(meeting, "encoder gone")

    over = await session(client, kit, meeting)
    assert await status(client, meeting) == "ERRORED"
    assert over["err_message"] == "encoder gone"
    assert over["stopped_time"] is not None


@pytest.mark.parametrize(
    ("after_end", "expected"), [(AfterEnd.NOT_FOUND, 404), (AfterEnd.OFFLINE, "OFFLINE"), (AfterEnd.IDLE, "IDLE")]
)
async def test_what_is_answered_after_the_end_is_selectable(
    kit: RealtimeKit, client: httpx.AsyncClient, after_end: AfterEnd, expected: Any
) -> None:
    """After an end the endpoint answers as chosen, and the session has its stop time."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.go_live(meeting)

    kit.clock.advance(90)
    kit.end(meeting, after_end)

    assert await status(client, meeting) == expected
    assert (await session(client, kit, meeting))["stopped_time"] == "2026-06-03T12:01:30.000Z"


async def test_ingest_seconds_read_sixty_at_first(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """The count of seconds reads 60 until it is believable, as Cloudflare's does."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.go_live(meeting)

    early = (await session(client, kit, meeting))["ingest_seconds"]
    kit.clock.advance(90)

    assert early == 60
    assert (await session(client, kit, meeting))["ingest_seconds"] == 90


def test_steps_that_cannot_be_made_are_refused(kit: RealtimeKit) -> None:
    """Nothing drops, fails or ends that does not run, and nothing that runs starts again."""
    meeting = kit.add_meeting("Weekly sync").id

    with pytest.raises(ImpossibleError):
        kit.drop(meeting)
    with pytest.raises(ImpossibleError):
        kit.end(meeting)
    kit.start(meeting)
    with pytest.raises(ImpossibleError):
        kit.start(meeting)


async def test_refusals_of_the_application_are_told_apart_by_their_words(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    """No such meeting and no livestream are both 404 in the same envelope; a malformed id is 400."""
    quiet = kit.add_meeting("Weekly sync").id

    unknown, none, malformed = [await active(client, each) for each in (NOWHERE, quiet, "not-a-uuid")]

    assert [each.status_code for each in (unknown, none, malformed)] == [404, 404, 400]
    assert [each.json()["error"]["code"] for each in (unknown, none, malformed)] == [404, 404, 400]
    assert unknown.json()["error"]["message"] != none.json()["error"]["message"]


async def test_the_gateway_turns_strangers_away(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """A bad token is 401 with code 10000; a wrong account or app is 7003; an unknown path is 7000; all in `errors`."""
    kit.seed()
    path = f"meetings/{seeds.LIVE}/active-livestream"
    stranger = {"authorization": "Bearer nobody"}
    elsewhere = str(client.base_url).replace(kit.account_id, "f" * 32)
    other_app = str(client.base_url).replace(kit.app_id, "another-app")

    answers = [
        await client.get(path, headers=stranger),
        await client.get(elsewhere + path),
        await client.get(other_app + path),
        await client.get("weather"),
    ]

    assert [each.status_code for each in answers] == [401, 404, 404, 404]
    assert [each.json()["errors"][0]["code"] for each in answers] == [10000, 7003, 7003, 7000]
    assert all(each.json()["result"] is None for each in answers)


async def test_a_livestream_is_started_and_stopped_over_http(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """A start answers 201 with the broadcaster's keys, a second one 400; a stop 200, a second one 404."""
    meeting = kit.add_meeting("Weekly sync").id

    started = await client.post(f"meetings/{meeting}/livestreams", json={"name": "weekly-sync"})
    again = await client.post(f"meetings/{meeting}/livestreams")
    stopped = await client.post(f"meetings/{meeting}/active-livestream/stop")
    stopped_again = await client.post(f"meetings/{meeting}/active-livestream/stop")

    assert [each.status_code for each in (started, again, stopped, stopped_again)] == [201, 400, 200, 404]
    assert started.json()["data"]["status"] == "INVOKED"
    assert (await client.get("livestreams")).json()["data"][0]["name"] == "weekly-sync"
    assert started.json()["data"]["stream_key"] in kit.secrets


@pytest.mark.parametrize("body", [b'{"name": "no spaces"}', b"{", b'{"video_config": {"width": 0}}'])
async def test_a_start_with_a_bad_body_is_refused(kit: RealtimeKit, client: httpx.AsyncClient, body: bytes) -> None:
    """A name outside the documented letters, or no JSON, is 400, and nothing starts."""
    meeting = kit.add_meeting("Weekly sync").id

    response = await client.post(f"meetings/{meeting}/livestreams", content=body)

    assert response.status_code == 400
    assert kit.meetings[meeting].livestream is None


async def test_there_is_no_session_without_a_run(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """A livestream that never ran, one that does not exist, and a malformed id are refused, each in its own words."""
    idle = kit.change_livestream(kit.add_meeting("Weekly sync").id, name="not yet").livestream
    assert idle

    answers = [await client.get(f"livestreams/{each}/active-livestream-session") for each in (idle.id, NOWHERE, "x")]

    assert [each.status_code for each in answers] == [404, 404, 400]
    assert len({each.json()["error"]["message"] for each in answers}) == 3


async def test_a_method_without_an_endpoint_is_the_gateways_to_refuse(client: httpx.AsyncClient) -> None:
    """A known path with another method is 405 with code 7001."""
    response = await client.delete("meetings")

    assert response.status_code == 405
    assert response.json()["errors"][0]["code"] == 7001
