"""People of other workspaces, org-wide installations, group direct messages, and changed IDs and tokens."""

from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import ANN, BACKSTAGE, BEN, BOT, CHRIS, GENERAL, Slack, User
from tests.sandbox.conftest import App, error_of

DANA = User("U0DANA00001", "dana", "Dana", team_id="T0OTHER0001")
TEAM = "T0SANDBOX01"
GO = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}


async def payloads(slack: Slack, web_client: AsyncWebClient, app: App, user: str = ANN) -> list[Any]:
    """Return the payloads of a click, a command and an event."""
    await web_client.chat_postMessage(channel=GENERAL, text="card", blocks=[{"type": "actions", "elements": [GO]}])
    await slack.click(slack.messages(GENERAL)[0], "go", user=user)
    await slack.command("hello", user=user)
    await slack.event({"type": "channel_rename", "channel": GENERAL})
    return app.payloads


async def test_workspace_payloads_name_no_enterprise(slack: Slack, web_client: AsyncWebClient, app: App) -> None:
    click, command, event = await payloads(slack, web_client, app)

    assert (click["team"]["id"], click["enterprise"]) == (TEAM, None)
    assert "enterprise_id" not in command
    assert event["authorizations"][0]["team_id"] == TEAM
    assert event["is_ext_shared_channel"] is False


async def test_payloads_of_an_external_person_have_their_team_id(
    slack: Slack, web_client: AsyncWebClient, app: App
) -> None:
    slack.add_person(DANA, GENERAL)
    click, command, event = await payloads(slack, web_client, app, DANA.id)

    assert (click["user"]["id"], click["user"]["team_id"], click["team"]["id"]) == (DANA.id, DANA.team_id, TEAM)
    assert (command["user_id"], command["team_id"]) == (DANA.id, DANA.team_id)
    assert event["is_ext_shared_channel"] is True


async def test_org_wide_payloads_name_the_enterprise_instead_of_a_team(
    slack: Slack, web_client: AsyncWebClient, app: App
) -> None:
    enterprise = slack.install_org_wide().id
    click, command, event = await payloads(slack, web_client, app)
    identity = await web_client.auth_test()

    assert (click["team"], click["enterprise"]["id"], click["is_enterprise_install"]) == (None, enterprise, True)
    assert click["user"]["team_id"] == command["team_id"] == event["team_id"] == TEAM
    assert (command["enterprise_id"], command["is_enterprise_install"]) == (enterprise, "true")
    authorization = event["authorizations"][0]
    assert (authorization["enterprise_id"], authorization["team_id"]) == (enterprise, None)
    assert authorization["is_enterprise_install"] is True
    assert (identity["team_id"], identity["enterprise_id"]) == (enterprise, enterprise)


async def test_fields_around_an_event_can_be_replaced(slack: Slack, app: App) -> None:
    fields: dict[str, Any] = {"team_id": None, "enterprise_id": "E0SANDBOX01", "authorizations": []}
    await slack.event({"type": "app_uninstalled"}, **fields)

    assert [{name: each[name] for name in fields} for each in app.payloads] == [fields]


async def test_changed_channel_id_is_reported_and_keeps_its_messages(
    slack: Slack, web_client: AsyncWebClient, app: App
) -> None:
    slack.invite_bot(BACKSTAGE)
    posted = await web_client.chat_postMessage(channel=BACKSTAGE, text="card", client_msg_id="one")
    slack.change_channel_id(BACKSTAGE, "C0SHARED001")
    event = (await app.events())[-1]

    old = web_client.chat_update(channel=BACKSTAGE, ts=posted["ts"], text="new")
    assert await error_of(old) == "channel_not_found"
    await web_client.chat_update(channel="C0SHARED001", ts=posted["ts"], text="new")
    repeated = await web_client.chat_postMessage(channel="C0SHARED001", text="card", client_msg_id="one")
    assert (repeated["channel"], repeated["ts"]) == ("C0SHARED001", posted["ts"])
    assert [message.text for message in slack.messages("C0SHARED001")] == ["new"]
    assert (event["type"], event["old_channel_id"]) == ("channel_id_changed", BACKSTAGE)
    assert event["new_channel_id"] == "C0SHARED001"


async def test_revoked_token_is_rejected_and_the_bot_stays_in_its_channels(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    slack.revoke_token()

    assert await error_of(web_client.auth_test()) == "token_revoked"
    assert slack.workspace.channels[GENERAL].has_bot


async def test_direct_messages_between_people_send_commands_but_accept_no_posts(
    slack: Slack, web_client: AsyncWebClient, app: App
) -> None:
    group, direct = slack.open_group_dm([ANN, BEN, CHRIS]), slack.open_dm(ANN, BEN)

    for channel in (group.id, direct.id):
        await slack.command("hello", channel=channel)
        post = web_client.chat_postMessage(channel=channel, text="hello")
        assert await error_of(post) == "channel_not_found"

    named = [(each["channel_id"], each["channel_name"]) for each in app.payloads]
    assert named == [(group.id, "mpdm-ann--ben--chris-1"), (direct.id, "directmessage")]
    with pytest.raises(ValueError, match="group direct message"):
        slack.invite_bot(group.id)
    assert BOT not in direct.members
