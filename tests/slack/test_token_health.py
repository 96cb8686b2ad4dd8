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


@pytest.mark.parametrize("code", ["token_revoked", "missing_scope", "accesslimited"])
async def test_refused_by_a_post_and_ready_again_after_the_next(connected: World, log: io.StringIO, code: str) -> None:
    """The person, the log and /readyz say it while it lasts; the next post that Slack accepts ends it."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.refuse_next("chat.postMessage", code)

    await connected.slack.click(answer, lookup_card.POST_HERE)
    told = await connected.told_beside(answer)
    await connected.idle()

    assert told.text == SlackAccessDenied().sentence
    status, text = await readiness(connected)
    assert status == 503
    assert f"({code})" in text
    assert log.getvalue().count('"event": "slack_access_refused"') == 1

    await connected.slack.click(answer, lookup_card.POST_HERE)
    await connected.logged("slack_access_restored")

    assert (await readiness(connected))[0] == 200


async def test_a_token_that_is_accepted_again_is_noticed_without_a_post(connected: World) -> None:
    """The token is checked now and then, and more often while Slack refuses it."""
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.refuse_next("chat.postMessage", "invalid_auth")
    await connected.slack.click(answer, lookup_card.POST_HERE)
    await connected.told_beside(answer)
    assert (await readiness(connected))[0] == 503

    connected.slack.clock.advance(30)

    await connected.logged("slack_access_restored")
    assert (await readiness(connected))[0] == 200


async def test_a_revoked_token_is_noticed_while_nothing_is_posted(connected: World) -> None:
    """Within some minutes."""
    connected.slack.refuse_next("auth.test", "token_revoked", times=1_000)

    await pass_time_until(connected, "slack_access_refused")

    status, text = await readiness(connected)
    assert status == 503
    assert "token_revoked" in text


def test_another_method_does_not_end_what_one_may_not_do() -> None:
    """A missing scope of posts says nothing about edits, and the other way round."""
    access = TokenHealth()
    access.note_error("chat.postMessage", "missing_scope")

    access.note_success("auth.test")
    assert access.problem == "missing_scope"
    access.note_success("chat.postMessage")

    assert access.problem is None


def test_a_refused_permission_that_nothing_needs_any_longer_is_forgotten() -> None:
    """Else the bot would never be ready again."""
    time = [0.0]
    access = TokenHealth(lambda: time[0])
    access.note_error("chat.postMessage", "accesslimited")

    time[0] = FORGET_AFTER_SECONDS

    assert access.problem is None
    assert access.describe_problem() is None


def test_what_concerns_a_channel_is_not_the_tokens() -> None:
    """Being removed from a channel leaves the bot ready."""
    access = TokenHealth()

    access.note_error("chat.postMessage", "not_in_channel")

    assert access.problem is None


PLACE_CODES = [
    "access_denied",
    "ekm_access_denied",
    "org_login_required",
    "team_access_not_granted",
    "team_added_to_org",
]


@pytest.mark.parametrize("code", PLACE_CODES)
async def test_what_concerns_one_team_leaves_the_bot_ready_for_all_others(connected: World, code: str) -> None:
    """Of an organization-wide installation one team may be left out, or be moving."""
    connected.slack.refuse("chat.postMessage", code, EVENTS)
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    await connected.slack.click(answer, lookup_card.POST_HERE)
    told = await connected.told_beside(answer)
    await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)

    await connected.ask(f"follow {seeds.LIVE}")

    assert told.text == SlackRejected().sentence
    assert [message.text for message in connected.slack.messages(GENERAL) if message.ephemeral_to is None]
    assert (await readiness(connected))[0] == 200
    assert "slack_access_refused" not in connected.log.getvalue()


@pytest.mark.parametrize("code", PLACE_CODES)
async def test_what_concerns_the_only_team_is_noticed_within_half_a_minute(connected: World, code: str) -> None:
    """A request to Slack finds out whether it means the whole installation."""
    connected.slack.refuse("chat.postMessage", code, EVENTS)
    connected.slack.refuse("auth.test", code)
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    await connected.slack.click(answer, lookup_card.POST_HERE)
    await connected.told_beside(answer)

    await pass_time_until(connected, "slack_access_refused")

    status, text = await readiness(connected)
    assert status == 503
    assert f"({code})" in text
    connected.slack.accept()
    await pass_time_until(connected, "slack_access_restored")
    await connected.ready()


async def test_the_list_of_follows_says_that_slack_refuses_the_token(connected: World) -> None:
    """Also for those that have nothing to post now."""
    await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)
    answer = await connected.ask(seeds.LIVE, channel=EVENTS)
    connected.slack.refuse_next("chat.postMessage", "token_revoked")
    await connected.slack.click(answer, lookup_card.POST_HERE)
    await connected.told_beside(answer)

    listed = await connected.ask("following", channel=EVENTS)

    assert "Slack refuses this bot's access (token_revoked)" in listed.text


async def test_who_follows_while_slack_refuses_the_token_is_told_so(connected: World) -> None:
    """Not that the card only comes a little later."""
    connected.slack.refuse_next("chat.postMessage", "token_revoked")

    answer = await connected.ask(f"follow {seeds.LIVE}", channel=EVENTS)

    assert "Slack refuses this bot's access (token_revoked)" in answer.text
