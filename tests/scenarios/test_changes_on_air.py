"""What a card shows of a livestream that changes while its status stays the same."""

import itertools
import re

import pytest

from sandbox.realtimekit import ZERO_TIME, Fault, Shape, seeds
from sandbox.slack import Message
from tests.scenarios.scenario import SLOWLY, Scenario, replies_in, until

MEETING = seeds.LIVE


async def until_card_contains(scenario: Scenario, text: str) -> Message:
    def has() -> Message | None:
        card = scenario.card(MEETING)
        return card if card and text in card.text + str(card.blocks) else None

    return await until(has)


async def follow_live_for_long(scenario: Scenario) -> Message:
    """Follow a meeting whose livestream the list has confirmed many times; return the card."""
    card = await scenario.follow(MEETING)
    await scenario.until_shown(MEETING, "live")
    await scenario.pass_time(300)
    return card


async def test_new_title_is_shown_without_an_announcement(scenario: Scenario) -> None:
    """No list of livestreams has it, so the meeting itself is checked."""
    card = await follow_live_for_long(scenario)
    scenario.world.kit.change(MEETING, title="Launch keynote, second part")

    await until_card_contains(scenario, "Launch keynote, second part")

    assert replies_in(scenario.slack, card) == []


async def test_late_error_reason_is_shown(scenario: Scenario) -> None:
    await follow_live_for_long(scenario)
    scenario.world.kit.fail(MEETING, "")
    await scenario.until_announced(MEETING, "errored")
    await scenario.pass_time(300)
    scenario.world.kit.change_session(MEETING, err_message="The encoder sends no video")

    await until_card_contains(scenario, "The encoder sends no video")


async def test_replacement_livestream_is_shown_without_an_announcement(scenario: Scenario) -> None:
    """It is live before any list shows that the first one is gone."""
    card = await follow_live_for_long(scenario)
    scenario.slack.clock.speed = SLOWLY  # a machine that halts for a second must not cause a gap between checks
    await scenario.pass_time(30)  # so that the last check before the change was made at this speed
    scenario.world.kit.replace_livestream(MEETING)
    livestream = scenario.world.kit.meetings[MEETING].livestream
    assert livestream is not None
    assert livestream.playback_url is not None

    await until_card_contains(scenario, livestream.playback_url)

    assert replies_in(scenario.slack, card) == []


async def test_newer_of_two_livestreams_stays_on_the_card(scenario: Scenario) -> None:
    card = await follow_live_for_long(scenario)
    scenario.slack.clock.speed = 2 * SLOWLY  # a machine that halts for a second must not cause a gap between checks
    scenario.world.kit.change(MEETING, shape=Shape.LIST)
    scenario.world.kit.add_livestream(MEETING, name="the-other")
    shown: list[str] = []
    began = scenario.slack.clock.now()
    while scenario.slack.clock.now() < began + 240:
        await scenario.pass_time(15)
        current = scenario.card(MEETING)
        assert current is not None
        # None if a machine that halted kept the bot from Cloudflare for minutes of this clock.
        shown += re.findall(r"https://[^\s\"'|>]+m3u8", str(current.blocks))[:1]

    changes = [new for old, new in itertools.pairwise(shown) if old != new]
    assert len(changes) <= 1
    assert replies_in(scenario.slack, card) == []


async def test_second_livestream_during_an_outage_ends_nothing(scenario: Scenario) -> None:
    """The first one is still live when Cloudflare is back."""
    card = await follow_live_for_long(scenario)
    scenario.world.kit.change(MEETING, shape=Shape.LIST)
    scenario.world.kit.fault = Fault.SERVER_ERROR
    await scenario.pass_time(150)
    second = scenario.world.kit.add_livestream(MEETING, name="the-other")
    await scenario.pass_time(30)
    scenario.world.kit.fault = Fault.NONE

    await until_card_contains(scenario, str(second.playback_url))
    await scenario.pass_time(120)

    assert replies_in(scenario.slack, card) == []


async def test_error_without_a_reason_does_not_show_an_earlier_one(scenario: Scenario) -> None:
    await follow_live_for_long(scenario)
    scenario.world.kit.fail(MEETING, "The encoder sends no video")
    await until_card_contains(scenario, "The encoder sends no video")
    scenario.world.kit.start(MEETING)
    scenario.world.kit.fail(MEETING, "")

    await until_card_contains(scenario, "no reason")
    scenario.world.kit.change_session(MEETING, err_message="The key is wrong")

    await until_card_contains(scenario, "The key is wrong")


@pytest.mark.parametrize("start", [ZERO_TIME, 4_000_000_000.0])
async def test_implausible_start_is_ignored(scenario: Scenario, start: float) -> None:
    """Neither the year 1 nor a future time is shown, distinguishes sessions, or counts in the duration."""
    scenario.world.kit.change_session(MEETING, started_time=start)
    answer = await scenario.world.ask(MEETING)
    assert "since" not in answer.text
    card = await scenario.follow(MEETING)
    await scenario.pass_time(120)
    scenario.world.kit.end(MEETING)
    await scenario.until_announced(MEETING, "ended")

    ended = (await scenario.until_shown(MEETING, "ended")).text + scenario.slack.replies(card)[0].text
    assert "hours" not in ended
    assert re.search(r"for \d+ (seconds|minutes?)", ended)


async def test_control_characters_in_title_and_reason_are_dropped(scenario: Scenario) -> None:
    scenario.world.kit.change(MEETING, title="Launch\0 \x1b[31mkeynote")
    await scenario.follow(MEETING)
    scenario.world.kit.fail(MEETING, "No\0 video")
    await scenario.until_announced(MEETING, "errored")

    card = await until_card_contains(scenario, "No video")
    assert "Launch [31mkeynote" in card.text
