"""Someone removes the app."""

from typing import Any

import pytest

from bot.slack.handlers import EVENT_RETRY_SECONDS
from bot.slack.listeners.events import RECHECK_SECONDS
from bot.slack.messages import follow_replies
from sandbox.realtimekit import seeds
from sandbox.slack import BOT, EVENTS
from tests.conftest import World
from tests.slack.listeners.helpers import follow, following

REMOVALS: list[dict[str, Any]] = [
    {"type": "app_uninstalled"},
    {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [BOT]}},
]


async def test_removal_deletes_all_follows(connected: World) -> None:
    await follow(connected)
    await follow(connected, seeds.IDLE, channel=EVENTS)

    connected.slack.uninstall()
    line = await connected.logged("follows_deleted")

    assert line["follows"] == 2
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED
    assert await following(connected, EVENTS) == follow_replies.NOTHING_FOLLOWED


@pytest.mark.parametrize("event", REMOVALS)
async def test_event_that_comes_after_the_app_was_installed_again(connected: World, event: dict[str, Any]) -> None:
    """Slack accepts the token, so nothing is forgotten."""
    await follow(connected)

    await connected.slack.event(event)
    await connected.logged("removal_doubted")
    connected.slack.clock.advance(RECHECK_SECONDS)
    await connected.logged("removal_outdated")

    assert seeds.LIVE in await following(connected)


async def test_token_that_slack_accepts_for_another_moment(connected: World) -> None:
    """It is tried once more before the event counts as outdated."""
    await follow(connected)

    await connected.slack.event(REMOVALS[0])
    await connected.logged("removal_doubted")
    connected.slack.refuse("auth.test", "account_inactive")
    connected.slack.clock.advance(RECHECK_SECONDS)

    assert (await connected.logged("follows_deleted"))["follows"] == 1


async def test_slack_does_not_answer(connected: World) -> None:
    """Nothing is forgotten until Slack says that it refuses the token."""
    await follow(connected)
    connected.slack.refuse("auth.test", "internal_error")

    await connected.slack.event(REMOVALS[0])
    line = await connected.logged("event_postponed")
    assert line["error"] == "slack_unreachable"
    assert seeds.LIVE in await following(connected)
    connected.slack.accept()
    connected.slack.refuse("auth.test", "account_inactive")
    connected.slack.clock.advance(EVENT_RETRY_SECONDS[0])

    assert (await connected.logged("follows_deleted"))["follows"] == 1
