"""Who the bot is, learned from Slack."""

import io
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from pytest_mock import MockerFixture

from bot.errors import ConfigurationError
from bot.metrics import Metrics
from bot.slack.api_client import SlackClient, open_session
from bot.slack.identity import Identity
from sandbox.clock import Clock
from sandbox.slack import BOT, BOT_TOKEN, Fault, Slack

Make = Callable[..., Identity]


@pytest.fixture
async def slack(clock: Clock) -> AsyncIterator[Slack]:
    async with Slack(clock).running() as slack:
        yield slack


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
async def make(slack: Slack, slept: list[float]) -> AsyncIterator[Make]:
    """Yield a function that makes identities whose waits take no time."""

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def make(token: str = BOT_TOKEN, session_: aiohttp.ClientSession | None = None) -> Identity:
        client = SlackClient(token=token, base_url=slack.api_url, session=session_ or session, metrics=Metrics())
        return Identity(client, sleep=sleep)

    async with open_session() as session:
        yield make


async def test_identity_is_fetched_in_one_call(make: Make) -> None:
    identity = make()

    assert await identity.fetch()
    assert identity.is_known
    assert identity.authorization.bot_user_id == BOT
    assert identity.authorization.team_id == "T0SANDBOX01"
    assert identity.authorization.bot_token == BOT_TOKEN


def test_unknown_identity_has_only_the_token(make: Make) -> None:
    identity = make()

    assert not identity.is_known
    assert identity.authorization.bot_token == BOT_TOKEN
    assert identity.authorization.team_id is None


async def test_permalink_uses_the_workspaces_address(make: Make) -> None:
    """There is none before Slack has reported the address."""
    identity = make()
    before = identity.permalink("C1", "1795521600.000100")

    await identity.fetch()

    assert before is None
    assert identity.permalink("C1", "1795521600.000100") == "https://sandbox.slack.com/archives/C1/p1795521600000100"


@pytest.mark.parametrize("code", ["invalid_auth", "token_revoked", "account_inactive", "not_allowed_token_type"])
async def test_rejected_token_is_a_configuration_error(slack: Slack, make: Make, code: str) -> None:
    """The error says how to fix it, and does not have the token."""
    slack.refuse_next("auth.test", code)
    identity = make()

    with pytest.raises(ConfigurationError) as raised:
        await identity.fetch()

    [sentence] = raised.value.mistakes
    assert sentence.startswith(f"SLACK_BOT_TOKEN is refused by Slack ({code}).")
    assert "OAuth & Permissions" in sentence
    assert BOT_TOKEN not in sentence
    assert not identity.is_known


async def test_another_workspaces_token(make: Make) -> None:
    """A token that Slack does not know is refused."""
    with pytest.raises(ConfigurationError, match="invalid_auth"):
        await make("xoxb-another").fetch()


@pytest.mark.parametrize(
    "code",
    ["internal_error", "ratelimited", "team_added_to_org", "org_login_required", "unreadable", "a_word_of_tomorrow"],
)
async def test_transient_error_leaves_the_identity_unknown(slack: Slack, make: Make, code: str) -> None:
    slack.refuse_next("auth.test", code)
    identity = make()

    assert not await identity.fetch()
    assert not identity.is_known
    assert await identity.fetch()


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.HANG])
async def test_out_of_order(slack: Slack, make: Make, log: io.StringIO, fault: Fault) -> None:
    """A Slack that is out of order says nothing about the token, and that is logged."""
    slack.fault = fault
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.04)) as hasty:
        assert not await make(session_=hasty).fetch()

    assert log.getvalue().count('"event": "auth_test_failed"') == 1
    assert BOT_TOKEN not in log.getvalue()


async def test_fetch_is_retried_with_backoff(slack: Slack, make: Make, slept: list[float]) -> None:
    slack.refuse_next("auth.test", "internal_error", times=8)
    identity = make()

    await identity.fetch_with_retry()

    assert identity.is_known
    assert slept == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_refused_in_time(slack: Slack, make: Make, log: io.StringIO, slept: list[float]) -> None:
    """A refusal that comes late is logged once, and ends by itself when Slack accepts the token."""
    slack.refuse_next("auth.test", "internal_error")
    slack.refuse_next("auth.test", "invalid_auth", times=3)
    identity = make()

    await identity.fetch_with_retry()

    assert identity.is_known
    assert slept == [1, 60, 60, 60]
    assert log.getvalue().count('"event": "token_rejected"') == 1
    assert "SLACK_BOT_TOKEN is refused by Slack (invalid_auth)" in log.getvalue()


async def test_name_of_the_bot_can_be_copied_as_it_is(make: Make, mocker: MockerFixture) -> None:
    """It stands in `/invite @name`, where a space of zero width would name another user."""
    identity = make()
    answer = {"ok": True, "user": "_live_show_", "user_id": BOT, "bot_id": "B1", "team_id": "T1", "url": "https://x/"}
    mocker.patch.object(identity._client, "auth_test", return_value=answer)

    assert await identity.fetch()

    assert identity.name == "_live_show_"
