"""The sandbox's Web API, called by slack_sdk's own client over HTTP."""

import json
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import ANN, APP_TOKEN, BACKSTAGE, BEN, BOT_TOKEN, EVENTS, GENERAL, RANDOM, SLACKBOT, Message, Slack

BUTTONS = [
    {"type": "actions", "elements": [{"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "A"}}]}
]


async def error_of(call: Any) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as caught:
        await call
    data = caught.value.response.data
    assert isinstance(data, dict)
    return data


async def test_auth_test_returns_identity_and_scopes(web_client: AsyncWebClient) -> None:
    answer = await web_client.auth_test()

    assert answer["team"] == "Sandbox"
    assert answer["user"] == "livestream"
    assert answer.headers["x-oauth-scopes"] == "channels:read,chat:write,commands,groups:read"


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), (APP_TOKEN, "not_allowed_token_type")],
)
async def test_call_with_a_wrong_token_is_rejected(slack: Slack, token: str, error: str) -> None:
    client = AsyncWebClient(token or None, base_url=slack.api_url, retry_handlers=[])

    assert (await error_of(client.auth_test()))["error"] == error


async def test_missing_scope_is_named_with_the_provided_ones(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.scopes = {"commands"}

    data = await error_of(web_client.chat_postMessage(channel=GENERAL, text="hello"))

    assert (data["error"], data["needed"], data["provided"]) == ("missing_scope", "chat:write", "commands")


async def test_socket_mode_needs_the_connections_scope(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.app_scopes = set()

    assert (await error_of(web_client.apps_connections_open(app_token=APP_TOKEN)))["error"] == "missing_scope"


async def test_unknown_method_is_rejected(web_client: AsyncWebClient) -> None:
    assert (await error_of(web_client.api_call("chat.shout")))["error"] == "unknown_method"


async def test_posted_message_is_visible_and_returned_with_block_ids(slack: Slack, web_client: AsyncWebClient) -> None:
    answer = await web_client.chat_postMessage(channel=GENERAL, text="hello", blocks=BUTTONS)

    (message,) = slack.messages(GENERAL, ANN)
    assert (message.ts, message.text) == (answer["ts"], "hello")
    assert answer["message"]["blocks"][0]["block_id"]


@pytest.mark.parametrize("token_in", ["header", "form"])
async def test_form_is_accepted_with_the_token_in_header_or_field(slack: Slack, token_in: str) -> None:
    fields = {"channel": "#general", "text": "", "blocks": json.dumps(BUTTONS)}
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"} if token_in == "header" else {}
    if token_in == "form":
        fields["token"] = BOT_TOKEN

    async with aiohttp.ClientSession() as session:
        answer = await session.post(f"{slack.api_url}chat.postMessage", data=fields, headers=headers)

    assert (await answer.json())["ok"]
    assert slack.messages(GENERAL, ANN)[0].blocks[0]["type"] == "actions"
    assert not any(BOT_TOKEN in sent.body for sent in slack.sent)


@pytest.mark.parametrize(("body", "error"), [("{", "invalid_json"), ("[]", "json_not_object"), ("{}", "not_authed")])
async def test_malformed_json_is_rejected(slack: Slack, body: str, error: str) -> None:
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        answer = await session.post(f"{slack.api_url}auth.test", data=body)

    assert (await answer.json())["error"] == error


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": "C0NOWHERE01", "text": "a"}, "channel_not_found"),
        ({"channel": BACKSTAGE, "text": "a"}, "channel_not_found"),
        ({"channel": RANDOM, "text": "a"}, "not_in_channel"),
        ({"channel": SLACKBOT, "text": "a"}, "cannot_dm_bot"),
        ({"channel": GENERAL, "text": "  "}, "no_text"),
        ({"channel": GENERAL, "text": "a" * 40_001}, "msg_too_long"),
        ({"channel": GENERAL, "text": "a", "blocks": [{"type": "sparkles"}]}, "invalid_blocks"),
        ({"channel": GENERAL, "text": "a", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"channel": GENERAL, "text": "a", "blocks": "{"}, "invalid_blocks_format"),
        ({"channel": GENERAL, "text": "a", "thread_ts": "1.000000"}, "thread_not_found"),
    ],
)
async def test_invalid_post_is_rejected_with_slacks_error(
    slack: Slack, web_client: AsyncWebClient, arguments: dict[str, Any], error: str
) -> None:
    assert (await error_of(web_client.api_call("chat.postMessage", json=arguments)))["error"] == error
    assert not list(slack.workspace.every_message())


async def test_public_scope_allows_posts_without_membership(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.scopes |= {"chat:write.public"}

    await web_client.chat_postMessage(channel=RANDOM, text="hello")

    assert slack.messages(RANDOM, ANN)


async def test_posts_need_membership_of_an_active_channel(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.invite_bot(BACKSTAGE)
    await web_client.chat_postMessage(channel=BACKSTAGE, text="hello")

    slack.archive(BACKSTAGE)
    assert (await error_of(web_client.chat_postMessage(channel=BACKSTAGE, text="hello")))["error"] == "is_archived"
    slack.remove_bot(BACKSTAGE)
    assert (await error_of(web_client.chat_postMessage(channel=BACKSTAGE, text="hello")))[
        "error"
    ] == "channel_not_found"
    slack.delete_channel(GENERAL)
    assert (await error_of(web_client.chat_postMessage(channel=GENERAL, text="a")))["error"] == "channel_not_found"


async def test_replies_join_the_thread_and_broadcasts_the_channel(slack: Slack, web_client: AsyncWebClient) -> None:
    root = (await web_client.chat_postMessage(channel=GENERAL, text="card"))["ts"]
    reply = (await web_client.chat_postMessage(channel=GENERAL, text="live", thread_ts=root))["ts"]
    await web_client.chat_postMessage(channel=GENERAL, text="ended", thread_ts=reply, reply_broadcast=True)

    card = slack.messages(GENERAL, ANN)[0]
    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["card", "ended"]
    assert [message.text for message in slack.replies(card, ANN)] == ["live", "ended"]


async def test_ephemeral_message_needs_a_member_and_cannot_be_edited(slack: Slack, web_client: AsyncWebClient) -> None:
    answer = await web_client.chat_postEphemeral(channel=GENERAL, user=ANN, text="psst")
    ts = answer["message_ts"]

    assert slack.messages(GENERAL, ANN)
    assert not slack.messages(GENERAL, BEN)
    strange = web_client.chat_postEphemeral(channel=GENERAL, user="U0NOBODY001", text="psst")
    assert (await error_of(strange))["error"] == "user_not_in_channel"
    assert (await error_of(web_client.chat_update(channel=GENERAL, ts=ts, text="a")))["error"] == "message_not_found"


async def test_update_without_blocks_removes_them(slack: Slack, web_client: AsyncWebClient) -> None:
    ts = (await web_client.chat_postMessage(channel=GENERAL, text="hello", blocks=BUTTONS))["ts"]

    answer = await web_client.chat_update(channel=GENERAL, ts=ts, text="bye")

    (message,) = slack.messages(GENERAL, ANN)
    assert (message.text, message.blocks, message.ts) == ("bye", (), ts)
    assert answer["message"]["edited"]["ts"] == message.edited


async def test_messages_of_others_cannot_be_edited_or_deleted(slack: Slack, web_client: AsyncWebClient) -> None:
    other = slack.workspace.post(Message(GENERAL, "1.000000", ANN, "mine"))

    assert (await error_of(web_client.chat_update(channel=GENERAL, ts=other.ts, text="a")))[
        "error"
    ] == "cant_update_message"
    assert (await error_of(web_client.chat_delete(channel=GENERAL, ts=other.ts)))["error"] == "cant_delete_message"


async def test_deleted_archived_or_too_long_update_is_rejected(slack: Slack, web_client: AsyncWebClient) -> None:
    ts = (await web_client.chat_postMessage(channel=GENERAL, text="hello"))["ts"]

    assert (await error_of(web_client.chat_update(channel=GENERAL, ts=ts, text="a" * 4001)))["error"] == "msg_too_long"
    slack.archive(GENERAL)
    assert (await error_of(web_client.chat_update(channel=GENERAL, ts=ts, text="a")))["error"] == "is_inactive"
    await web_client.chat_delete(channel=GENERAL, ts=ts)
    assert (await error_of(web_client.chat_update(channel=GENERAL, ts=ts, text="a")))["error"] == "message_not_found"


async def test_user_id_as_channel_posts_a_direct_message(slack: Slack, web_client: AsyncWebClient) -> None:
    """Opening the conversation needs im:write."""
    posted = await web_client.chat_postMessage(channel=ANN, text="only you")
    assert (await error_of(web_client.conversations_open(users=ANN)))["error"] == "missing_scope"
    slack.scopes |= {"im:write"}
    opened = await web_client.conversations_open(users=[ANN])

    assert opened["channel"]["id"] == posted["channel"]
    assert opened["already_open"]
    assert slack.messages(posted["channel"], ANN)
    assert not slack.messages(posted["channel"], BEN)


@pytest.mark.parametrize(("honors", "posted"), [(True, 1), (False, 2)])
async def test_repeated_client_msg_id_posts_nothing_where_it_is_honored(
    slack: Slack, web_client: AsyncWebClient, honors: bool, posted: int
) -> None:
    slack.honors_client_msg_id = honors

    stamps = [
        (await web_client.chat_postMessage(channel=GENERAL, text="a", client_msg_id="id-1"))["ts"] for _ in range(2)
    ]

    assert len(set(stamps)) == len(slack.messages(GENERAL, ANN)) == posted


async def test_repeated_client_msg_id_of_a_deleted_message_or_channel_is_rejected(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    for number in (1, 2):
        await web_client.chat_postMessage(channel=GENERAL, text="a", client_msg_id=f"id-{number}")
    slack.delete_message(slack.messages(GENERAL)[0])

    first = web_client.chat_postMessage(channel=GENERAL, text="a", client_msg_id="id-1")
    assert (await error_of(first))["error"] == "duplicate_message_not_found"
    slack.delete_channel(GENERAL)
    second = web_client.chat_postMessage(channel=EVENTS, text="a", client_msg_id="id-2")
    assert (await error_of(second))["error"] == "duplicate_channel_not_found"
    assert not slack.messages(EVENTS)


async def test_direct_message_is_edited_by_its_channel_not_the_user_id(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    posted = await web_client.chat_postMessage(channel=ANN, text="paused")

    refused = web_client.chat_update(channel=ANN, ts=posted["ts"], text="resumed")
    assert (await error_of(refused))["error"] == "channel_not_found"
    await web_client.chat_update(channel=posted["channel"], ts=posted["ts"], text="resumed")

    assert [message.text for message in slack.messages(posted["channel"], ANN)] == ["resumed"]


async def test_api_test_echoes_its_arguments_or_fails(web_client: AsyncWebClient) -> None:
    assert (await web_client.api_test(foo="bar"))["args"]["foo"] == "bar"
    assert (await error_of(web_client.api_test(error="my_error")))["error"] == "my_error"


async def test_form_that_is_not_utf8_is_rejected(slack: Slack) -> None:
    async with aiohttp.ClientSession(headers={"Content-Type": "application/x-www-form-urlencoded"}) as session:
        answer = await session.post(f"{slack.api_url}auth.test", data=b"\xff")

    assert (await answer.json())["error"] == "invalid_form_data"


async def test_text_must_be_a_string(web_client: AsyncWebClient) -> None:
    call = web_client.api_call("chat.postMessage", json={"channel": GENERAL, "text": 7})

    assert (await error_of(call))["error"] == "invalid_arguments"


async def test_users_conversations_pages_through_the_requested_types(slack: Slack, web_client: AsyncWebClient) -> None:
    both = {"types": "public_channel,private_channel"}
    slack.remove_bot(RANDOM)
    slack.archive(EVENTS)
    found, cursor = [], ""
    for _ in range(10):
        page = await web_client.api_call("users.conversations", params={**both, "limit": 1, "cursor": cursor})
        found += [channel["id"] for channel in page["channels"]]
        cursor = page["response_metadata"]["next_cursor"]
        if not cursor:
            break
    joined = {channel.id for channel in slack.workspace.channels.values() if channel.has_bot}

    assert set(found) == joined >= {GENERAL, EVENTS}
    assert len(found) == len(joined)
    open_ones = await web_client.api_call("users.conversations", params={**both, "exclude_archived": True})
    assert {channel["id"] for channel in open_ones["channels"]} == joined - {EVENTS}
    private = await web_client.api_call("users.conversations", params={"types": "private_channel"})
    assert all(channel["is_private"] for channel in private["channels"])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"types": "channel"}, "invalid_types"),
        ({"types": "im"}, "missing_scope"),
        ({"limit": 1000}, "invalid_limit"),
        ({"cursor": "x"}, "invalid_cursor"),
    ],
)
async def test_invalid_users_conversations_arguments_are_rejected(
    web_client: AsyncWebClient, arguments: dict[str, Any], error: str
) -> None:
    assert (await error_of(web_client.api_call("users.conversations", params=arguments)))["error"] == error
