"""Changes in the workspace reach the app as events, with Slack's retries."""

import asyncio
import dataclasses

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.clock import Clock
from sandbox.slack import ANN, APP_TOKEN, BACKSTAGE, BEN, BOT, GENERAL, RANDOM, Slack
from sandbox.slack.watching import first
from tests.sandbox.conftest import App, error_of


async def attempts(slack: Slack, count: int) -> None:
    """Wait until so many deliveries have ended."""
    await first(slack.events, lambda: len(slack.calls) >= count or None, seconds=30)


async def test_invitation_event_names_channel_type_and_inviter(slack: Slack, app: App) -> None:
    slack.invite_bot(RANDOM, by=BEN)
    await app.events()
    slack.invite_bot(BACKSTAGE)

    joined = {"type": "member_joined_channel", "user": BOT, "team": slack.workspace.team.id, "event_ts": None}
    assert await app.events() == [
        joined | {"channel": RANDOM, "channel_type": "C", "inviter": BEN},
        joined | {"channel": BACKSTAGE, "channel_type": "G", "inviter": ANN},
    ]
    assert len({payload["event_id"] for payload in app.payloads}) == 2
    assert all(float(payload["event"]["event_ts"]) >= payload["event_time"] for payload in app.payloads)


@pytest.mark.parametrize(("channel", "kind"), [(GENERAL, "channel"), (BACKSTAGE, "group")])
async def test_archive_event_depends_on_the_channel_type(slack: Slack, app: App, channel: str, kind: str) -> None:
    slack.workspace.put_channel(dataclasses.replace(slack.workspace.channels[BACKSTAGE], has_bot=True))
    slack.subscribed_events.clear()
    slack.subscribed_events.update({f"{kind}_archive", f"{kind}_unarchive"})

    slack.archive(channel, by=BEN)
    assert slack.workspace.channels[channel].is_archived
    await app.events()
    slack.unarchive(channel)

    assert not slack.workspace.channels[channel].is_archived
    assert await app.events() == [
        {"type": f"{kind}_archive", "channel": channel, "user": BEN, "event_ts": None},
        {"type": f"{kind}_unarchive", "channel": channel, "user": ANN, "event_ts": None},
    ]


async def test_events_outside_the_manifest_are_not_sent(slack: Slack, app: App) -> None:
    slack.archive(GENERAL)
    slack.invite_bot(GENERAL)
    slack.remove_bot(GENERAL)
    slack.delete_channel(GENERAL)

    assert await app.events() == []


async def test_events_need_the_scope_for_the_channel_type(slack: Slack, app: App) -> None:
    for scope, channel in (("channels:read", RANDOM), ("groups:read", BACKSTAGE)):
        every, slack.scopes = slack.scopes, slack.scopes - {scope}
        slack.invite_bot(channel)
        slack.scopes = every

    assert await app.events() == []


async def test_events_of_private_channels_need_membership(slack: Slack, app: App) -> None:
    for channel in (BACKSTAGE, RANDOM):
        slack.archive(channel)
        slack.unarchive(channel)

    assert [event["channel"] for event in await app.events()] == [RANDOM]


async def test_uninstallation_is_reported_and_revokes_the_token(
    slack: Slack, app: App, web_client: AsyncWebClient
) -> None:
    """A direct message outlasts it."""
    await web_client.chat_postMessage(channel=ANN, text="hello")
    slack.uninstall()
    slack.uninstall()

    events = await app.events()
    assert sorted(event["type"] for event in events) == ["app_uninstalled", "tokens_revoked"]
    assert [event["tokens"]["bot"] for event in events if "tokens" in event] == [[BOT]]
    assert [channel.is_im for channel in slack.workspace.channels.values() if channel.has_bot] == [True]
    assert await error_of(web_client.auth_test()) == "account_inactive"


async def test_rejected_event_is_retried_three_times(slack: Slack, app: App) -> None:
    """At once, after a minute, and five minutes after that."""
    app.status = 500
    slack.invite_bot(RANDOM)
    await attempts(slack, 2)
    slack.clock.advance(59)
    await asyncio.sleep(0)
    assert len(app.payloads) == 2
    slack.clock.advance(1)
    await attempts(slack, 3)

    slack.clock.advance(300)
    await attempts(slack, 4)

    await app.events()
    assert app.retries == [(None, None), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]
    assert len({payload["event_id"] for payload in app.payloads}) == 1


async def test_retries_end_with_an_acknowledgement(slack: Slack, app: App) -> None:
    app.status = 503
    slack.events.subscribe(lambda _: setattr(app, "status", 200))

    assert (await slack.event({"type": "app_home_opened"})).acked

    assert [number for number, _ in app.retries] == [None, "1"]


async def test_bot_that_was_down_gets_the_event_on_a_retry(slack: Slack, app: App) -> None:
    address, slack.request_url = slack.request_url, None
    slack.invite_bot(RANDOM)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not slack.calls

    slack.request_url = address
    slack.clock.advance(60)

    assert [event["channel"] for event in await app.events()] == [RANDOM]
    assert app.retries == [("2", "connection_failed")]


async def test_late_acknowledgement_causes_a_retry_over_socket_mode(
    slack: Slack, session: aiohttp.ClientSession, web_client: AsyncWebClient
) -> None:
    url = (await web_client.apps_connections_open(app_token=APP_TOKEN))["url"]
    async with session.ws_connect(str(url)) as socket:
        await socket.receive_json()
        await slack.wait_for_connections()
        slack.invite_bot(RANDOM)
        envelopes = [await socket.receive_json()]
        slack.clock.advance(3)
        envelopes.append(await socket.receive_json())
        await socket.send_json({"envelope_id": envelopes[1]["envelope_id"]})
        await attempts(slack, 2)

    assert [(each["retry_attempt"], each["retry_reason"]) for each in envelopes] == [(0, ""), (1, "http_timeout")]
    assert not any(each["accepts_response_payload"] for each in envelopes)


def test_channel_can_be_changed_without_an_event_loop() -> None:
    slack = Slack()

    assert slack.invite_bot(RANDOM).has_bot


async def test_pending_events_are_dropped_when_slack_closes() -> None:
    async with Slack(clock=Clock(speed=0)).running() as slack:
        slack.invite_bot(RANDOM)

    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("event ")]
