"""Slack's refusal of the token is known everywhere, and ends by itself."""

import io

import aiohttp
import pytest

from bot.errors import SlackNotAuthorised
from bot.sandbox.realtimekit import seeds
from bot.sandbox.slack import EVENTS
from bot.slack import cards
from bot.slack.access import FORGET_AFTER_SECONDS, Access
from tests.conftest import World


async def readiness(world: World) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{world.bot_url}/readyz") as response:
        return response.status, await response.text()


@pytest.mark.parametrize("code", ["token_revoked", "missing_scope", "ekm_access_denied"])
async def test_refused_by_a_post_and_ready_again_after_the_next(connected: World, log: io.StringIO, code: str) -> None:
    """The person, the log and /readyz say it while it lasts; the next post that Slack accepts ends it."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.refuse_next("chat.postMessage", code)

    await connected.slack.click(answer, cards.POST_HERE)
    told = await connected.told_beside(answer)
    await connected.idle()

    assert told.text == SlackNotAuthorised().sentence
    status, text = await readiness(connected)
    assert status == 503
    assert f"({code})" in text
    assert log.getvalue().count('"event": "slack_access_refused"') == 1

    await connected.slack.click(answer, cards.POST_HERE)
    await connected.logged("slack_access_restored")

    assert (await readiness(connected))[0] == 200


async def test_a_token_that_is_accepted_again_is_noticed_without_a_post(connected: World) -> None:
    """Slack is asked now and then, and more often while it refuses."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.refuse_next("chat.postMessage", "invalid_auth")
    await connected.slack.click(answer, cards.POST_HERE)
    await connected.told_beside(answer)
    assert (await readiness(connected))[0] == 503

    connected.slack.clock.advance(30)

    await connected.logged("slack_access_restored")
    assert (await readiness(connected))[0] == 200


async def test_a_revoked_token_is_noticed_while_nothing_is_posted(connected: World) -> None:
    """Within some minutes."""
    connected.slack.refuse_next("auth.test", "token_revoked", times=1_000)

    while "slack_access_refused" not in connected.log.getvalue():
        connected.slack.clock.advance(30)
        await connected.idle()

    status, text = await readiness(connected)
    assert status == 503
    assert "token_revoked" in text


def test_another_method_does_not_end_what_one_may_not_do() -> None:
    """A missing scope of posts says nothing about edits, and the other way round."""
    access = Access()
    access.note_error("chat.postMessage", "missing_scope")

    access.note_success("auth.test")
    assert access.problem == "missing_scope"
    access.note_success("chat.postMessage")

    assert access.problem is None


def test_a_refused_permission_that_nothing_needs_any_longer_is_forgotten() -> None:
    """Else the bot would never be ready again."""
    time = [0.0]
    access = Access(lambda: time[0])
    access.note_error("chat.postMessage", "ekm_access_denied")

    time[0] = FORGET_AFTER_SECONDS

    assert access.problem is None
    assert access.sentence() is None


def test_what_concerns_a_channel_is_not_the_tokens() -> None:
    """Being removed from a channel leaves the bot ready."""
    access = Access()

    access.note_error("chat.postMessage", "not_in_channel")

    assert access.problem is None


async def test_the_list_of_follows_says_that_slack_refuses_the_token(connected: World) -> None:
    """Also for those that have nothing to post now."""
    await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.refuse_next("chat.postMessage", "token_revoked")
    await connected.slack.click(answer, cards.POST_HERE)
    await connected.told_beside(answer)

    listed = await connected.ask("following", channel=EVENTS)

    assert "Slack refuses this bot's access (token_revoked)" in listed.text


async def test_who_follows_while_slack_refuses_the_token_is_told_so(connected: World) -> None:
    """Not that the card only comes a little later."""
    connected.slack.refuse_next("chat.postMessage", "token_revoked")

    answer = await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)

    assert "Slack refuses this bot's access (token_revoked)" in answer.text
