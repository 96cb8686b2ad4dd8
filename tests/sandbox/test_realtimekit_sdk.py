"""The sandbox's RealtimeKit as Cloudflare's own SDK reads it."""

from collections.abc import AsyncIterator

import cloudflare
import pytest
from cloudflare import AsyncCloudflare

from bot.uvicorn_server import listen, serving
from sandbox.clock import Clock
from sandbox.realtimekit import Fault, ListShape, RealtimeKit, seeds


@pytest.fixture
def kit() -> RealtimeKit:
    kit = RealtimeKit(clock=Clock(speed=0))
    kit.seed()
    return kit


@pytest.fixture
async def sdk(kit: RealtimeKit) -> AsyncIterator[AsyncCloudflare]:
    async with (
        serving(kit.asgi, listen()) as url,
        AsyncCloudflare(api_token=kit.api_token, base_url=f"{url}/client/v4", max_retries=0) as sdk,
    ):
        yield sdk


async def test_sdk_reads_an_active_livestream(kit: RealtimeKit, sdk: AsyncCloudflare) -> None:
    answer = await sdk.realtime_kit.livestreams.get_meeting_active_livestreams(
        seeds.LIVE, account_id=kit.account_id, app_id=kit.app_id
    )

    assert answer.data
    assert (answer.data.name, answer.data.status, answer.data.disabled) == ("launch-week-main-stage", "LIVE", "false")
    assert answer.data.playback_url
    assert answer.data.created_at
    assert answer.data.stream_key in kit.secrets


async def test_sdk_reads_a_session_with_its_livestream(kit: RealtimeKit, sdk: AsyncCloudflare) -> None:
    livestream = kit.meetings[seeds.ERRORED].livestream
    assert livestream

    answer = await sdk.realtime_kit.livestreams.get_active_livestreams_for_livestream_id(
        livestream.id, account_id=kit.account_id, app_id=kit.app_id
    )

    assert answer.data
    assert answer.data.session
    assert answer.data.session.err_message == livestream.sessions[-1].err_message
    assert answer.data.livestream
    assert answer.data.livestream.status == "ERRORED"


async def test_sdk_reads_the_list_in_the_schemas_shape(kit: RealtimeKit, sdk: AsyncCloudflare) -> None:
    """The SDK knows no other shape."""
    kit.list_shape = ListShape.OBJECT

    answer = await sdk.realtime_kit.livestreams.get_all_livestreams(
        kit.app_id, account_id=kit.account_id, status="LIVE", per_page=100
    )

    assert answer.data
    assert answer.data.status == "LIVE"
    assert answer.data.paging
    assert answer.data.paging.total_count == 7


async def test_sdk_reads_one_meeting_and_a_list(kit: RealtimeKit, sdk: AsyncCloudflare) -> None:
    one = await sdk.realtime_kit.meetings.get_meeting_by_id(seeds.UNNAMED, account_id=kit.account_id, app_id=kit.app_id)
    listed = await sdk.realtime_kit.meetings.get(kit.app_id, account_id=kit.account_id, search="board")

    assert one.data
    assert one.data.title == "Monthly all-hands"
    assert [each.id for each in listed.data] == [seeds.ERRORED]


async def test_sdk_starts_and_stops_a_livestream(kit: RealtimeKit, sdk: AsyncCloudflare) -> None:
    livestreams = sdk.realtime_kit.livestreams

    started = await livestreams.start_livestreaming_a_meeting(
        seeds.NEVER_LIVE, account_id=kit.account_id, app_id=kit.app_id
    )
    running = kit.meetings[seeds.NEVER_LIVE].running
    stopped = await livestreams.stop_livestreaming_a_meeting(
        seeds.NEVER_LIVE, account_id=kit.account_id, app_id=kit.app_id
    )

    assert started.data
    assert started.data.status == "INVOKED"
    assert running
    assert stopped.success
    assert not kit.meetings[seeds.NEVER_LIVE].running


async def test_sdk_manages_webhooks(kit: RealtimeKit, sdk: AsyncCloudflare) -> None:
    webhooks, url = sdk.realtime_kit.webhooks, "https://bot.example.com/realtimekit/webhooks"
    account, app = kit.account_id, kit.app_id

    added = await webhooks.create_webhook(
        app, account_id=account, name="Bot", url=url, events=["livestreaming.statusUpdate"]
    )
    webhook_id = added.data.id
    edited = await webhooks.edit_webhook(webhook_id, account_id=account, app_id=app, enabled=False)
    replaced = await webhooks.replace_webhook(
        webhook_id, account_id=account, app_id=app, name="New", url=url, events=["meeting.ended"]
    )
    one = await webhooks.get_webhook_by_id(webhook_id, account_id=account, app_id=app)
    listed = await webhooks.get_webhooks(app, account_id=account)
    deleted = await webhooks.delete_webhook(webhook_id, account_id=account, app_id=app)

    assert (added.data.enabled, edited.data.enabled, replaced.data.enabled) == (True, False, True)
    assert (one.data.name, one.data.url, one.data.events) == ("New", url, ["meeting.ended"])
    assert one.data.created_at.timestamp() == pytest.approx(kit.clock.now(), abs=0.001)
    assert [each.id for each in listed.data] == [webhook_id] == [deleted.data.id]
    assert kit.webhooks == {}


async def test_sdk_raises_cloudflares_errors(kit: RealtimeKit, sdk: AsyncCloudflare) -> None:
    async def ask(meeting_id: str) -> None:
        await sdk.realtime_kit.livestreams.get_meeting_active_livestreams(
            meeting_id, account_id=kit.account_id, app_id=kit.app_id
        )

    with pytest.raises(cloudflare.NotFoundError):
        await ask(seeds.NEVER_LIVE)
    kit.fail_next(Fault.UNAUTHORIZED)
    with pytest.raises(cloudflare.AuthenticationError):
        await ask(seeds.LIVE)
    kit.fail_next(Fault.RATE_LIMITED)
    with pytest.raises(cloudflare.RateLimitError):
        await ask(seeds.LIVE)
