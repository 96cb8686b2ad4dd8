"""People of other workspaces, org-wide installations, group direct messages, and changed IDs and tokens."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.uvicorn_server import listen, serving
from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, CHRIS, GENERAL, Slack, User

DANA = User("U0DANA00001", "dana", "Dana", team_id="T0OTHER0001")
GO = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
ROW = [{"type": "actions", "elements": [GO]}]


@pytest.fixture
async def received_payloads(slack: Slack) -> AsyncIterator[list[dict[str, Any]]]:
    """The payloads that reach the app: commands, clicks and events."""
    payloads: list[dict[str, Any]] = []

    async def take(request: Request) -> Response:
        body = await request.body()
        if request.headers["content-type"] == "application/json":
            payloads.append(json.loads(body))
        else:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            payloads.append(json.loads(form["payload"]) if "payload" in form else form)
        return Response()

    web = Starlette(routes=[Route("/slack/events", take, methods=["POST"])])
    async with serving(web, listen(), drain_seconds=1) as url:
        slack.request_url = f"{url}/slack/events"
        yield payloads


async def test_payloads_of_an_external_person_have_their_team_id(
    slack: Slack, web_client: AsyncWebClient, received_payloads: list[dict[str, Any]]
) -> None:
    slack.add_person(DANA, GENERAL)
    await web_client.chat_postMessage(channel=GENERAL, text="card", blocks=ROW)

    await slack.click(slack.messages(GENERAL)[0], "go", user=DANA.id)
    await slack.command("hello", user=DANA.id)
    await slack.event({"type": "channel_rename", "channel": GENERAL})

    click, command, event = received_payloads
    assert (click["user"]["id"], click["user"]["team_id"]) == (DANA.id, DANA.team_id)
    assert click["team"]["id"] == slack.workspace.team.id
    assert (command["user_id"], command["team_id"]) == (DANA.id, DANA.team_id)
    assert event["is_ext_shared_channel"] is True


async def test_org_wide_payloads_name_the_enterprise_instead_of_a_team(
    slack: Slack, web_client: AsyncWebClient, received_payloads: list[dict[str, Any]]
) -> None:
    enterprise = slack.install_org_wide()
    await web_client.chat_postMessage(channel=GENERAL, text="card", blocks=ROW)

    await slack.click(slack.messages(GENERAL)[0], "go")
    await slack.command("hello")
    await slack.event({"type": "channel_rename", "channel": GENERAL})
    identity = await web_client.auth_test()

    click, command, event = received_payloads
    assert (click["team"], click["enterprise"]["id"]) == (None, enterprise.id)
    assert (click["is_enterprise_install"], click["user"]["team_id"]) == (True, slack.workspace.team.id)
    assert (command["enterprise_id"], command["is_enterprise_install"]) == (enterprise.id, "true")
    assert command["team_id"] == slack.workspace.team.id
    authorization = event["authorizations"][0]
    assert (authorization["enterprise_id"], authorization["team_id"]) == (enterprise.id, None)
    assert authorization["is_enterprise_install"] is True
    assert event["team_id"] == slack.workspace.team.id
    assert (identity["team_id"], identity["enterprise_id"]) == (enterprise.id, enterprise.id)


async def test_workspace_payloads_name_no_enterprise(
    slack: Slack, web_client: AsyncWebClient, received_payloads: list[dict[str, Any]]
) -> None:
    await web_client.chat_postMessage(channel=GENERAL, text="card", blocks=ROW)

    await slack.click(slack.messages(GENERAL)[0], "go")
    await slack.command("hello")
    await slack.event({"type": "channel_rename", "channel": GENERAL})

    click, command, event = received_payloads
    assert (click["team"]["id"], click["enterprise"]) == (slack.workspace.team.id, None)
    assert "enterprise_id" not in command
    assert event["authorizations"][0]["team_id"] == slack.workspace.team.id
    assert event["is_ext_shared_channel"] is False


async def test_fields_around_an_event_can_be_replaced(slack: Slack, received_payloads: list[dict[str, Any]]) -> None:
    event = {"type": "app_uninstalled"}
    await slack.event(event, team_id=None, enterprise_id="E0SANDBOX01", authorizations=[])

    assert [(each["team_id"], each["enterprise_id"], each["authorizations"]) for each in received_payloads] == [
        (None, "E0SANDBOX01", [])
    ]


async def test_changed_channel_id_is_reported_and_keeps_its_messages(
    slack: Slack, web_client: AsyncWebClient, received_payloads: list[dict[str, Any]]
) -> None:
    slack.invite_bot(BACKSTAGE)
    posted = await web_client.chat_postMessage(channel=BACKSTAGE, text="card", client_msg_id="one")
    slack.change_channel_id(BACKSTAGE, "C0SHARED001")
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("event ")))

    with pytest.raises(SlackApiError, match="channel_not_found"):
        await web_client.chat_update(channel=BACKSTAGE, ts=posted["ts"], text="new")
    await web_client.chat_update(channel="C0SHARED001", ts=posted["ts"], text="new")
    repeated = await web_client.chat_postMessage(channel="C0SHARED001", text="card", client_msg_id="one")
    assert (repeated["channel"], repeated["ts"]) == ("C0SHARED001", posted["ts"])
    assert [message.text for message in slack.messages("C0SHARED001")] == ["new"]
    event = received_payloads[-1]["event"]
    assert (event["type"], event["old_channel_id"], event["new_channel_id"]) == (
        "channel_id_changed",
        BACKSTAGE,
        "C0SHARED001",
    )


async def test_revoked_token_is_rejected_and_the_bot_stays_in_its_channels(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    slack.revoke_token()

    with pytest.raises(SlackApiError, match="token_revoked"):
        await web_client.auth_test()
    assert slack.workspace.channels[GENERAL].has_bot


async def test_group_direct_message_sends_commands_but_accepts_no_posts(
    slack: Slack, web_client: AsyncWebClient, received_payloads: list[dict[str, Any]]
) -> None:
    group = slack.open_group_dm([ANN, BEN, CHRIS])

    await slack.command("hello", channel=group.id)

    assert [(each["channel_id"], each["channel_name"]) for each in received_payloads] == [
        (group.id, "mpdm-ann--ben--chris-1")
    ]
    with pytest.raises(ValueError, match="group direct message"):
        slack.invite_bot(group.id)
    with pytest.raises(SlackApiError, match="channel_not_found"):
        await web_client.chat_postMessage(channel=group.id, text="hello")


async def test_direct_message_of_two_people_sends_commands_but_accepts_no_posts(
    slack: Slack, web_client: AsyncWebClient, received_payloads: list[dict[str, Any]]
) -> None:
    direct = slack.open_dm(ANN, BEN)

    await slack.command("hello", channel=direct.id)

    assert [(each["channel_id"], each["channel_name"]) for each in received_payloads] == [(direct.id, "directmessage")]
    with pytest.raises(SlackApiError, match="channel_not_found"):
        await web_client.chat_postMessage(channel=direct.id, text="hello")
    assert BOT not in direct.members
