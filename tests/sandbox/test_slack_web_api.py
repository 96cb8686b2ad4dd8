"""The sandbox's Web API, called by slack_sdk's own client over HTTP."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from sandbox.clock import Clock
from sandbox.slack import ANN, APP_TOKEN, BACKSTAGE, BEN, BOT_TOKEN, EVENTS, GENERAL, RANDOM, SLACKBOT, Message, Slack

BUTTONS = [
    {"type": "actions", "elements": [{"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "A"}}]}
]


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with Slack(clock=Clock(speed=0)).running() as slack:
        yield slack


@pytest.fixture
async def client(slack: Slack) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(BOT_TOKEN, base_url=slack.api_url, session=session, retry_handlers=[])


async def error_of(call: Any) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as caught:
        await call
    data = caught.value.response.data
    assert isinstance(data, dict)
    return data


async def test_auth_test(client: AsyncWebClient) -> None:
    """The bot learns who it is, and which scopes it holds from a header."""
    answer = await client.auth_test()

    assert answer["team"] == "Sandbox"
    assert answer["user"] == "livestream"
    assert answer.headers["x-oauth-scopes"] == "channels:read,chat:write,commands,groups:read"


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-wrong", "invalid_auth"), (APP_TOKEN, "not_allowed_token_type")],
)
async def test_tokens(slack: Slack, token: str, error: str) -> None:
    """A call needs the right token."""
    client = AsyncWebClient(token or None, base_url=slack.api_url, retry_handlers=[])

    assert (await error_of(client.auth_test()))["error"] == error


async def test_missing_scope(slack: Slack, client: AsyncWebClient) -> None:
    """A scope that the token does not hold is named, with those that it holds."""
    slack.scopes = {"commands"}

    data = await error_of(client.chat_postMessage(channel=GENERAL, text="hello"))

    assert (data["error"], data["needed"], data["provided"]) == ("missing_scope", "chat:write", "commands")


async def test_app_scopes(slack: Slack, client: AsyncWebClient) -> None:
    """Socket Mode needs connections:write on the app-level token."""
    slack.app_scopes = set()

    assert (await error_of(client.apps_connections_open(app_token=APP_TOKEN)))["error"] == "missing_scope"


async def test_unknown_method(client: AsyncWebClient) -> None:
    """A method that does not exist is said to be unknown."""
    assert (await error_of(client.api_call("chat.shout")))["error"] == "unknown_method"


async def test_post(slack: Slack, client: AsyncWebClient) -> None:
    """A posted message is seen in its channel, and comes back with ts and named blocks."""
    answer = await client.chat_postMessage(channel=GENERAL, text="hello", blocks=BUTTONS)

    (message,) = slack.messages(GENERAL, ANN)
    assert (message.ts, message.text) == (answer["ts"], "hello")
    assert answer["message"]["blocks"][0]["block_id"]


@pytest.mark.parametrize("token_in", ["header", "form"])
async def test_form(slack: Slack, token_in: str) -> None:
    """Forms do as well as JSON: blocks as a JSON string, the token in the header or among the fields."""
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
async def test_flawed_json(slack: Slack, body: str, error: str) -> None:
    """JSON that cannot be read is refused as such; a readable one still needs a token."""
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
async def test_refused(slack: Slack, client: AsyncWebClient, arguments: dict[str, Any], error: str) -> None:
    """What Slack refuses is refused in its words, and nothing is posted."""
    assert (await error_of(client.api_call("chat.postMessage", json=arguments)))["error"] == error
    assert not list(slack.workspace.every_message())


async def test_public_scope(slack: Slack, client: AsyncWebClient) -> None:
    """With chat:write.public the bot may post to public channels that it is not in."""
    slack.scopes |= {"chat:write.public"}

    await client.chat_postMessage(channel=RANDOM, text="hello")

    assert slack.messages(RANDOM, ANN)


async def test_membership(slack: Slack, client: AsyncWebClient) -> None:
    """Invited the bot may post; removed, archived or deleted it may not."""
    slack.invite_bot(BACKSTAGE)
    await client.chat_postMessage(channel=BACKSTAGE, text="hello")

    slack.archive(BACKSTAGE)
    assert (await error_of(client.chat_postMessage(channel=BACKSTAGE, text="hello")))["error"] == "is_archived"
    slack.remove_bot(BACKSTAGE)
    assert (await error_of(client.chat_postMessage(channel=BACKSTAGE, text="hello")))["error"] == "channel_not_found"
    slack.delete_channel(GENERAL)
    assert (await error_of(client.chat_postMessage(channel=GENERAL, text="a")))["error"] == "channel_not_found"


async def test_threads(slack: Slack, client: AsyncWebClient) -> None:
    """A reply goes to the thread, with reply_broadcast to the channel too; a reply to a reply joins the thread."""
    root = (await client.chat_postMessage(channel=GENERAL, text="card"))["ts"]
    reply = (await client.chat_postMessage(channel=GENERAL, text="live", thread_ts=root))["ts"]
    await client.chat_postMessage(channel=GENERAL, text="ended", thread_ts=reply, reply_broadcast=True)

    card = slack.messages(GENERAL, ANN)[0]
    assert [message.text for message in slack.messages(GENERAL, ANN)] == ["card", "ended"]
    assert [message.text for message in slack.replies(card, ANN)] == ["live", "ended"]


async def test_ephemeral(slack: Slack, client: AsyncWebClient) -> None:
    """An ephemeral message needs a reader in the channel, and cannot be edited."""
    answer = await client.chat_postEphemeral(channel=GENERAL, user=ANN, text="psst")
    ts = answer["message_ts"]

    assert slack.messages(GENERAL, ANN)
    assert not slack.messages(GENERAL, BEN)
    strange = client.chat_postEphemeral(channel=GENERAL, user="U0NOBODY001", text="psst")
    assert (await error_of(strange))["error"] == "user_not_in_channel"
    assert (await error_of(client.chat_update(channel=GENERAL, ts=ts, text="a")))["error"] == "message_not_found"


async def test_update(slack: Slack, client: AsyncWebClient) -> None:
    """An update without blocks drops those that the message had."""
    ts = (await client.chat_postMessage(channel=GENERAL, text="hello", blocks=BUTTONS))["ts"]

    answer = await client.chat_update(channel=GENERAL, ts=ts, text="bye")

    (message,) = slack.messages(GENERAL, ANN)
    assert (message.text, message.blocks, message.ts) == ("bye", (), ts)
    assert answer["message"]["edited"]["ts"] == message.edited


async def test_update_of_others(slack: Slack, client: AsyncWebClient) -> None:
    """Only what the bot itself has posted can be edited or deleted."""
    other = slack.workspace.post(Message(GENERAL, "1.000000", ANN, "mine"))

    assert (await error_of(client.chat_update(channel=GENERAL, ts=other.ts, text="a")))[
        "error"
    ] == "cant_update_message"
    assert (await error_of(client.chat_delete(channel=GENERAL, ts=other.ts)))["error"] == "cant_delete_message"


async def test_update_refused(slack: Slack, client: AsyncWebClient) -> None:
    """No update of what is gone, of more than 4,000 characters, or in an archived channel."""
    ts = (await client.chat_postMessage(channel=GENERAL, text="hello"))["ts"]

    assert (await error_of(client.chat_update(channel=GENERAL, ts=ts, text="a" * 4001)))["error"] == "msg_too_long"
    slack.archive(GENERAL)
    assert (await error_of(client.chat_update(channel=GENERAL, ts=ts, text="a")))["error"] == "is_inactive"
    await client.chat_delete(channel=GENERAL, ts=ts)
    assert (await error_of(client.chat_update(channel=GENERAL, ts=ts, text="a")))["error"] == "message_not_found"


async def test_direct_message(slack: Slack, client: AsyncWebClient) -> None:
    """A user id as channel reaches that person with chat:write alone; to open the conversation takes im:write."""
    posted = await client.chat_postMessage(channel=ANN, text="only you")
    assert (await error_of(client.conversations_open(users=ANN)))["error"] == "missing_scope"
    slack.scopes |= {"im:write"}
    opened = await client.conversations_open(users=[ANN])

    assert opened["channel"]["id"] == posted["channel"]
    assert opened["already_open"]
    assert slack.messages(posted["channel"], ANN)
    assert not slack.messages(posted["channel"], BEN)


@pytest.mark.parametrize(("honors", "posted"), [(True, 1), (False, 2)])
async def test_client_msg_id(slack: Slack, client: AsyncWebClient, honors: bool, posted: int) -> None:
    """A repeated client_msg_id posts nothing and answers with the first message, where Slack honors it."""
    slack.honors_client_msg_id = honors

    stamps = [(await client.chat_postMessage(channel=GENERAL, text="a", client_msg_id="id-1"))["ts"] for _ in range(2)]

    assert len(set(stamps)) == len(slack.messages(GENERAL, ANN)) == posted


async def test_client_msg_id_of_what_is_gone(slack: Slack, client: AsyncWebClient) -> None:
    """A repeat whose first message, or whose channel, is gone is refused, wherever it is to be posted."""
    for number in (1, 2):
        await client.chat_postMessage(channel=GENERAL, text="a", client_msg_id=f"id-{number}")
    slack.delete_message(slack.messages(GENERAL)[0])

    first = client.chat_postMessage(channel=GENERAL, text="a", client_msg_id="id-1")
    assert (await error_of(first))["error"] == "duplicate_message_not_found"
    slack.delete_channel(GENERAL)
    second = client.chat_postMessage(channel=EVENTS, text="a", client_msg_id="id-2")
    assert (await error_of(second))["error"] == "duplicate_channel_not_found"
    assert not slack.messages(EVENTS)


async def test_update_in_a_direct_message(slack: Slack, client: AsyncWebClient) -> None:
    """What was posted to a person can be edited where it is, but not by the person's id."""
    posted = await client.chat_postMessage(channel=ANN, text="paused")

    refused = client.chat_update(channel=ANN, ts=posted["ts"], text="resumed")
    assert (await error_of(refused))["error"] == "channel_not_found"
    await client.chat_update(channel=posted["channel"], ts=posted["ts"], text="resumed")

    assert [message.text for message in slack.messages(posted["channel"], ANN)] == ["resumed"]


async def test_api_test(client: AsyncWebClient) -> None:
    """api.test says what it was told, and fails on demand."""
    assert (await client.api_test(foo="bar"))["args"]["foo"] == "bar"
    assert (await error_of(client.api_test(error="my_error")))["error"] == "my_error"


async def test_unreadable_form(slack: Slack) -> None:
    """A form that is no UTF-8 is refused."""
    async with aiohttp.ClientSession(headers={"Content-Type": "application/x-www-form-urlencoded"}) as session:
        answer = await session.post(f"{slack.api_url}auth.test", data=b"\xff")

    assert (await answer.json())["error"] == "invalid_form_data"


async def test_text_is_text(client: AsyncWebClient) -> None:
    """A text that is no string is refused."""
    call = client.api_call("chat.postMessage", json={"channel": GENERAL, "text": 7})

    assert (await error_of(call))["error"] == "invalid_arguments"


async def test_conversations_of_the_bot(slack: Slack, client: AsyncWebClient) -> None:
    """Page by page, of the types asked for, with or without archived ones."""
    both = {"types": "public_channel,private_channel"}
    slack.remove_bot(RANDOM)
    slack.archive(EVENTS)
    found, cursor = [], ""
    for _ in range(10):
        page = await client.api_call("users.conversations", params={**both, "limit": 1, "cursor": cursor})
        found += [channel["id"] for channel in page["channels"]]
        cursor = page["response_metadata"]["next_cursor"]
        if not cursor:
            break
    joined = {channel.id for channel in slack.workspace.channels.values() if channel.has_bot}

    assert set(found) == joined >= {GENERAL, EVENTS}
    assert len(found) == len(joined)
    open_ones = await client.api_call("users.conversations", params={**both, "exclude_archived": True})
    assert {channel["id"] for channel in open_ones["channels"]} == joined - {EVENTS}
    private = await client.api_call("users.conversations", params={"types": "private_channel"})
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
async def test_conversations_that_are_refused(client: AsyncWebClient, arguments: dict[str, Any], error: str) -> None:
    assert (await error_of(client.api_call("users.conversations", params=arguments)))["error"] == error
