"""The Web API client: counts, repeats nothing, and knows Slack's answers from others."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.app import open_slack
from bot.metrics import Metrics
from bot.slack.api_client import TRANSPORT_ERRORS, SlackClient, open_session
from bot.slack.errors import error_code
from bot.uvicorn_server import listen, url_of
from sandbox.clock import Clock
from sandbox.slack import EVENTS, Fault, Slack
from tests.conftest import World


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


@pytest.fixture
async def slack(clock: Clock) -> AsyncIterator[Slack]:
    async with Slack(clock).running() as slack:
        yield slack


@pytest.fixture
def client(slack: Slack, session: aiohttp.ClientSession, metrics: Metrics) -> SlackClient:
    return a_client(slack.api_url, session, metrics)


def a_client(base_url: str, session: aiohttp.ClientSession, metrics: Metrics) -> SlackClient:
    return SlackClient(token="xoxb-sandbox-bot-token", base_url=base_url, session=session, metrics=metrics)


def counts(metrics: Metrics) -> dict[tuple[str, str], float]:
    """How often each method was called, with which outcome."""
    return {
        (sample.labels["method"], sample.labels["outcome"]): sample.value
        for family in metrics.slack_calls.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


async def test_successful_call_is_counted(client: SlackClient, metrics: Metrics) -> None:
    response = await client.auth_test()

    assert response["team"] == "Sandbox"
    assert counts(metrics) == {("auth.test", "ok"): 1}


async def test_rejected_call_is_counted_and_raised(slack: Slack, client: SlackClient, metrics: Metrics) -> None:
    """The error has Slack's code."""
    slack.refuse_next("chat.postMessage", "account_inactive")

    with pytest.raises(SlackApiError) as raised:
        await client.chat_postMessage(channel=EVENTS, text="x")

    assert error_code(raised.value) == "account_inactive"
    assert counts(metrics) == {("chat.postMessage", "refused"): 1}


async def test_rate_limited_call_is_counted_and_not_repeated(
    slack: Slack, client: SlackClient, metrics: Metrics
) -> None:
    """Rate limits have an outcome of their own."""
    slack.rate_limit_next("chat.postMessage", retry_after=1)

    with pytest.raises(SlackApiError) as raised:
        await client.chat_postMessage(channel=EVENTS, text="x")

    assert error_code(raised.value) == "ratelimited"
    assert raised.value.response.headers["Retry-After"] == "1"
    assert counts(metrics) == {("chat.postMessage", "ratelimited"): 1}
    assert len(slack.calls) == 1


async def test_write_without_an_answer_is_not_repeated(slack: Slack, client: SlackClient, metrics: Metrics) -> None:
    """Slack may have carried it out."""
    slack.fault = Fault.DROP

    with pytest.raises(TRANSPORT_ERRORS):
        await client.chat_postMessage(channel=EVENTS, text="x")

    assert counts(metrics) == {("chat.postMessage", "unreachable"): 1}
    assert len(slack.messages(EVENTS)) == 1


async def test_failed_connection_counts_as_unreachable(session: aiohttp.ClientSession, metrics: Metrics) -> None:
    with pytest.raises(TRANSPORT_ERRORS):
        await a_client("http://127.0.0.1:1/api/", session, metrics).auth_test()

    assert counts(metrics) == {("auth.test", "unreachable"): 1}


async def test_timeout_counts_as_unreachable(slack: Slack, metrics: Metrics) -> None:
    slack.fault = Fault.HANG
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.04)) as session:
        with pytest.raises(TRANSPORT_ERRORS):
            await a_client(slack.api_url, session, metrics).auth_test()

    assert counts(metrics) == {("auth.test", "unreachable"): 1}


async def test_session_has_short_timeouts() -> None:
    """Ten seconds for a call, three to connect."""
    async with open_session() as session:
        assert (session.timeout.total, session.timeout.connect) == (10, 3)


class Stranger:
    """Something between the bot and Slack that answers in Slack's place."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {"text": '{"ok": true}', "content_type": "application/json"}
        self.connections: list[Any] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        self.connections.append(request.transport)
        return web.Response(**self.answer)


@pytest.fixture
async def stranger() -> AsyncIterator[tuple[Stranger, str]]:
    stranger = Stranger()
    runner = web.ServerRunner(web.Server(stranger))
    await runner.setup()
    sock = listen()
    await web.SockSite(runner, sock).start()
    yield stranger, f"{url_of(sock)}/api/"
    await runner.cleanup()


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "<html>Service Unavailable</html>", "content_type": "text/html", "status": 503},
        {"text": "<html>Please log in to the hotel</html>", "content_type": "text/html"},
        {"text": "{", "content_type": "application/json"},
        {"text": "", "content_type": "application/json"},
        {"text": "[]", "content_type": "application/json"},
        {"text": '"x"', "content_type": "application/json"},
        {"text": "null", "content_type": "application/json"},
        {"text": "{}", "content_type": "application/json"},
        {"body": b'{"ok": "\xff"}', "content_type": "application/json"},
        {"text": '{"ok": false, "error": {"code": 7}}', "content_type": "application/json"},
        {"text": '{"ok": false, "error": "no word"}', "content_type": "application/json"},
        {"text": "hello", "content_type": "text/plain"},
        {"text": "{", "content_type": "application/json", "status": 429},
    ],
)
async def test_not_slacks_answer(
    stranger: tuple[Stranger, str], session: aiohttp.ClientSession, metrics: Metrics, answer: dict[str, Any]
) -> None:
    """A response that is not Slack's counts as none."""
    proxy, url = stranger
    proxy.answer = answer

    with pytest.raises(TRANSPORT_ERRORS):
        await a_client(url, session, metrics).auth_test()

    assert counts(metrics) == {("auth.test", "unreachable"): 1}


async def test_wait_without_a_word(
    stranger: tuple[Stranger, str], session: aiohttp.ClientSession, metrics: Metrics
) -> None:
    """A 429 means to wait, even when it comes from a proxy that has no word of Slack's."""
    proxy, url = stranger
    proxy.answer = {"text": "<html>Too many</html>", "content_type": "text/html", "status": 429}

    with pytest.raises(SlackApiError) as raised:
        await a_client(url, session, metrics).auth_test()

    assert error_code(raised.value) == "ratelimited"
    assert counts(metrics) == {("auth.test", "ratelimited"): 1}


async def test_calls_reuse_one_connection(
    stranger: tuple[Stranger, str], session: aiohttp.ClientSession, metrics: Metrics
) -> None:
    proxy, url = stranger
    client = a_client(url, session, metrics)

    for _ in range(3):
        await client.auth_test()

    assert len(proxy.connections) == 3
    assert len(set(map(id, proxy.connections))) == 1


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
    ],
)
def test_only_plausible_error_codes_are_reported(data: Any, status: int, code: str) -> None:
    """Anything else might put untrusted text into the log or into messages."""
    response = AsyncSlackResponse(
        client=None, http_verb="POST", api_url="", req_args={}, data=data, headers={}, status_code=status
    )

    error = SlackApiError("", response)  # type: ignore[no-untyped-call]

    assert error_code(error) == code


def test_error_code_without_an_answer() -> None:
    """slack_sdk also makes errors without a response of its own."""
    error = SlackApiError("", None)  # type: ignore[no-untyped-call]

    assert error_code(error) == "unreadable"


async def test_proxy_of_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that slack_sdk finds in the environment is not used: the session has the one of the settings."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with open_session() as session:
        client = open_slack(world.settings(), session, Metrics())

        assert (await client.auth_test())["ok"]
