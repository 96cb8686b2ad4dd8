"""The sandbox's Web API, called by slack_sdk's own client over HTTP."""

import json
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.slack import ANN, APP_TOKEN, BACKSTAGE, BEN, BOT_TOKEN, EVENTS, GENERAL, RANDOM, SLACKBOT, Message, Slack
from tests.sandbox.conftest import error_of

BUTTONS = [
    {"type": "actions", "elements": [{"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "A"}}]}
]
JSON, FORM = "application/json", "application/x-www-form-urlencoded"

INVALID_CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("chat.shout", {}, "unknown_method"),
    ("chat.postMessage", {"channel": "C0NOWHERE01", "text": "a"}, "channel_not_found"),
    ("chat.postMessage", {"channel": BACKSTAGE, "text": "a"}, "channel_not_found"),
    ("chat.postMessage", {"channel": RANDOM, "text": "a"}, "not_in_channel"),
    ("chat.postMessage", {"channel": SLACKBOT, "text": "a"}, "cannot_dm_bot"),
    ("chat.postMessage", {"channel": GENERAL, "text": "  "}, "no_text"),
    ("chat.postMessage", {"channel": GENERAL, "text": 7}, "invalid_arguments"),
    ("chat.postMessage", {"channel": GENERAL, "text": "a" * 40_001}, "msg_too_long"),
    ("chat.postMessage", {"channel": GENERAL, "text": "a", "blocks": [{"type": "sparkles"}]}, "invalid_blocks"),
    ("chat.postMessage", {"channel": GENERAL, "text": "a", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
    ("chat.postMessage", {"channel": GENERAL, "text": "a", "blocks": "{"}, "invalid_blocks_format"),
    ("chat.postMessage", {"channel": GENERAL, "text": "a", "thread_ts": "1.000000"}, "thread_not_found"),
    ("chat.postEphemeral", {"channel": GENERAL, "user": "U0NOBODY001", "text": "psst"}, "user_not_in_channel"),
    ("users.conversations", {"types": "channel"}, "invalid_types"),
    ("users.conversations", {"types": "im"}, "missing_scope"),
    ("users.conversations", {"limit": 1000}, "invalid_limit"),
    ("users.conversations", {"cursor": "x"}, "invalid_cursor"),
    ("conversations.open", {"users": ANN}, "missing_scope"),
    ("api.test", {"error": "my_error"}, "my_error"),
]


async def test_invalid_call_is_rejected_with_slacks_error(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.limits.enabled = False
    for method, arguments, error in INVALID_CALLS:
        called = (method, str(arguments)[:99])
        assert (*called, await error_of(web_client.api_call(method, json=arguments))) == (*called, error)

    assert not list(slack.workspace.every_message())


async def test_call_needs_the_right_token_and_scope(slack: Slack, web_client: AsyncWebClient) -> None:
    """What is missing is named, with what is provided."""
    for token, error in (("", "not_authed"), ("xoxb-wrong", "invalid_auth"), (APP_TOKEN, "not_allowed_token_type")):
        client = AsyncWebClient(token or None, base_url=slack.api_url, retry_handlers=[])
        assert await error_of(client.auth_test()) == error
    slack.scopes, slack.app_scopes = {"commands"}, set()

    with pytest.raises(SlackApiError) as caught:
        await web_client.chat_postMessage(channel=GENERAL, text="hello")

    data: Any = caught.value.response.data
    assert (data["error"], data["needed"], data["provided"]) == ("missing_scope", "chat:write", "commands")
    assert await error_of(web_client.apps_connections_open(app_token=APP_TOKEN)) == "missing_scope"
    assert await error_of(web_client.apps_connections_open(app_token="xapp-wrong")) == "invalid_auth"


async def test_malformed_body_is_rejected(slack: Slack, session: aiohttp.ClientSession) -> None:
    for body, content_type, error in (
        (b"{", JSON, "invalid_json"),
        (b"[]", JSON, "json_not_object"),
        (b"{}", JSON, "not_authed"),
        (b"\xff", FORM, "invalid_form_data"),
    ):
        headers = {"Content-Type": content_type}
        async with session.post(f"{slack.api_url}auth.test", data=body, headers=headers) as answer:
            assert (await answer.json())["error"] == error


async def test_auth_test_returns_identity_and_scopes(web_client: AsyncWebClient) -> None:
    answer = await web_client.auth_test()

    assert (answer["team"], answer["user"]) == ("Sandbox", "livestream")
    assert answer.headers["x-oauth-scopes"] == "channels:read,chat:write,commands,groups:read"
    assert (await web_client.api_test(foo="bar"))["args"]["foo"] == "bar"


async def test_posted_message_is_visible_and_returned_with_block_ids(slack: Slack, web_client: AsyncWebClient) -> None:
    answer = await web_client.chat_postMessage(channel=GENERAL, text="hello", blocks=BUTTONS)

    (message,) = slack.messages(GENERAL, ANN)
    assert (message.ts, message.text) == (answer["ts"], "hello")
    assert answer["message"]["blocks"][0]["block_id"]


async def test_form_is_accepted_with_the_token_in_header_or_field(slack: Slack, session: aiohttp.ClientSession) -> None:
    fields = {"channel": "#general", "text": "", "blocks": json.dumps(BUTTONS)}
    for headers, token in (({"Authorization": f"Bearer {BOT_TOKEN}"}, {}), ({}, {"token": BOT_TOKEN})):
        async with session.post(f"{slack.api_url}chat.postMessage", data=fields | token, headers=headers) as answer:
            assert (await answer.json())["ok"]

    assert [message.blocks[0]["type"] for message in slack.messages(GENERAL, ANN)] == ["actions", "actions"]
    assert not any(BOT_TOKEN in sent.body for sent in slack.sent)


async def test_posts_need_an_active_channel_and_membership_or_a_scope(slack: Slack, web_client: AsyncWebClient) -> None:
    async def error(channel: str) -> str:
        return await error_of(web_client.chat_postMessage(channel=channel, text="hello"))

    slack.invite_bot(BACKSTAGE)
    await web_client.chat_postMessage(channel=BACKSTAGE, text="hello")
    slack.archive(BACKSTAGE)
    assert await error(BACKSTAGE) == "is_archived"
    slack.remove_bot(BACKSTAGE)
    assert await error(BACKSTAGE) == "channel_not_found"
    slack.delete_channel(GENERAL)
    assert await error(GENERAL) == "channel_not_found"

    slack.scopes |= {"chat:write.public"}
    await web_client.chat_postMessage(channel=RANDOM, text="hello")
    assert slack.messages(RANDOM, ANN)


async def test_replies_join_the_thread_and_broadcasts_the_channel(slack: Slack, web_client: AsyncWebClient) -> None:
    root = (await web_client.chat_postMessage(channel=GENERAL, text="card"))["ts"]
    reply = (await web_client.chat_postMessage(channel=GENERAL, text="live", thread_ts=root))["ts"]
    await web_client.chat_postMessage(channel=GENERAL, text="ended", thread_ts=reply, reply_broadcast=True)

    card = slack.messages(GENERAL, ANN)[0]
    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["card", "ended"]
    assert [message.text for message in slack.replies(card, ANN)] == ["live", "ended"]


async def test_update_without_blocks_removes_them(slack: Slack, web_client: AsyncWebClient) -> None:
    ts = (await web_client.chat_postMessage(channel=GENERAL, text="hello", blocks=BUTTONS))["ts"]

    answer = await web_client.chat_update(channel=GENERAL, ts=ts, text="bye")

    (message,) = slack.messages(GENERAL, ANN)
    assert (message.text, message.blocks, message.ts) == ("bye", (), ts)
    assert answer["message"]["edited"]["ts"] == message.edited


async def test_only_existing_public_messages_of_the_bot_can_be_edited(slack: Slack, web_client: AsyncWebClient) -> None:
    async def error(ts: str, text: str = "a") -> str:
        return await error_of(web_client.chat_update(channel=GENERAL, ts=ts, text=text))

    other = slack.workspace.post(Message(GENERAL, "1.000000", ANN, "mine")).ts
    private = (await web_client.chat_postEphemeral(channel=GENERAL, user=BEN, text="psst"))["message_ts"]
    own = (await web_client.chat_postMessage(channel=GENERAL, text="hello"))["ts"]
    visible = [[message.text for message in slack.messages(GENERAL, user)] for user in (ANN, BEN)]
    assert visible == [["mine", "hello"], ["mine", "psst", "hello"]]

    assert await error(other) == "cant_update_message"
    assert await error_of(web_client.chat_delete(channel=GENERAL, ts=other)) == "cant_delete_message"
    assert await error(private) == "message_not_found"
    assert await error(own, "a" * 4001) == "msg_too_long"
    slack.archive(GENERAL)
    assert await error(own) == "is_inactive"
    await web_client.chat_delete(channel=GENERAL, ts=own)
    assert await error(own) == "message_not_found"


async def test_direct_message_is_posted_to_a_user_id_and_edited_by_its_channel(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    """Opening the conversation needs im:write."""
    posted = await web_client.chat_postMessage(channel=ANN, text="paused")
    channel, ts = posted["channel"], posted["ts"]
    assert await error_of(web_client.chat_update(channel=ANN, ts=ts, text="resumed")) == "channel_not_found"
    await web_client.chat_update(channel=channel, ts=ts, text="resumed")
    slack.scopes |= {"im:write"}
    opened = await web_client.conversations_open(users=[ANN])

    assert (opened["channel"]["id"], opened["already_open"]) == (channel, True)
    assert [message.text for message in slack.messages(channel, ANN)] == ["resumed"]
    assert not slack.messages(channel, BEN)


@pytest.mark.parametrize(("honors", "posted"), [(True, 1), (False, 2)])
async def test_repeated_client_msg_id_posts_nothing_where_it_is_honored(
    slack: Slack, web_client: AsyncWebClient, honors: bool, posted: int
) -> None:
    slack.honors_client_msg_id = honors
    post = {"channel": GENERAL, "text": "a", "client_msg_id": "id-1"}

    stamps = {(await web_client.api_call("chat.postMessage", json=post))["ts"] for _ in range(2)}

    assert len(stamps) == len(slack.messages(GENERAL, ANN)) == posted


async def test_repeated_client_msg_id_of_a_deleted_message_or_channel_is_rejected(
    slack: Slack, web_client: AsyncWebClient
) -> None:
    for number in (1, 2):
        await web_client.chat_postMessage(channel=GENERAL, text="a", client_msg_id=f"id-{number}")
    slack.delete_message(slack.messages(GENERAL)[0])

    first = web_client.chat_postMessage(channel=GENERAL, text="a", client_msg_id="id-1")
    assert await error_of(first) == "duplicate_message_not_found"
    slack.delete_channel(GENERAL)
    second = web_client.chat_postMessage(channel=EVENTS, text="a", client_msg_id="id-2")
    assert await error_of(second) == "duplicate_channel_not_found"
    assert not slack.messages(EVENTS)


async def test_users_conversations_pages_through_the_requested_types(slack: Slack, web_client: AsyncWebClient) -> None:
    slack.remove_bot(RANDOM)
    slack.archive(EVENTS)
    joined = {channel.id for channel in slack.workspace.channels.values() if channel.has_bot}

    async def page(types: str = "public_channel,private_channel", **more: Any) -> tuple[list[Any], str]:
        answer = await web_client.api_call("users.conversations", params={"types": types, **more})
        return answer["channels"], answer["response_metadata"]["next_cursor"]

    found, cursor = await page(limit=1)
    while cursor and len(found) < 10:
        more, cursor = await page(limit=1, cursor=cursor)
        found += more

    assert sorted(channel["id"] for channel in found) == sorted(joined)
    assert joined >= {GENERAL, EVENTS}
    assert {channel["id"] for channel in (await page(exclude_archived=True))[0]} == joined - {EVENTS}
    assert all(channel["is_private"] for channel in (await page("private_channel"))[0])
