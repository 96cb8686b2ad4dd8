"""Webhook subscriptions, against the sandbox and against responses that the sandbox can't give."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from bot.errors import AuthenticationFailed, InvalidResponse, RateLimited, RealtimeKitError, Unreachable
from bot.realtimekit.client import open_http
from bot.realtimekit.webhook_events import LIVESTREAM_EVENTS
from bot.realtimekit.webhook_subscriptions import WebhookSubscriptions
from bot.uvicorn_server import listen, serving
from sandbox.realtimekit import Fault
from sandbox.realtimekit import RealtimeKit as Cloudflare
from tests.realtimekit.conftest import http_answering

URL = "https://bot.example.com/realtimekit/webhooks"
NO_SUCH_WEBHOOK = UUID("00000000-0000-4000-8000-000000000000")


@pytest.fixture
async def webhooks(cloudflare: Cloudflare) -> AsyncIterator[WebhookSubscriptions]:
    async with (
        serving(cloudflare.asgi, listen(), drain_seconds=1) as url,
        open_http(f"{url}/client/v4", cloudflare.api_token) as http,
    ):
        yield WebhookSubscriptions(http, account_id=cloudflare.account_id, app_id=cloudflare.app_id)


def webhooks_answering(data: Any) -> WebhookSubscriptions:
    """Webhook subscriptions at a Cloudflare whose every response has this payload."""
    return WebhookSubscriptions(http_answering(data), account_id="a", app_id="b")


async def test_added_webhook_is_enabled_for_all_livestream_events(
    cloudflare: Cloudflare, webhooks: WebhookSubscriptions
) -> None:
    added = await webhooks.add(URL)

    [registered] = cloudflare.webhooks.values()
    assert (registered.url, registered.enabled, registered.events) == (URL, True, LIVESTREAM_EVENTS)
    assert added.changed
    assert [added.webhook] == await webhooks.list_all()
    assert added.webhook.reports_livestreams()


@pytest.mark.parametrize("url", [URL, f"{URL}/"])
async def test_registered_webhook_is_not_added_again(
    cloudflare: Cloudflare, webhooks: WebhookSubscriptions, url: str
) -> None:
    first = await webhooks.add(URL)

    again = await webhooks.add(url)

    assert (again.webhook, again.changed) == (first.webhook, False)
    assert len(cloudflare.webhooks) == 1


async def test_disabled_webhook_is_enabled(cloudflare: Cloudflare, webhooks: WebhookSubscriptions) -> None:
    registered = cloudflare.add_webhook(URL, LIVESTREAM_EVENTS, enabled=False)

    added = await webhooks.add(URL)

    assert (added.changed, added.webhook.enabled) == (True, True)
    assert [(each.id, each.enabled) for each in cloudflare.webhooks.values()] == [(registered.id, True)]


async def test_missing_events_are_added_to_a_webhook(cloudflare: Cloudflare, webhooks: WebhookSubscriptions) -> None:
    cloudflare.add_webhook(URL, ["recording.statusUpdate", "meeting.ended"])

    added = await webhooks.add(URL)

    [registered] = cloudflare.webhooks.values()
    assert set(registered.events) == {*LIVESTREAM_EVENTS, "recording.statusUpdate"}
    assert set(added.webhook.events) == set(registered.events)


async def test_working_webhook_is_chosen_among_several_for_one_url(
    cloudflare: Cloudflare, webhooks: WebhookSubscriptions
) -> None:
    cloudflare.add_webhook(URL, LIVESTREAM_EVENTS, enabled=False)
    good = cloudflare.add_webhook(URL, LIVESTREAM_EVENTS)

    added = await webhooks.add(URL)

    assert (str(added.webhook.id), added.changed) == (good.id, False)
    assert sorted(each.enabled for each in cloudflare.webhooks.values()) == [False, True]


async def test_webhooks_for_other_urls_are_unchanged(cloudflare: Cloudflare, webhooks: WebhookSubscriptions) -> None:
    other = cloudflare.add_webhook("https://other.example.com/hook", ["meeting.ended"])

    added = await webhooks.add(URL)
    await webhooks.remove(added.webhook.id)

    assert list(cloudflare.webhooks.values()) == [other]


async def test_removed_webhook_cannot_be_removed_again(cloudflare: Cloudflare, webhooks: WebhookSubscriptions) -> None:
    added = await webhooks.add(URL)

    assert await webhooks.remove(added.webhook.id)
    assert not await webhooks.remove(added.webhook.id)
    assert not await webhooks.remove(NO_SUCH_WEBHOOK)
    assert cloudflare.webhooks == {}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.UNAUTHORIZED, AuthenticationFailed),
        (Fault.RATE_LIMITED, RateLimited),
        (Fault.SERVER_ERROR, Unreachable),
        (Fault.DROP, Unreachable),
    ],
)
async def test_every_operation_raises_the_request_error(
    cloudflare: Cloudflare, webhooks: WebhookSubscriptions, fault: Fault, error: type[RealtimeKitError]
) -> None:
    cloudflare.fault = fault

    for operation in (webhooks.list_all(), webhooks.add(URL), webhooks.remove(NO_SUCH_WEBHOOK)):
        with pytest.raises(error):
            await operation


@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.DROP])
async def test_unconfirmed_addition_is_not_retried(
    cloudflare: Cloudflare, webhooks: WebhookSubscriptions, fault: Fault
) -> None:
    """The webhook could be registered twice."""
    cloudflare.fail_next(Fault.NONE)
    cloudflare.fail_next(fault)

    with pytest.raises(Unreachable):
        await webhooks.add(URL)

    assert [call.method for call in cloudflare.calls] == ["GET", "POST"]


@pytest.mark.parametrize("data", [{"id": "no UUID"}, "webhooks", ["x"], [{"url": URL}], [{"id": 1}]])
async def test_malformed_list_is_an_invalid_response(data: Any) -> None:
    with pytest.raises(InvalidResponse):
        await webhooks_answering(data).list_all()


ODD = (None, 7, ["x"], {"a": 1}, "")


@pytest.mark.parametrize("field", ["name", "url", "events", "enabled"])
@pytest.mark.parametrize("odd", ODD)
async def test_webhook_with_an_odd_field_is_listed_with_the_others(field: str, odd: Any) -> None:
    good = {"id": str(NO_SUCH_WEBHOOK), "name": "n", "url": URL, "events": list(LIVESTREAM_EVENTS), "enabled": True}
    other = {**good, "id": "00000000-0000-4000-8000-000000000001", field: odd}

    listed = await webhooks_answering([other, good]).list_all()

    assert [webhook.id for webhook in listed] == [UUID(other["id"]), NO_SUCH_WEBHOOK]
    assert listed[1].reports_livestreams()


async def test_webhook_whose_events_are_partly_odd_keeps_the_rest() -> None:
    data = [{"id": str(NO_SUCH_WEBHOOK), "events": [None, LIVESTREAM_EVENTS[0], 3], "enabled": "false"}]

    [webhook] = await webhooks_answering(data).list_all()

    assert (webhook.events, webhook.enabled) == ((LIVESTREAM_EVENTS[0],), False)


async def test_entries_without_an_id_do_not_hide_the_others() -> None:
    data = [None, "x", {"id": None}, {"id": str(NO_SUCH_WEBHOOK)}]

    [webhook] = await webhooks_answering(data).list_all()

    assert webhook.id == NO_SUCH_WEBHOOK
    assert not webhook.reports_livestreams()


@pytest.mark.parametrize("data", [[], None])
async def test_empty_or_null_list_has_no_webhooks(data: Any) -> None:
    assert await webhooks_answering(data).list_all() == []


async def test_addition_without_a_webhook_in_the_response_is_an_error() -> None:
    with pytest.raises(InvalidResponse, match="no webhook in the answer"):
        await webhooks_answering([]).add(URL)
