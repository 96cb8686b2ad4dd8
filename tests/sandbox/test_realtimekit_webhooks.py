"""The sandbox's RealtimeKit: its webhooks over the API, and the address of their key."""

from typing import Any

import httpx
import pytest

from sandbox.realtimekit import Fault, RealtimeKit
from tests.sandbox.receiver import published_key

URL = "https://bot.example.com/realtimekit/webhooks"
BODY = {"name": "Bot", "url": URL, "events": ["livestreaming.statusUpdate", "meeting.ended"], "enabled": False}
NOWHERE = "webhooks/00000000-0000-4000-8000-000000000000"


async def test_a_webhook_is_added_and_found(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """What is added is answered whole, listed, and found by its id in any case."""
    added = await client.post("webhooks", json=BODY)
    webhook = added.json()["data"]

    assert (added.status_code, added.json()["success"]) == (201, True)
    noon = "2026-06-03T12:00:00.000Z"
    assert webhook == {**BODY, "id": webhook["id"], "created_at": noon, "updated_at": noon}
    assert (await client.get("webhooks")).json()["data"] == [webhook]
    assert (await client.get(f"webhooks/{webhook['id'].upper()}")).json()["data"] == webhook
    assert list(kit.webhooks) == [webhook["id"]]


async def test_a_webhook_is_changed_in_part(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """PATCH leaves what it does not name, and the time of the change is told."""
    before = (await client.post("webhooks", json=BODY)).json()["data"]
    kit.clock.advance(60)

    enabled = (await client.patch(f"webhooks/{before['id']}", json={"enabled": True})).json()["data"]
    narrowed = (await client.patch(f"webhooks/{before['id']}", json={"events": ["meeting.ended"] * 2})).json()["data"]

    assert enabled == {**before, "enabled": True, "updated_at": "2026-06-03T12:01:00.000Z"}
    assert narrowed == {**enabled, "events": ["meeting.ended"]}


async def test_a_webhook_is_replaced(client: httpx.AsyncClient) -> None:
    """PUT needs everything but `enabled`, which is then true."""
    before = (await client.post("webhooks", json=BODY)).json()["data"]
    path = f"webhooks/{before['id']}"

    partial = await client.put(path, json={"enabled": True})
    replaced = await client.put(path, json={"name": "New", "url": URL, "events": ["meeting.started"]})

    assert partial.status_code == 400
    assert replaced.json()["data"] == {**before, "name": "New", "events": ["meeting.started"], "enabled": True}


async def test_a_webhook_is_deleted(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """DELETE shows it once more; after that there is none."""
    webhook = (await client.post("webhooks", json=BODY)).json()["data"]
    path = f"webhooks/{webhook['id']}"

    deleted = await client.delete(path)
    again = await client.delete(path)

    assert deleted.json() == {"success": True, "data": webhook}
    assert again.status_code == 404
    assert kit.webhooks == {}


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
async def test_a_webhook_that_is_not_there(client: httpx.AsyncClient, method: str) -> None:
    """An unknown id is 404 and a word that is no id 400, both in the application's envelope."""
    unknown = await client.request(method, NOWHERE, json=BODY)
    nonsense = await client.request(method, "webhooks/x", json=BODY)

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, 404)
    assert (nonsense.status_code, nonsense.json()["error"]["code"]) == (400, 400)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"url": "bot.example.com"}, "url"),
        ({"url": "ftp://bot.example.com/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"events": []}, "events"),
        ({"events": ["livestream.live"]}, "events.0"),
        ({"enabled": "yes"}, "enabled"),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused(
    kit: RealtimeKit, client: httpx.AsyncClient, wrong: dict[str, Any], named: str
) -> None:
    """The answer names what is wrong, and nothing is changed."""
    good = kit.add_webhook(URL)

    added = await client.post("webhooks", json={**BODY, **wrong})
    edited = await client.patch(f"webhooks/{good.id}", json=wrong)

    for answer in (added, edited):
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith(f"{named}: ")
    assert dict(kit.webhooks) == {good.id: good}


async def test_the_conditions_hold_for_webhooks_too(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """Faults, the token and the budget stand before these endpoints as before the others."""
    kit.fail_next(Fault.HTML)
    assert (await client.get("webhooks")).status_code == 502
    assert (await client.get("webhooks", headers={"authorization": "Bearer no"})).status_code == 401
    kit.budget = 1
    assert [(await client.post("webhooks", json=BODY)).status_code for _ in range(2)] == [201, 429]
    assert [call.status for call in kit.calls] == [502, 401, 201, 429]


async def test_the_key_is_for_everybody(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """It needs no token, costs nothing of the budget, and is one PEM in the application's envelope."""
    kit.budget = 0

    key = await published_key(client)

    assert key == kit.public_key
    assert key.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert (await client.get("webhooks")).status_code == 429


async def test_the_key_can_be_out_of_reach(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    """Faults hold for the key as well."""
    kit.fail_next(Fault.SERVER_ERROR)

    answer = await client.get(client.base_url.copy_with(path="/.well-known/webhooks.json"))

    assert answer.status_code == 500
