"""The sandbox's RealtimeKit: webhook deliveries over a real socket, their retries and signatures."""

import asyncio
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from bot.uvicorn_server import listen, serving, url_of
from sandbox.clock import Clock
from sandbox.realtimekit import Delivery, RealtimeKit
from sandbox.realtimekit.postman import RETRY_WAITS, WAITING_MAX
from tests.sandbox.receiver import PATH, Receiver, is_signed, published_key


@pytest.fixture
def receiver(kit: RealtimeKit) -> Receiver:
    return Receiver(kit.clock)


@pytest.fixture
async def url(receiver: Receiver) -> AsyncIterator[str]:
    """Yield the receiver's URL."""
    async with serving(receiver.asgi, listen(), drain_seconds=1) as base:
        yield base + PATH


@pytest.fixture
async def delivering(kit: RealtimeKit, url: str) -> AsyncIterator[None]:
    """Deliver every event to the receiver."""
    kit.add_webhook(url)
    async with kit.delivering():
        yield


def outcomes(kit: RealtimeKit) -> list[tuple[int | None, int]]:
    return [(each.status, each.attempts) for each in kit.deliveries]


@pytest.mark.usefixtures("delivering")
async def test_change_is_delivered_with_a_signature_of_the_raw_body(
    kit: RealtimeKit, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    """JSON that was parsed and written again is another body."""
    meeting = kit.go_live(kit.add_meeting("Zürich").id)
    await kit.deliveries_settled()

    key = await published_key(client)
    assert receiver.events == ["livestreaming.statusUpdate LIVE", "meeting.started"]
    for received in receiver.received:
        assert is_signed(received, key)
        assert not is_signed(dataclasses.replace(received, body=json.dumps(received.json).encode()), key)
        assert received.json["meeting"]["id"] == meeting.id
        assert received.headers["rtk-webhook-id"] in kit.webhooks
        assert received.headers["content-type"] == "application/json"


@pytest.mark.usefixtures("delivering")
async def test_each_delivery_is_logged_and_reported_to_listeners(kit: RealtimeKit, receiver: Receiver) -> None:
    """A finished one is not counted as waiting."""
    reported: list[tuple[Delivery, int]] = []
    kit.on_delivery.append(lambda delivery: reported.append((delivery, kit.deliveries_waiting)))
    receiver.statuses.extend([200, 204, 404])
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id)
    kit.drop(meeting.id)
    await kit.deliveries_settled()

    assert {each.status: each.delivered for each in kit.deliveries} == {200: True, 204: True, 404: False}
    assert {(each.meeting_id, each.attempts, each.at) for each in kit.deliveries} == {(meeting.id, 1, kit.clock.now())}
    assert reported == list(zip(kit.deliveries, (2, 1, 0), strict=True))


@pytest.mark.usefixtures("delivering")
async def test_response_below_500_is_not_retried(kit: RealtimeKit, receiver: Receiver) -> None:
    meeting_id = kit.add_meeting("Weekly sync").id
    for status in (301, 400, 401, 404, 429):
        receiver.statuses.append(status)
        kit.forge_delivery(meeting_id)
        await kit.deliveries_settled()

    assert outcomes(kit) == [(301, 1), (400, 1), (401, 1), (404, 1), (429, 1)]


class TestRetries:
    """With a clock that runs two thousand times as fast."""

    @pytest.fixture
    def kit(self) -> RealtimeKit:
        return RealtimeKit(clock=Clock(speed=2000))

    @pytest.mark.usefixtures("delivering")
    async def test_5xx_is_retried_five_times_with_new_uuids_and_growing_delays(
        self, kit: RealtimeKit, receiver: Receiver
    ) -> None:
        receiver.statuses.extend([503, 500] * 5)
        kit.start(kit.add_meeting("Weekly sync").id)
        await kit.deliveries_settled()

        assert outcomes(kit) == [(500, 6)]
        assert len({each.body for each in receiver.received}) == 1
        assert len({each.headers["rtk-uuid"] for each in receiver.received}) == 6
        waits = [late.at - early.at for early, late in itertools.pairwise(receiver.received)]
        assert all(waited >= wait for waited, wait in zip(waits, RETRY_WAITS, strict=True))
        assert sorted(RETRY_WAITS) == list(RETRY_WAITS)

    async def test_broken_connection_is_retried_at_the_current_url(self, kit: RealtimeKit, url: str) -> None:
        broken = asyncio.Event()

        async def break_off(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()
            broken.set()

        async with await asyncio.start_server(break_off, sock=listen()) as server, kit.delivering():
            webhook = kit.add_webhook(url_of(server.sockets[0]))
            kit.start(kit.add_meeting("Weekly sync").id)
            await broken.wait()
            kit.change_webhook(webhook.id, url=url)
            await kit.deliveries_settled()

        [(status, attempts)] = outcomes(kit)
        assert status == 200
        assert attempts > 1

    @pytest.mark.usefixtures("delivering")
    async def test_timeout_is_retried(self, kit: RealtimeKit, receiver: Receiver) -> None:
        assert kit.webhook_seconds == 3
        kit.webhook_seconds = 0.05
        receiver.statuses.append(0)
        kit.start(kit.add_meeting("Weekly sync").id)
        await receiver.got(1)
        kit.webhook_seconds = 3
        await kit.deliveries_settled()

        [(status, attempts)] = outcomes(kit)
        assert status == 200
        assert attempts > 1


async def test_removed_or_disabled_webhook_gets_no_delivery(kit: RealtimeKit, receiver: Receiver, url: str) -> None:
    removed, disabled = kit.add_webhook(url), kit.add_webhook(url)
    kit.webhooks_held = True
    async with kit.delivering():
        kit.start(kit.add_meeting("Weekly sync").id)
        kit.remove_webhook(removed.id)
        kit.change_webhook(disabled.id, enabled=False)
        kit.webhooks_held = False
        await kit.deliveries_settled()

    assert outcomes(kit) == [(None, 0)] * 2
    assert receiver.received == []


@pytest.mark.usefixtures("delivering")
async def test_held_deliveries_are_sent_when_released(kit: RealtimeKit, receiver: Receiver) -> None:
    kit.webhooks_held = True
    kit.go_live(kit.add_meeting("Weekly sync").id)
    for _ in range(20):
        await asyncio.sleep(0)
    held = kit.webhooks_held, kit.deliveries_waiting, len(receiver.received)
    kit.webhooks_held = False
    await kit.deliveries_settled()

    assert held == (True, 2, 0)
    assert len(receiver.received) == 2
    assert (kit.webhooks_held, kit.deliveries_waiting) == (False, 0)


async def test_changes_before_delivering_are_delivered_later(kit: RealtimeKit, receiver: Receiver, url: str) -> None:
    kit.add_webhook(url)
    kit.start(kit.add_meeting("Weekly sync").id)
    assert kit.deliveries_waiting == 1

    async with kit.delivering():
        await kit.deliveries_settled()

    assert receiver.events == ["meeting.started"]


async def test_deliveries_beyond_the_queue_limit_are_dropped_and_logged(kit: RealtimeKit) -> None:
    kit.add_webhook("http://127.0.0.1:1/")
    for _ in range(WAITING_MAX + 1):
        kit.forge_delivery("50c8940e-1b97-402a-97d6-2708b7feca41")

    assert kit.deliveries_waiting == WAITING_MAX
    assert outcomes(kit) == [(None, 0)]


async def test_end_of_delivering_cancels_deliveries_in_flight(kit: RealtimeKit, receiver: Receiver, url: str) -> None:
    kit.add_webhook(url)
    receiver.statuses.extend([503, 0])
    async with asyncio.timeout(5), kit.delivering():
        kit.go_live(kit.add_meeting("Weekly sync").id)
        await receiver.got(2)

    assert outcomes(kit) == []
    assert kit.deliveries_waiting == 0


@pytest.mark.usefixtures("delivering")
async def test_replay_repeats_the_last_delivery_but_none_with_a_forged_signature(
    kit: RealtimeKit, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    assert kit.repeat_last_delivery() is False
    meeting = kit.start(kit.add_meeting("Weekly sync").id)
    await kit.deliveries_settled()
    kit.forge_delivery(meeting.id)
    await kit.deliveries_settled()
    assert kit.repeat_last_delivery(20) is True
    await kit.deliveries_settled()

    original, forged, *replays = receiver.received
    assert [(replay.body, replay.headers) for replay in replays] == [(original.body, original.headers)] * 20
    assert (forged.json["status"], forged.json["meeting"]["id"]) == ("LIVE", meeting.id)
    assert not is_signed(forged, await published_key(client))


@pytest.mark.usefixtures("delivering")
async def test_only_the_new_key_is_valid_after_a_rotation(
    kit: RealtimeKit, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    old = await published_key(client)
    meeting = kit.start(kit.add_meeting("Weekly sync").id)
    await kit.deliveries_settled()
    kit.rotate_key()
    kit.end(meeting.id)
    await kit.deliveries_settled()

    new = await published_key(client)
    before, *after = receiver.received
    assert [is_signed(before, key) for key in (old, new)] == [True, False]
    assert [is_signed(each, key) for each in after for key in (old, new)] == [False, True] * 2


@pytest.mark.usefixtures("delivering")
async def test_webhook_gets_only_its_events_while_enabled(kit: RealtimeKit, receiver: Receiver, url: str) -> None:
    [first] = kit.webhooks
    kit.change_webhook(first, events=["meeting.ended"])
    second = kit.add_webhook(url, events=["livestreaming.statusUpdate"])
    kit.add_webhook(url, enabled=False)
    kit.end(kit.go_live(kit.add_meeting("Weekly sync").id).id)
    await kit.deliveries_settled()

    delivered = {(each.headers["rtk-webhook-id"], each.event) for each in receiver.received}
    assert delivered == {(first, "meeting.ended"), (second.id, "livestreaming.statusUpdate")}
    assert len(receiver.received) == 3


def test_repr_of_deliveries_shows_no_secret(kit: RealtimeKit) -> None:
    kit.add_webhook("http://127.0.0.1:1/")
    kit.go_live(kit.add_meeting("Weekly sync").id)

    shown = repr(list(kit._postman._backlog)) + repr(kit.deliveries)
    assert "parcel" in shown.lower()
    assert not any(secret in shown for secret in kit.secrets)
