"""The sandbox's RealtimeKit: what its webhooks deliver over a real socket, how often, and signed by whom."""

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
    """Where the receiver listens."""
    async with serving(receiver.asgi, listen(), drain_seconds=1) as base:
        yield base + PATH


@pytest.fixture
async def delivering(kit: RealtimeKit, url: str) -> AsyncIterator[None]:
    """The receiver is told of everything."""
    kit.add_webhook(url)
    async with kit.delivering():
        yield


def outcomes(kit: RealtimeKit) -> list[tuple[int | None, int]]:
    return [(each.status, each.attempts) for each in kit.deliveries]


@pytest.mark.usefixtures("delivering")
async def test_a_change_is_told_and_its_signature_holds(
    kit: RealtimeKit, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    """Who reads the published key can verify the raw body, and sees which webhook it comes from."""
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id)
    await kit.deliveries_settled()

    key = await published_key(client)
    assert receiver.events == ["livestreaming.statusUpdate LIVE", "meeting.started"]
    for received in receiver.received:
        assert is_signed(received, key)
        assert received.json["meeting"]["id"] == meeting.id
        assert received.headers["rtk-webhook-id"] in kit.webhooks
        assert received.headers["content-type"] == "application/json"


@pytest.mark.usefixtures("delivering")
async def test_a_signature_holds_for_the_raw_body_only(
    kit: RealtimeKit, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    """JSON that was read and written again is another body."""
    kit.start(kit.add_meeting("Zürich").id)
    await kit.deliveries_settled()

    [received] = receiver.received
    rewritten = dataclasses.replace(received, body=json.dumps(received.json).encode())
    assert not is_signed(rewritten, await published_key(client))


@pytest.mark.usefixtures("delivering")
async def test_the_log_says_how_each_delivery_went(kit: RealtimeKit, receiver: Receiver) -> None:
    """The log tells event, meeting, status, attempts and time; listeners hear the same."""
    heard: list[Delivery] = []
    kit.on_delivery.append(heard.append)
    receiver.statuses.extend([200, 204, 404])
    meeting = kit.go_live(kit.add_meeting("Weekly sync").id)
    kit.drop(meeting.id)
    await kit.deliveries_settled()

    assert {each.status: each.delivered for each in kit.deliveries} == {200: True, 204: True, 404: False}
    assert {(each.meeting_id, each.attempts, each.at) for each in heard} == {(meeting.id, 1, kit.clock.now())}
    assert heard == list(kit.deliveries)


@pytest.mark.usefixtures("delivering")
async def test_what_has_ended_does_not_wait(kit: RealtimeKit) -> None:
    """Who hears of a delivery's end counts only the others: after the last one nobody is told to count again."""
    waiting: list[int] = []
    kit.on_delivery.append(lambda _: waiting.append(kit.deliveries_waiting))

    kit.go_live(kit.add_meeting("Weekly sync").id)
    await kit.deliveries_settled()

    assert waiting == [1, 0]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 429])
@pytest.mark.usefixtures("delivering")
async def test_what_is_refused_below_500_is_not_tried_again(kit: RealtimeKit, receiver: Receiver, status: int) -> None:
    """Whatever a receiver says below 500 is its last word; a redirect is not followed."""
    receiver.statuses.append(status)
    kit.forge_delivery(kit.add_meeting("Weekly sync").id)
    await kit.deliveries_settled()

    assert outcomes(kit) == [(status, 1)]


class TestRetries:
    """On a clock that runs two thousand times as fast."""

    @pytest.fixture
    def kit(self) -> RealtimeKit:
        return RealtimeKit(clock=Clock(speed=2000))

    @pytest.mark.usefixtures("delivering")
    async def test_5xx_is_tried_again_with_a_new_uuid(self, kit: RealtimeKit, receiver: Receiver) -> None:
        """The same body comes again until it is taken, under another `rtk-uuid`."""
        receiver.statuses.extend([503, 500])
        kit.start(kit.add_meeting("Weekly sync").id)
        await kit.deliveries_settled()

        assert outcomes(kit) == [(200, 3)]
        assert len({each.body for each in receiver.received}) == 1
        assert len({each.headers["rtk-uuid"] for each in receiver.received}) == 3

    @pytest.mark.usefixtures("delivering")
    async def test_after_five_more_attempts_it_is_given_up(self, kit: RealtimeKit, receiver: Receiver) -> None:
        """The waits between the attempts grow."""
        receiver.statuses.extend([503] * 10)
        kit.start(kit.add_meeting("Weekly sync").id)
        await kit.deliveries_settled()

        assert outcomes(kit) == [(503, 6)]
        times = [each.at for each in receiver.received]
        waits = [late - early for early, late in itertools.pairwise(times)]
        assert all(waited >= wait for waited, wait in zip(waits, RETRY_WAITS, strict=True))
        assert sorted(RETRY_WAITS) == list(RETRY_WAITS)

    async def test_a_connection_that_breaks_is_tried_again(self, kit: RealtimeKit, url: str) -> None:
        """No answer is no last word; the next attempt goes where the webhook's address is by then."""
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
    async def test_silence_is_tried_again(self, kit: RealtimeKit, receiver: Receiver) -> None:
        """A receiver has three seconds to answer; what it does after that counts for nothing."""
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

    @pytest.mark.parametrize("removed", [True, False])
    @pytest.mark.usefixtures("delivering")
    async def test_a_webhook_that_is_gone_is_told_nothing_any_more(
        self, kit: RealtimeKit, receiver: Receiver, removed: bool
    ) -> None:
        """What waits for another attempt is over when the webhook is removed or disabled."""
        receiver.statuses.append(503)
        kit.webhooks_held = True
        kit.start(kit.add_meeting("Weekly sync").id)
        [webhook_id] = kit.webhooks
        if removed:
            kit.remove_webhook(webhook_id)
        else:
            kit.change_webhook(webhook_id, enabled=False)
        kit.webhooks_held = False
        await kit.deliveries_settled()

        assert outcomes(kit) == [(None, 0)]
        assert receiver.received == []


@pytest.mark.usefixtures("delivering")
async def test_held_deliveries_leave_when_they_are_released(kit: RealtimeKit, receiver: Receiver) -> None:
    """Holding loses nothing."""
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


async def test_what_happens_before_there_is_a_courier_waits(kit: RealtimeKit, receiver: Receiver, url: str) -> None:
    """Changes outside of `delivering` are told at its next beginning."""
    kit.add_webhook(url)
    kit.start(kit.add_meeting("Weekly sync").id)
    waiting = kit.deliveries_waiting
    async with kit.delivering():
        await kit.deliveries_settled()

    assert waiting == 1
    assert receiver.events == ["meeting.started"]


async def test_too_many_waiting_deliveries_are_dropped(kit: RealtimeKit) -> None:
    """The queue has an end: what comes after it is over at once, and the log says so."""
    kit.add_webhook("http://127.0.0.1:1/")
    for _ in range(WAITING_MAX + 1):
        kit.forge_delivery("50c8940e-1b97-402a-97d6-2708b7feca41")

    assert kit.deliveries_waiting == WAITING_MAX
    assert outcomes(kit) == [(None, 0)]


async def test_the_end_of_delivering_gives_up_what_is_under_way(kit: RealtimeKit, receiver: Receiver, url: str) -> None:
    """Neither a silent receiver nor a wait for another attempt holds the end up."""
    kit.add_webhook(url)
    receiver.statuses.extend([503, 0])
    async with asyncio.timeout(5), kit.delivering():
        kit.go_live(kit.add_meeting("Weekly sync").id)
        await receiver.got(2)

    assert outcomes(kit) == []
    assert kit.deliveries_waiting == 0


@pytest.mark.usefixtures("delivering")
async def test_a_delivery_is_repeated_to_the_last_bit(kit: RealtimeKit, receiver: Receiver) -> None:
    """A replay has the headers and the body of the last delivery that was not forged."""
    none_yet = kit.repeat_last_delivery()
    meeting = kit.start(kit.add_meeting("Weekly sync").id)
    await kit.deliveries_settled()
    kit.forge_delivery(meeting.id)
    await kit.deliveries_settled()
    repeated = kit.repeat_last_delivery(20)
    await kit.deliveries_settled()

    assert (none_yet, repeated) == (False, True)
    original, _, *replays = receiver.received
    assert len(replays) == 20
    for replay in replays:
        assert (replay.body, replay.headers) == (original.body, original.headers)


@pytest.mark.usefixtures("delivering")
async def test_a_forged_delivery_does_not_hold(kit: RealtimeKit, receiver: Receiver, client: httpx.AsyncClient) -> None:
    """It looks like the others, but for who signed it."""
    meeting = kit.add_meeting("Weekly sync")
    kit.forge_delivery(meeting.id)
    await kit.deliveries_settled()

    [forged] = receiver.received
    assert (forged.json["status"], forged.json["meeting"]["id"]) == ("LIVE", meeting.id)
    assert not is_signed(forged, await published_key(client))


@pytest.mark.usefixtures("delivering")
async def test_after_a_rotation_only_the_new_key_holds(
    kit: RealtimeKit, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    """What was signed before does not hold under the new key, nor the other way round."""
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
async def test_only_what_was_asked_for_is_told(kit: RealtimeKit, receiver: Receiver, url: str) -> None:
    """A webhook hears its own events, and nothing while it is disabled."""
    [first] = kit.webhooks
    kit.change_webhook(first, events=["meeting.ended"])
    second = kit.add_webhook(url, events=["livestreaming.statusUpdate"])
    kit.add_webhook(url, enabled=False)
    kit.end(kit.go_live(kit.add_meeting("Weekly sync").id).id)
    await kit.deliveries_settled()

    told = {(each.headers["rtk-webhook-id"], each.event) for each in receiver.received}
    assert told == {(first, "meeting.ended"), (second.id, "livestreaming.statusUpdate")}
    assert len(receiver.received) == 3


def test_no_repr_of_the_kit_shows_a_secret(kit: RealtimeKit) -> None:
    """The bodies carry the broadcaster's secrets; nothing that is printed does."""
    kit.add_webhook("http://127.0.0.1:1/")
    kit.go_live(kit.add_meeting("Weekly sync").id)

    shown = repr(list(kit._postman._backlog)) + repr(kit.deliveries)
    assert "parcel" in shown.lower()
    assert not any(secret in shown for secret in kit.secrets)
