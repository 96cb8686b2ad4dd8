"""Someone removes the app."""

from typing import Any

import pytest

from bot.slack.handlers import EVENT_RETRY_SECONDS
from bot.slack.listeners.events import RECHECK_SECONDS
from bot.slack.messages import follow_replies
from sandbox.realtimekit import seeds
from sandbox.slack import BOT, EVENTS
from tests.conftest import World
from tests.slack.listeners.helpers import BOTH_MODES, follow, following

REMOVALS: list[dict[str, Any]] = [
    {"type": "app_uninstalled"},
    {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [BOT]}},
]


@BOTH_MODES
async def test_removal_deletes_all_follows(connected: World) -> None:
    await follow(connected)
    await follow(connected, seeds.IDLE, channel=EVENTS)

    connected.slack.uninstall()
    line = await connected.logged("follows_deleted")

    assert line["follows"] == 2
    assert await following(connected) == follow_replies.NOTHING_FOLLOWED
    assert await following(connected, EVENTS) == follow_replies.NOTHING_FOLLOWED


@pytest.mark.parametrize("event", REMOVALS)
async def test_removal_is_ignored_if_slack_accepts_the_token(connected: World, event: dict[str, Any]) -> None:
    """Then the event comes after the app was installed again."""
    await follow(connected)

    await connected.slack.event(event)
    await connected.logged("removal_doubted")
    connected.slack.clock.advance(RECHECK_SECONDS)
    await connected.logged("removal_outdated")

    assert seeds.LIVE in await following(connected)


async def test_token_that_slack_accepts_for_another_moment_is_tried_once_more(connected: World) -> None:
    await follow(connected)

    await connected.slack.event(REMOVALS[0])
    await connected.logged("removal_doubted")
    connected.slack.refuse("auth.test", "account_inactive")
    connected.slack.clock.advance(RECHECK_SECONDS)

    assert (await connected.logged("follows_deleted"))["follows"] == 1


async def test_nothing_is_forgotten_until_slack_says_that_it_refuses_the_token(connected: World) -> None:
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
