"""The sandbox's RealtimeKit: every form an active livestream is answered in, and the seeds that show them."""

from typing import Any

import httpx
import pytest

from sandbox.realtimekit import SEEDS, RealtimeKit, Shape, seeds


async def active(client: httpx.AsyncClient, meeting_id: str) -> httpx.Response:
    return await client.get(f"meetings/{meeting_id}/active-livestream")


async def session(client: httpx.AsyncClient, kit: RealtimeKit, meeting_id: str) -> Any:
    livestream = kit.meetings[meeting_id].livestream
    assert livestream
    response = await client.get(f"livestreams/{livestream.id}/active-livestream-session")
    return response.json()["data"]["session"]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Shape.NULL, {"success": True, "data": None}),
        (Shape.EMPTY_OBJECT, {"success": True, "data": {}}),
        (Shape.EMPTY_LIST, {"success": True, "data": []}),
    ],
)
async def test_shapes_that_say_nothing(
    kit: RealtimeKit, client: httpx.AsyncClient, shape: Shape, expected: Any
) -> None:
    """A meeting can be answered for with an empty success, even a live one."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.go_live(meeting)

    kit.change(meeting, shape=shape)

    assert (await active(client, meeting)).json() == expected


async def test_shapes_that_say_the_same_elsewhere(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """The same livestream comes in `data`, in a list in `data`, or in `result`; or not, with success false."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.go_live(meeting)

    answers = {}
    for shape in (Shape.OBJECT, Shape.LIST, Shape.RESULT, Shape.UNSUCCESSFUL):
        kit.change(meeting, shape=shape)
        answers[shape] = (await active(client, meeting)).json()

    plain = answers[Shape.OBJECT]["data"]
    assert plain["meeting_id"] == meeting
    assert answers[Shape.LIST] == {"success": True, "data": [plain]}
    assert answers[Shape.RESULT] == {"success": True, "result": plain}
    assert answers[Shape.UNSUCCESSFUL]["success"] is False


@pytest.mark.parametrize("disabled", ["false", "true", False, True, None])
async def test_disabled_comes_as_it_was_set(kit: RealtimeKit, client: httpx.AsyncClient, disabled: Any) -> None:
    """`disabled` is a string, a boolean or null, as the schema and the examples differ."""
    meeting = kit.add_meeting("Weekly sync").id
    kit.go_live(meeting)

    kit.change_livestream(meeting, disabled=disabled)

    assert (await active(client, meeting)).json()["data"]["disabled"] == disabled


async def test_secrets_are_known_and_never_in_a_repr(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """Every key and ingest server that is sent is in `secrets`; no repr shows one."""
    kit.seed()

    sent = (await client.get("livestreams", params={"per_page": "100"})).json()["data"]

    assert len(sent) == 12
    assert {each["stream_key"] for each in sent} | {each["ingest_server"] for each in sent} == kit.secrets
    assert not [secret for secret in kit.secrets if secret in repr(kit.meetings)]


async def test_what_a_viewer_sees_follows_from_the_meetings_id(kit: RealtimeKit) -> None:
    """Two sandboxes agree on livestream ids and playback URLs, and on no secret."""
    kit.seed()
    other = RealtimeKit()
    other.seed()

    here, there = kit.meetings[seeds.LIVE].livestream, other.meetings[seeds.LIVE].livestream

    assert here
    assert there
    assert (here.id, here.playback_url) == (there.id, there.playback_url)
    assert not kit.secrets & other.secrets


async def test_every_seed_answers_as_its_line_says(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """The seeds cover each status, shape and oddity once, and each has a line for people."""
    kit.seed()

    seen = {}
    for seed in SEEDS:
        response = await active(client, seed.id)
        body = response.json()
        answer = body.get("data", body.get("result")) or {}
        answer = answer[0] if isinstance(answer, list) else answer
        seen[seed.id] = (response.status_code, answer.get("status"))

    live = (200, "LIVE")
    assert seen == {
        seeds.LIVE: live,
        seeds.UNNAMED: live,
        seeds.OLD_PLAYBACK: live,
        seeds.STARTING: (200, "INVOKED"),
        seeds.IDLE: (200, "IDLE"),
        seeds.OFFLINE: (200, "OFFLINE"),
        seeds.ERRORED: (200, "ERRORED"),
        seeds.UNKNOWN_STATUS: (200, "PAUSED"),
        seeds.NEVER_LIVE: (404, None),
        seeds.NASTY_NAME: live,
        seeds.AS_LIST: live,
        seeds.UNDER_RESULT: live,
        seeds.NULL_DATA: (200, None),
        seeds.NO_PLAYBACK: live,
    }
    assert len({seed.about for seed in SEEDS}) == len(SEEDS)


async def test_the_live_seed_has_been_live_for_25_minutes(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """The keynote's session began 25 minutes ago, and its `disabled` is a string."""
    kit.seed()

    keynote = (await active(client, seeds.LIVE)).json()["data"]

    assert (keynote["name"], keynote["disabled"]) == ("launch-week-main-stage", "false")
    assert (await session(client, kit, seeds.LIVE))["started_time"] == "2026-06-03T11:35:00.000Z"
