"""The sandbox's RealtimeKit: webhooks over the API, and the URL of their key."""

from typing import Any

import httpx

from sandbox.realtimekit import Fault, RealtimeKit
from tests.sandbox.receiver import published_key

URL = "https://bot.example.com/realtimekit/webhooks"
BODY = {"name": "Bot", "url": URL, "events": ["livestreaming.statusUpdate", "meeting.ended"], "enabled": False}
NOWHERE = "webhooks/00000000-0000-4000-8000-000000000000"


async def test_added_webhook_is_listed_and_found_by_id(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    added = await client.post("webhooks", json=BODY)
    webhook = added.json()["data"]

    assert (added.status_code, added.json()["success"]) == (201, True)
    noon = "2026-06-03T12:00:00.000Z"
    assert webhook == {**BODY, "id": webhook["id"], "created_at": noon, "updated_at": noon}
    assert (await client.get("webhooks")).json()["data"] == [webhook]
    assert (await client.get(f"webhooks/{webhook['id'].upper()}")).json()["data"] == webhook
    assert list(kit.webhooks) == [webhook["id"]]


async def test_patch_changes_only_the_given_fields(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    before = (await client.post("webhooks", json=BODY)).json()["data"]
    kit.clock.advance(60)

    enabled = (await client.patch(f"webhooks/{before['id']}", json={"enabled": True})).json()["data"]
    narrowed = (await client.patch(f"webhooks/{before['id']}", json={"events": ["meeting.ended"] * 2})).json()["data"]

    assert enabled == {**before, "enabled": True, "updated_at": "2026-06-03T12:01:00.000Z"}
    assert narrowed == {**enabled, "events": ["meeting.ended"]}


async def test_put_replaces_a_webhook_and_enables_it_by_default(client: httpx.AsyncClient) -> None:
    before = (await client.post("webhooks", json=BODY)).json()["data"]
    path = f"webhooks/{before['id']}"

    partial = await client.put(path, json={"enabled": True})
    replaced = await client.put(path, json={"name": "New", "url": URL, "events": ["meeting.started"]})

    assert partial.status_code == 400
    assert replaced.json()["data"] == {**before, "name": "New", "events": ["meeting.started"], "enabled": True}


async def test_delete_returns_the_webhook_once(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    webhook = (await client.post("webhooks", json=BODY)).json()["data"]
    path = f"webhooks/{webhook['id']}"

    deleted = await client.delete(path)
    again = await client.delete(path)

    assert deleted.json() == {"success": True, "data": webhook}
    assert again.status_code == 404
    assert kit.webhooks == {}


async def test_unknown_webhook_is_404_and_an_invalid_id_400(client: httpx.AsyncClient) -> None:
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        for path, code in ((NOWHERE, 404), ("webhooks/x", 400)):
            answer = await client.request(method, path, json=BODY)
            assert (method, answer.status_code, answer.json()["error"]["code"]) == (method, code, code)


async def test_invalid_body_is_rejected_with_the_fields_name(kit: RealtimeKit, client: httpx.AsyncClient) -> None:
    good = kit.add_webhook(URL)
    invalid: list[tuple[str, dict[str, Any]]] = [
        ("url", {"url": "bot.example.com"}),
        ("url", {"url": "ftp://bot.example.com/"}),
        ("url", {"url": "https://"}),
        ("name", {"name": ""}),
        ("name", {"name": None}),
        ("events", {"events": []}),
        ("events.0", {"events": ["livestream.live"]}),
        ("enabled", {"enabled": "yes"}),
    ]
    for named, wrong in invalid:
        added = await client.post("webhooks", json={**BODY, **wrong})
        edited = await client.patch(f"webhooks/{good.id}", json=wrong)
        for answer in (added, edited):
            assert (wrong, answer.status_code) == (wrong, 400)
            assert answer.json()["error"]["message"].startswith(f"{named}: ")

    assert dict(kit.webhooks) == {good.id: good}


async def test_faults_token_and_rate_limit_apply_to_webhooks_and_only_faults_to_their_key(
    kit: RealtimeKit, client: httpx.AsyncClient
) -> None:
    kit.fail_next(Fault.HTML)
    assert (await client.get("webhooks")).status_code == 502
    assert (await client.get("webhooks", headers={"authorization": "Bearer no"})).status_code == 401
    kit.budget = 1
    assert [(await client.post("webhooks", json=BODY)).status_code for _ in range(2)] == [201, 429]
    assert [call.status for call in kit.calls] == [502, 401, 201, 429]

    key = await published_key(client)
    assert key == kit.public_key
    assert key.startswith("-----BEGIN PUBLIC KEY-----\n")
    kit.fail_next(Fault.SERVER_ERROR)
    url = client.base_url.copy_with(path="/.well-known/webhooks.json")
    assert (await client.get(url)).status_code == 500
