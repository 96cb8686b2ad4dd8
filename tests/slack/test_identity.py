"""Who the bot is, learned from Slack."""

import io
from collections.abc import Callable

import aiohttp
import pytest
from pytest_mock import MockerFixture

from bot.errors import ConfigurationError
from bot.slack.identity import Identity
from sandbox.slack import BOT, BOT_TOKEN, Fault, Slack
from tests.slack.helpers import make_client

Make = Callable[..., Identity]


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def make(slack: Slack, session: aiohttp.ClientSession, slept: list[float]) -> Make:
    """Return a function that makes identities whose waits take no time."""

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def make(token: str = BOT_TOKEN, other: aiohttp.ClientSession | None = None) -> Identity:
        return Identity(make_client(slack.api_url, other or session, token=token), sleep=sleep)

    return make


@pytest.fixture
def identity(make: Make) -> Identity:
    return make()


async def test_identity_is_fetched_in_one_call(slack: Slack, identity: Identity) -> None:
    """Before, only the token is known, and no address for permalinks."""
    before = identity.is_known, identity.authorization.bot_token, identity.authorization.team_id
    assert before == (False, BOT_TOKEN, None)
    assert identity.permalink("C1", "1795521600.000100") is None

    assert await identity.fetch()

    assert len(slack.calls) == 1
    assert identity.is_known
    known = identity.authorization
    assert (known.bot_user_id, known.team_id, known.bot_token) == (BOT, "T0SANDBOX01", BOT_TOKEN)
    assert identity.permalink("C1", "1795521600.000100") == "https://sandbox.slack.com/archives/C1/p1795521600000100"


@pytest.mark.parametrize("code", ["invalid_auth", "token_revoked", "account_inactive", "not_allowed_token_type"])
async def test_rejected_token_is_a_configuration_error(slack: Slack, identity: Identity, code: str) -> None:
    """The error says how to fix it, and does not have the token."""
    slack.refuse_next("auth.test", code)

    with pytest.raises(ConfigurationError) as raised:
        await identity.fetch()

    [sentence] = raised.value.mistakes
    assert sentence.startswith(f"SLACK_BOT_TOKEN is refused by Slack ({code}).")
    assert "OAuth & Permissions" in sentence
    assert BOT_TOKEN not in sentence
    assert not identity.is_known


async def test_token_that_slack_does_not_know_is_rejected(make: Make) -> None:
    with pytest.raises(ConfigurationError, match="invalid_auth"):
        await make("xoxb-another").fetch()


@pytest.mark.parametrize(
    "code",
    ["internal_error", "ratelimited", "team_added_to_org", "org_login_required", "unreadable", "a_word_of_tomorrow"],
)
async def test_transient_error_leaves_the_identity_unknown(slack: Slack, identity: Identity, code: str) -> None:
    slack.refuse_next("auth.test", code)

    assert not await identity.fetch()
    assert not identity.is_known
    assert await identity.fetch()


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.SERVER_ERROR, Fault.RATE_LIMITED, Fault.HANG])
async def test_slack_that_is_out_of_order_is_logged_and_rejects_no_token(
    slack: Slack, make: Make, hasty: aiohttp.ClientSession, log: io.StringIO, fault: Fault
) -> None:
    slack.fault = fault

    assert not await make(other=hasty).fetch()

    assert log.getvalue().count('"event": "auth_test_failed"') == 1
    assert BOT_TOKEN not in log.getvalue()


async def test_fetch_is_retried_with_backoff(slack: Slack, identity: Identity, slept: list[float]) -> None:
    slack.refuse_next("auth.test", "internal_error", times=8)

    await identity.fetch_with_retry()

    assert identity.is_known
    assert slept == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_late_rejection_is_logged_once_and_ends_by_itself(
    slack: Slack, identity: Identity, log: io.StringIO, slept: list[float]
) -> None:
    slack.refuse_next("auth.test", "internal_error")
    slack.refuse_next("auth.test", "invalid_auth", times=3)

    await identity.fetch_with_retry()

    assert identity.is_known
    assert slept == [1, 60, 60, 60]
    assert log.getvalue().count('"event": "token_rejected"') == 1
    assert "SLACK_BOT_TOKEN is refused by Slack (invalid_auth)" in log.getvalue()


async def test_name_of_the_bot_can_be_copied_as_it_is(identity: Identity, mocker: MockerFixture) -> None:
    """It stands in `/invite @name`, where a space of zero width would name another user."""
    answer = {"ok": True, "user": "_live_show_", "user_id": BOT, "bot_id": "B1", "team_id": "T1", "url": "https://x/"}
    mocker.patch.object(identity._client, "auth_test", return_value=answer)

    assert await identity.fetch()

    assert identity.name == "_live_show_"
