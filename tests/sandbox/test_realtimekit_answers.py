"""The sandbox's RealtimeKit: every shape of an active livestream, and the seeds that show them."""

from typing import Any

import httpx
import pytest

from sandbox.realtimekit import SEEDS, RealtimeKit, Shape, seeds
from tests.sandbox.conftest import get_active_livestream, get_session


@pytest.fixture
def live(kit: RealtimeKit) -> str:
    """Return the ID of a live meeting."""
    return kit.go_live(kit.add_meeting("Weekly sync").id).id


async def test_each_shape_carries_the_same_livestream_or_nothing(
    kit: RealtimeKit, client: httpx.AsyncClient, live: str
) -> None:
    async def answer(shape: Shape) -> Any:
        kit.change(live, shape=shape)
        return (await get_active_livestream(client, live)).json()

    plain = (await answer(Shape.OBJECT))["data"]
    assert plain["meeting_id"] == live
    assert await answer(Shape.LIST) == {"success": True, "data": [plain]}
    assert await answer(Shape.RESULT) == {"success": True, "result": plain}
    assert (await answer(Shape.UNSUCCESSFUL))["success"] is False
    for shape, nothing in ((Shape.NULL, None), (Shape.EMPTY_OBJECT, {}), (Shape.EMPTY_LIST, [])):
        assert await answer(shape) == {"success": True, "data": nothing}


async def test_disabled_is_sent_with_the_type_that_was_set(
    kit: RealtimeKit, client: httpx.AsyncClient, live: str
) -> None:
    """Cloudflare's schema and examples differ in it."""
    for disabled in ("false", "true", False, True, None):
        kit.change_livestream(live, disabled=disabled)
        sent = (await get_active_livestream(client, live)).json()["data"]["disabled"]
        assert (sent, type(sent)) == (disabled, type(disabled))


async def test_secrets_contain_everything_secret_and_no_repr_shows_one(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    kit.seed()

    sent = (await client.get("livestreams", params={"per_page": "100"})).json()["data"]

    assert len(sent) == 12
    assert {each["stream_key"] for each in sent} | {each["ingest_server"] for each in sent} == kit.secrets
    assert not [secret for secret in kit.secrets if secret in repr(kit.meetings)]


async def test_livestream_id_and_playback_url_derive_from_the_meeting_id(kit: RealtimeKit) -> None:
    kit.seed()
    other = RealtimeKit()
    other.seed()

    here, there = kit.meetings[seeds.LIVE].livestream, other.meetings[seeds.LIVE].livestream

    assert here
    assert there
    assert (here.id, here.playback_url) == (there.id, there.playback_url)
    assert not kit.secrets & other.secrets


async def test_every_seed_has_its_status_and_a_unique_description(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.seed()

    seen = {}
    for seed in SEEDS:
        response = await get_active_livestream(client, seed.id)
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


async def test_live_seed_has_been_live_for_25_minutes(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    kit.seed()

    keynote = (await get_active_livestream(client, seeds.LIVE)).json()["data"]

    assert (keynote["name"], keynote["disabled"]) == ("launch-week-main-stage", "false")
    assert (await get_session(client, kit, seeds.LIVE))["started_time"] == "2026-06-03T11:35:00.000Z"
