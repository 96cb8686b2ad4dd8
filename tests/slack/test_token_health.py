"""Slack's refusal of the token is known everywhere, and ends by itself."""

import io

import aiohttp
import pytest

from bot.errors import SlackAccessDenied, SlackRejected
from bot.slack.messages import lookup_card
from bot.slack.token_health import FORGET_AFTER_SECONDS, TokenHealth
from sandbox.realtimekit import seeds
from sandbox.slack import EVENTS, GENERAL
from tests.conftest import World


async def readiness(world: World) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{world.bot_url}/readyz") as response:
        return response.status, await response.text()


async def pass_time_until(world: World, event: str) -> None:
    """Let half minutes pass until the bot logs this."""
    while event not in world.log.getvalue():
        world.slack.clock.advance(30)
        await world.idle()


async def post_here(world: World) -> str:
    """Ask for a card in the channel, and return what Ann reads next to it: why it cannot be posted."""
    answer = await world.ask(seeds.LIVE, channel=EVENTS)
    return (await world.answer(await world.slack.click(answer, lookup_card.POST_HERE))).text


@pytest.mark.parametrize("code", ["token_revoked", "missing_scope", "accesslimited"])
async def test_token_that_a_post_finds_refused_is_reported_until_a_post_is_accepted(
    connected: World, log: io.StringIO, code: str
) -> None:
    """To the person, in the log, in /readyz and, for those who have nothing to post now, in the list of follows."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)
    connected.slack.refuse_next("chat.postMessage", code)

    told = await connected.answer(await connected.slack.click(answer, lookup_card.POST_HERE))
    await connected.idle()

    assert told.text == SlackAccessDenied().sentence
    status, text = await readiness(connected)
    assert status == 503
    assert f"({code})" in text
    assert log.getvalue().count('"event": "slack_access_refused"') == 1
    assert f"Slack refuses this bot's access ({code})" in (await connected.ask("following", channel=EVENTS)).text

    await connected.slack.click(answer, lookup_card.POST_HERE)
    await connected.logged("slack_access_restored")

    assert (await readiness(connected))[0] == 200


async def test_token_that_is_accepted_again_is_noticed_without_a_post(connected: World) -> None:
    """The bot checks more often while Slack refuses it."""
    connected.slack.refuse_next("chat.postMessage", "invalid_auth")
    await post_here(connected)
    assert (await readiness(connected))[0] == 503

    connected.slack.clock.advance(30)

    await connected.logged("slack_access_restored")
    assert (await readiness(connected))[0] == 200


async def test_revoked_token_is_noticed_within_minutes_while_nothing_is_posted(connected: World) -> None:
    connected.slack.refuse_next("auth.test", "token_revoked", times=1_000)

    await pass_time_until(connected, "slack_access_refused")

    status, text = await readiness(connected)
    assert status == 503
    assert "token_revoked" in text


async def test_follow_while_slack_refuses_the_token_says_so(connected: World) -> None:
    """Not that the card only comes a little later."""
    connected.slack.refuse_next("chat.postMessage", "token_revoked")

    answer = await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)

    assert "Slack refuses this bot's access (token_revoked)" in answer.text


PLACE_CODES = (
    *("access_denied", "ekm_access_denied", "org_login_required"),
    *("team_access_not_granted", "team_added_to_org"),
)


@pytest.mark.parametrize("code", PLACE_CODES)
async def test_refused_team_makes_the_bot_unready_only_if_slack_means_the_whole_installation(
    connected: World, code: str
) -> None:
    """Of an organization-wide installation one team may be left out, or be moving. The bot soon asks which it is."""
    connected.slack.refuse("chat.postMessage", code, EVENTS)
    assert await post_here(connected) == SlackRejected().sentence
    await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)
    await connected.ask(f"follow {seeds.LIVE}")

    assert [message.text for message in connected.slack.messages(GENERAL) if message.ephemeral_to is None]
    assert (await readiness(connected))[0] == 200
    assert "slack_access_refused" not in connected.log.getvalue()

    connected.slack.refuse("auth.test", code)
    await post_here(connected)
    await pass_time_until(connected, "slack_access_refused")

    status, text = await readiness(connected)
    assert status == 503
    assert f"({code})" in text
    connected.slack.accept()
    await pass_time_until(connected, "slack_access_restored")
    await connected.ready()


def test_refused_permission_of_one_method_is_not_ended_by_another() -> None:
    """A missing scope of posts says nothing about edits, and the other way round."""
    access = TokenHealth()
    access.note_error("chat.postMessage", "missing_scope")

    access.note_success("auth.test")
    assert access.problem == "missing_scope"
    access.note_success("chat.postMessage")

    assert access.problem is None


def test_refused_permission_that_nothing_needs_anymore_is_forgotten() -> None:
    """Otherwise the bot would never be ready again."""
    time = [0.0]
    access = TokenHealth(lambda: time[0])
    access.note_error("chat.postMessage", "accesslimited")

    time[0] = FORGET_AFTER_SECONDS

    assert access.problem is None
    assert access.describe_problem() is None


def test_error_about_a_channel_leaves_the_bot_ready() -> None:
    access = TokenHealth()

    access.note_error("chat.postMessage", "not_in_channel")

    assert access.problem is None
