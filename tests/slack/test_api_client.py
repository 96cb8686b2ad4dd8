"""The Web API client: it counts, repeats nothing that writes, and knows Slack's answers from others."""

from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.app import open_slack
from bot.metrics import Metrics
from bot.slack.api_client import TRANSPORT_ERRORS, SlackClient, open_session
from bot.slack.errors import error_code
from sandbox.slack import EVENTS, Fault, Slack
from tests.conftest import World
from tests.slack.helpers import answering, counts, make_client

POST = "chat.postMessage"


async def test_successful_call_is_counted(client: SlackClient, metrics: Metrics) -> None:
    response = await client.auth_test()

    assert response["team"] == "Sandbox"
    assert counts(metrics.slack_calls) == {("auth.test", "ok"): 1}


@pytest.mark.parametrize(("code", "outcome"), [("account_inactive", "refused"), ("ratelimited", "ratelimited")])
async def test_rejected_call_is_counted_and_not_repeated(
    slack: Slack, client: SlackClient, metrics: Metrics, code: str, outcome: str
) -> None:
    """The error has Slack's code and headers."""
    if code == "ratelimited":
        slack.rate_limit_next(POST, retry_after=1)
    else:
        slack.refuse_next(POST, code)

    with pytest.raises(SlackApiError) as raised:
        await client.chat_postMessage(channel=EVENTS, text="x")

    assert error_code(raised.value) == code
    assert raised.value.response.headers.get("Retry-After") == ("1" if code == "ratelimited" else None)
    assert counts(metrics.slack_calls) == {(POST, outcome): 1}
    assert len(slack.calls) == 1


async def test_write_without_an_answer_is_not_repeated(slack: Slack, client: SlackClient, metrics: Metrics) -> None:
    """Slack may have carried it out."""
    slack.fault = Fault.DROP

    with pytest.raises(TRANSPORT_ERRORS):
        await client.chat_postMessage(channel=EVENTS, text="x")

    assert counts(metrics.slack_calls) == {(POST, "unreachable"): 1}
    assert len(slack.messages(EVENTS)) == 1


@pytest.mark.parametrize("hangs", [False, True], ids=["no connection", "no answer in time"])
async def test_call_without_an_answer_counts_as_unreachable(
    slack: Slack, hasty: aiohttp.ClientSession, metrics: Metrics, hangs: bool
) -> None:
    slack.fault = Fault.HANG
    with pytest.raises(TRANSPORT_ERRORS):
        await make_client(slack.api_url if hangs else "http://127.0.0.1:1/api/", hasty, metrics).auth_test()

    assert counts(metrics.slack_calls) == {("auth.test", "unreachable"): 1}


async def test_session_has_short_timeouts(session: aiohttp.ClientSession) -> None:
    assert (session.timeout.total, session.timeout.connect) == (10, 3)


@pytest.mark.parametrize(
    "response",
    [
        {"text": "<html>Service Unavailable</html>", "content_type": "text/html", "status": 503},
        {"text": "<html>Please log in to the hotel</html>", "content_type": "text/html"},
        {"text": "hello", "content_type": "text/plain"},
        {"text": "{"},
        {"text": "{", "status": 429},
        {"text": ""},
        {"text": "[]"},
        {"text": '"x"'},
        {"text": "null"},
        {"text": "{}"},
        {"body": b'{"ok": "\xff"}'},
        {"text": '{"ok": false, "error": {"code": 7}}'},
        {"text": '{"ok": false, "error": "no word"}'},
    ],
    ids=str,
)
async def test_response_that_is_not_slacks_counts_as_unreachable(
    session: aiohttp.ClientSession, metrics: Metrics, response: dict[str, Any]
) -> None:
    async with answering(**{"content_type": "application/json", **response}) as stranger:
        with pytest.raises(TRANSPORT_ERRORS):
            await make_client(stranger.url, session, metrics).auth_test()

    assert counts(metrics.slack_calls) == {("auth.test", "unreachable"): 1}


async def test_any_429_is_a_rate_limit(session: aiohttp.ClientSession, metrics: Metrics) -> None:
    """Even from a proxy that has no code of Slack's."""
    async with answering(text="<html>Too many</html>", content_type="text/html", status=429) as proxy:
        with pytest.raises(SlackApiError) as raised:
            await make_client(proxy.url, session, metrics).auth_test()

    assert error_code(raised.value) == "ratelimited"
    assert counts(metrics.slack_calls) == {("auth.test", "ratelimited"): 1}


async def test_calls_reuse_one_connection(session: aiohttp.ClientSession) -> None:
    async with answering(text='{"ok": true}', content_type="application/json") as stranger:
        client = make_client(stranger.url, session)
        for _ in range(3):
            await client.auth_test()

    assert len(stranger.connections) == 3
    assert len(set(map(id, stranger.connections))) == 1


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        ({"ok": False, "error": "not_in_channel"}, 200, "not_in_channel"),
        ({"ok": False, "error": "not in channel"}, 200, "unreadable"),
        ({"ok": False, "error": "x" * 81}, 200, "unreadable"),
        ({"ok": False, "error": "ключ"}, 200, "unreadable"),
        ({"ok": False, "error": None}, 200, "unreadable"),
        ({"ok": False}, 200, "unreadable"),
        ({"ok": False}, 429, "ratelimited"),
        ("text", 500, "unreadable"),
        (None, 0, "unreadable"),
    ],
)
def test_only_plausible_error_codes_are_reported(data: Any, status: int, code: str) -> None:
    """Anything else might put untrusted text into the log or messages. slack_sdk also makes errors with no response."""
    response = data and AsyncSlackResponse(
        client=None, http_verb="POST", api_url="", req_args={}, data=data, headers={}, status_code=status
    )

    error = SlackApiError("", response)  # type: ignore[no-untyped-call]

    assert error_code(error) == code


async def test_proxy_of_the_environment_is_not_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """slack_sdk would find it there, but the session has the one of the settings."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with open_session() as session:
        client = open_slack(world.settings(), session, Metrics())

        assert (await client.auth_test())["ok"]
