"""RealtimeKit's webhooks at the HTTP server: the responses and effects."""

import asyncio
import gc
import io
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import aiohttp
import httpx
import pytest

from bot import http_server
from bot.errors import DatabaseUnavailable
from bot.http_server import WebhookReceiver, create_web
from bot.metrics import Metrics
from bot.realtimekit.webhook_events import WebhookVerifier, open_key_http
from bot.request_bodies import MAX_BODY_BYTES
from bot.store.store import open_store
from bot.uvicorn_server import listen, serving
from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit, seeds
from tests.realtimekit.keys import KeyServer, signature_headers, status_update

MEETING = UUID("bbb8940e-1b97-402a-97d6-2708b7feca41")
NOT_FOLLOWED = UUID("00000000-0000-4000-8000-000000000000")
BODY = status_update()


class Receiver:
    """A bot's HTTP server with a poller that follows one meeting."""

    def __init__(self) -> None:
        self.keys = KeyServer()
        self.metrics = Metrics()
        self.check_requested: list[UUID] = []
        self.error: Exception | None = None
        self.url = ""

    async def request_check(self, meeting_id: UUID) -> bool:
        if self.error:
            raise self.error
        self.check_requested.append(meeting_id)
        return meeting_id == MEETING

    def app(self, request_check: Callable[..., object] | None = None) -> object:
        webhooks = WebhookReceiver(WebhookVerifier(self.keys.http), request_check or self.request_check)  # type: ignore[arg-type]
        return create_web(self.metrics, {}, None, webhooks)

    async def post(self, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session:
            sent = session.post(self.url, data=body, headers=signature_headers(body) if headers is None else headers)
            async with sent as response:
                return response.status, (await response.text()).strip()

    def counted(self) -> dict[str, float]:
        """Return the number of webhooks by outcome."""
        [family] = self.metrics.webhooks.collect()
        samples = [each for each in family.samples if each.name.endswith("_total") and each.value]
        return {each.labels["outcome"]: each.value for each in samples}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with serving(receiver.app(), listen(), drain_seconds=1) as url:
        receiver.url = f"{url}/realtimekit/webhooks"
        yield receiver


async def test_webhook_about_a_followed_meeting_requests_a_check(receiver: Receiver) -> None:
    assert await receiver.post(BODY) == (200, "check_requested")
    assert receiver.check_requested == [MEETING]
    assert receiver.counted() == {"check_requested": 1}


async def test_webhook_about_an_unfollowed_meeting_is_accepted(receiver: Receiver) -> None:
    assert await receiver.post(status_update(str(NOT_FOLLOWED))) == (200, "not_followed")
    assert receiver.counted() == {"not_followed": 1}


async def test_webhook_about_another_event_is_ignored(receiver: Receiver) -> None:
    assert await receiver.post(status_update(event="recording.statusUpdate")) == (200, "ignored")
    assert receiver.check_requested == []


async def test_forged_webhook_has_no_effect_and_is_not_logged_in_full(receiver: Receiver, log: io.StringIO) -> None:
    assert await receiver.post(BODY, signature_headers(BODY, "other")) == (401, "forged")
    assert await receiver.post(BODY, {}) == (401, "forged")

    assert receiver.check_requested == []
    assert receiver.counted() == {"forged": 2}
    assert '"outcome": "forged"' in log.getvalue()
    assert "stream-key" not in log.getvalue()
    assert str(MEETING) not in log.getvalue()


async def test_signature_is_verified_before_the_body_is_parsed(receiver: Receiver) -> None:
    assert (await receiver.post(b"no JSON", {}))[0] == 401


async def test_signed_body_that_is_no_json_object_is_rejected(receiver: Receiver) -> None:
    assert await receiver.post(b"no JSON") == (400, "not_json")


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_above_256_kb_is_rejected(receiver: Receiver, chunked: bool) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)

    async def chunks() -> AsyncIterator[bytes]:
        yield body[:100]
        yield body[100:]

    data = chunks() if chunked else io.BytesIO(body)
    async with (
        aiohttp.ClientSession() as session,
        session.post(receiver.url, data=data, headers=signature_headers(body)) as response,
    ):
        assert response.status == 413
    assert receiver.counted() == {"too_long": 1}


async def test_body_of_256_kb_is_read(receiver: Receiver) -> None:
    assert await receiver.post(BODY.ljust(MAX_BODY_BYTES)) == (200, "check_requested")


async def test_unavailable_key_asks_for_a_retry_and_is_logged(receiver: Receiver, log: io.StringIO) -> None:
    receiver.keys.answer = lambda: httpx.Response(500)

    assert await receiver.post(BODY) == (503, "key_unreachable")
    assert '"error": "HTTP 500"' in log.getvalue()


async def test_unavailable_database_asks_for_a_retry_and_is_logged(receiver: Receiver, log: io.StringIO) -> None:
    receiver.error = DatabaseUnavailable(detail="the disk is full")

    assert await receiver.post(BODY) == (503, "database_unavailable")
    assert '"error": "the disk is full"' in log.getvalue()


async def test_locked_database_asks_for_a_retry_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is still requested when the lock is released."""
    store = await open_store(f"sqlite:///{tmp_path}/bot.db")
    receiver = Receiver()

    other = sqlite3.connect(tmp_path / "bot.db", isolation_level=None)
    check_requested = asyncio.Event()

    async def request_check(meeting_id: UUID) -> bool:
        async with store.meeting_queue._db.transaction():
            check_requested.set()
        return True

    async with serving(receiver.app(request_check), listen(), drain_seconds=1) as url:
        receiver.url = f"{url}/realtimekit/webhooks"
        await receiver.post(status_update(event="recording.statusUpdate"))  # the key is fetched
        other.execute("BEGIN IMMEDIATE")
        with monkeypatch.context() as patched:
            patched.setattr(http_server, "WEBHOOK_SECONDS", 0.2)
            late = await receiver.post(BODY)
        in_time = not check_requested.is_set()
        other.execute("ROLLBACK")
        await check_requested.wait()
        again = await receiver.post(BODY)
    other.close()
    await store.close()

    assert (late, again) == ((503, "late"), (200, "check_requested"))
    assert in_time


async def test_check_that_fails_after_the_answer_leaves_no_unretrieved_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receiver, fail = Receiver(), asyncio.Event()

    async def request_check(_meeting_id: UUID) -> bool:
        await fail.wait()
        raise DatabaseUnavailable(detail="the connection was lost")

    async with serving(receiver.app(request_check), listen(), drain_seconds=1) as url:
        receiver.url = f"{url}/realtimekit/webhooks"
        await receiver.post(status_update(event="recording.statusUpdate"))  # the key is fetched
        monkeypatch.setattr(http_server, "WEBHOOK_SECONDS", 0.05)
        assert await receiver.post(BODY) == (503, "late")
        fail.set()
        for _ in range(3):
            await asyncio.sleep(0)
        gc.collect()

    assert "never retrieved" not in caplog.text


async def test_replayed_webhooks_only_repeat_the_check(receiver: Receiver) -> None:
    async with aiohttp.ClientSession() as session:

        async def post() -> int:
            async with session.post(receiver.url, data=BODY, headers=signature_headers(BODY)) as response:
                return response.status

        statuses = await asyncio.gather(*(post() for _ in range(200)))

    assert set(statuses) == {200}
    assert set(receiver.check_requested) == {MEETING}
    assert receiver.keys.requests == 1


async def test_sandbox_webhooks_are_accepted_before_and_after_a_key_rotation(clock: Clock) -> None:
    cloudflare, metrics = RealtimeKit(clock), Metrics()
    cloudflare.seed()
    check_requested: list[UUID] = []

    async def request_check(meeting_id: UUID) -> bool:
        check_requested.append(meeting_id)
        return True

    async with (
        serving(cloudflare.asgi, listen(), drain_seconds=1) as kit_url,
        open_key_http(f"{kit_url}/.well-known/webhooks.json") as http,
    ):
        now = [0.0]
        key = WebhookVerifier(http, timer=lambda: now[0])
        app = create_web(metrics, {}, None, WebhookReceiver(key, request_check))
        async with serving(app, listen(), drain_seconds=1) as url, cloudflare.delivering():
            cloudflare.add_webhook(f"{url}/realtimekit/webhooks")
            cloudflare.drop(seeds.LIVE)
            await cloudflare.deliveries_settled()
            now[0] = 60
            cloudflare.rotate_key()
            cloudflare.go_live(seeds.LIVE)
            await cloudflare.deliveries_settled()

    assert [delivery.status for delivery in cloudflare.deliveries] == [200, 200]
    assert check_requested == [UUID(seeds.LIVE)] * 2


async def test_trailing_slash_reaches_the_bot_without_a_redirect(receiver: Receiver) -> None:
    receiver.url += "/"

    assert await receiver.post(BODY) == (200, "check_requested")


async def test_get_is_not_allowed(receiver: Receiver) -> None:
    async with aiohttp.ClientSession() as session, session.get(receiver.url) as response:
        assert response.status == 405


async def test_path_is_missing_without_a_webhook_receiver() -> None:
    receiver = Receiver()
    async with serving(create_web(Metrics(), {}, None), listen(), drain_seconds=1) as url:
        receiver.url = f"{url}/realtimekit/webhooks"

        assert (await receiver.post(BODY))[0] == 404
