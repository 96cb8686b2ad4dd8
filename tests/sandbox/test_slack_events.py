"""Changes in the workspace reach the app as events, with Slack's retries."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.uvicorn_server import listen, serving
from sandbox.clock import Clock
from sandbox.slack import ANN, APP_TOKEN, BACKSTAGE, BEN, BOT, BOT_TOKEN, GENERAL, RANDOM, Slack
from sandbox.slack.watching import first


@dataclass
class RequestUrl:
    """A request URL that records the events and responds with `status`."""

    status: int = 200
    payloads: list[dict[str, Any]] = field(default_factory=list)
    retries: list[tuple[str | None, str | None]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        """Handle one delivery."""
        self.payloads.append(await request.json())
        headers = request.headers
        self.retries.append((headers.get("x-slack-retry-num"), headers.get("x-slack-retry-reason")))
        return Response(status_code=self.status)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the events, without their time."""
        return [{**payload["event"], "event_ts": None} for payload in self.payloads]


async def events_of(hook: RequestUrl) -> list[dict[str, Any]]:
    """Return the events when everything so far has been delivered."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("event ")))
    return hook.events


async def attempts(slack: Slack, count: int) -> None:
    """Wait until so many deliveries have ended."""
    await first(slack.events, lambda: len(slack.calls) >= count or None, seconds=30)


@pytest.fixture
async def hook(slack: Slack) -> AsyncIterator[RequestUrl]:
    hook = RequestUrl()
    web = Starlette(routes=[Route("/slack/events", hook.answer, methods=["POST"])])
    async with serving(web, listen(), drain_seconds=1) as url:
        slack.request_url = f"{url}/slack/events"
        yield hook


async def test_invitation_event_names_channel_type_and_inviter(slack: Slack, hook: RequestUrl) -> None:
    slack.invite_bot(RANDOM, by=BEN)
    await events_of(hook)
    slack.invite_bot(BACKSTAGE)

    joined = {"type": "member_joined_channel", "user": BOT, "team": slack.workspace.team.id, "event_ts": None}
    assert await events_of(hook) == [
        joined | {"channel": RANDOM, "channel_type": "C", "inviter": BEN},
        joined | {"channel": BACKSTAGE, "channel_type": "G", "inviter": ANN},
    ]
    assert len({payload["event_id"] for payload in hook.payloads}) == 2
    assert all(float(payload["event"]["event_ts"]) >= payload["event_time"] for payload in hook.payloads)


@pytest.mark.parametrize(("channel", "kind"), [(GENERAL, "channel"), (BACKSTAGE, "group")])
async def test_archive_event_depends_on_the_channel_type(
    slack: Slack, hook: RequestUrl, channel: str, kind: str
) -> None:
    slack.invite_bot(BACKSTAGE)
    slack.subscribed_events.clear()
    slack.subscribed_events.update({f"{kind}_archive", f"{kind}_unarchive"})

    slack.archive(channel, by=BEN)
    assert slack.workspace.channels[channel].is_archived
    await events_of(hook)
    slack.unarchive(channel)

    assert not slack.workspace.channels[channel].is_archived
    assert [event for event in await events_of(hook) if event["type"] != "member_joined_channel"] == [
        {"type": f"{kind}_archive", "channel": channel, "user": BEN, "event_ts": None},
        {"type": f"{kind}_unarchive", "channel": channel, "user": ANN, "event_ts": None},
    ]


async def test_events_outside_the_manifest_are_not_sent(slack: Slack, hook: RequestUrl) -> None:
    slack.archive(GENERAL)
    slack.invite_bot(GENERAL)
    slack.remove_bot(GENERAL)
    slack.delete_channel(GENERAL)

    assert await events_of(hook) == []


@pytest.mark.parametrize(("scope", "channel"), [("channels:read", RANDOM), ("groups:read", BACKSTAGE)])
async def test_events_need_the_scope_for_the_channel_type(
    slack: Slack, hook: RequestUrl, scope: str, channel: str
) -> None:
    slack.scopes -= {scope}

    slack.invite_bot(channel)

    assert await events_of(hook) == []


async def test_events_of_private_channels_need_membership(slack: Slack, hook: RequestUrl) -> None:
    for channel in (BACKSTAGE, RANDOM):
        slack.archive(channel)
        slack.unarchive(channel)

    assert [event["channel"] for event in await events_of(hook)] == [RANDOM]


async def test_uninstallation_is_reported_and_revokes_the_token(slack: Slack, hook: RequestUrl) -> None:
    slack.uninstall()
    slack.uninstall()

    assert sorted(event["type"] for event in await events_of(hook)) == ["app_uninstalled", "tokens_revoked"]
    assert [event["tokens"]["bot"] for event in hook.events if "tokens" in event] == [[BOT]]
    assert not any(channel.has_bot for channel in slack.workspace.channels.values())
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {BOT_TOKEN}"}) as session:
        answer = await session.post(f"{slack.api_url}auth.test")
        assert (await answer.json())["error"] == "account_inactive"


async def test_direct_message_outlasts_the_uninstallation(slack: Slack, hook: RequestUrl) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {BOT_TOKEN}"}) as session:
        await session.post(f"{slack.api_url}chat.postMessage", json={"channel": ANN, "text": "hello"})

    slack.uninstall()

    assert [channel.is_im for channel in slack.workspace.channels.values() if channel.has_bot] == [True]


async def test_rejected_event_is_retried_three_times(slack: Slack, hook: RequestUrl) -> None:
    """At once, after a minute, and five minutes after that."""
    hook.status = 500
    slack.invite_bot(RANDOM)
    await attempts(slack, 2)
    slack.clock.advance(59)
    await asyncio.sleep(0)
    assert len(hook.payloads) == 2
    slack.clock.advance(1)
    await attempts(slack, 3)

    slack.clock.advance(300)
    await attempts(slack, 4)

    await events_of(hook)
    assert hook.retries == [(None, None), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]
    assert len({payload["event_id"] for payload in hook.payloads}) == 1


async def test_retries_end_with_an_acknowledgement(slack: Slack, hook: RequestUrl) -> None:
    hook.status = 503
    slack.events.subscribe(lambda _: setattr(hook, "status", 200))

    assert (await slack.event({"type": "app_home_opened"})).acked

    assert [number for number, _ in hook.retries] == [None, "1"]


async def test_bot_that_was_down_gets_the_event_on_a_retry(slack: Slack, hook: RequestUrl) -> None:
    address, slack.request_url = slack.request_url, None
    slack.invite_bot(RANDOM)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not slack.calls

    slack.request_url = address
    slack.clock.advance(60)

    assert [event["channel"] for event in await events_of(hook)] == [RANDOM]
    assert hook.retries == [("2", "connection_failed")]


async def test_late_acknowledgement_causes_a_retry_over_socket_mode(slack: Slack) -> None:
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(base_url=slack.api_url, session=session)
        url = (await client.apps_connections_open(app_token=APP_TOKEN))["url"]
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
