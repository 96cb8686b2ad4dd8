"""What a card shows of a livestream that changes while its status stays the same."""

import itertools
import re

import pytest

from sandbox.realtimekit import ZERO_TIME, Fault, Shape, seeds
from sandbox.slack import Message
from tests.scenarios.scenario import SLOWLY, Story, told, until

MEETING = seeds.LIVE
OTHER_URL = "https://customer-s4ndb0x.cloudflarestream.com/fedcba9876543210fedcba9876543210/manifest/video.m3u8"


async def until_the_card_has(story: Story, text: str) -> Message:
    def has() -> Message | None:
        card = story.card(MEETING)
        return card if card and text in card.text + str(card.blocks) else None

    return await until(has)


async def on_air_for_long(story: Story) -> Message:
    """A card whose livestream the list has confirmed many times."""
    card = await story.follow(MEETING)
    await story.until_shown(MEETING, "live")
    await story.pass_time(300)
    return card


async def test_another_playback_url(story: Story) -> None:
    """The link on the card follows it, and the thread stays silent."""
    card = await on_air_for_long(story)
    story.world.kit.change_livestream(MEETING, playback_url=OTHER_URL)

    await until_the_card_has(story, OTHER_URL)

    assert told(story.slack, card) == []


async def test_another_title(story: Story) -> None:
    """No list of livestreams has it, so the meeting itself is checked."""
    card = await on_air_for_long(story)
    story.world.kit.change(MEETING, title="Launch keynote, second part")

    await until_the_card_has(story, "Launch keynote, second part")

    assert told(story.slack, card) == []


async def test_a_reason_that_comes_late(story: Story) -> None:
    """The card has it as soon as Cloudflare says it, however long that was ERRORED."""
    await on_air_for_long(story)
    story.world.kit.fail(MEETING, "")
    await story.until_told(MEETING, "errored")
    await story.pass_time(300)
    story.world.kit.change_session(MEETING, err_message="The encoder sends no video")

    await until_the_card_has(story, "The encoder sends no video")


async def test_another_livestream(story: Story) -> None:
    """With an id, a start and a playback URL of its own, live before any list shows that the first one is gone."""
    card = await on_air_for_long(story)
    story.slack.clock.speed = SLOWLY  # a machine that stands still for a second must not be a gap between checks
    await story.pass_time(30)  # so that the last check before the change was made at this speed
    story.world.kit.replace_livestream(MEETING)
    livestream = story.world.kit.meetings[MEETING].livestream
    assert livestream is not None
    assert livestream.playback_url is not None

    await until_the_card_has(story, livestream.playback_url)

    assert told(story.slack, card) == []


async def test_two_livestreams_that_take_turns(story: Story) -> None:
    """The newer one stays on the card, whichever Cloudflare lists first."""
    card = await on_air_for_long(story)
    story.slack.clock.speed = 2 * SLOWLY  # a machine that stands still for a second must not be a gap between checks
    story.world.kit.change(MEETING, shape=Shape.LIST)
    story.world.kit.add_livestream(MEETING, name="the-other")
    shown: list[str] = []
    began = story.slack.clock.now()
    while story.slack.clock.now() < began + 240:
        await story.pass_time(15)
        current = story.card(MEETING)
        assert current is not None
        # None, where a machine that stands still kept the bot from Cloudflare for minutes of this clock.
        shown += re.findall(r"https://[^\s\"'|>]+m3u8", str(current.blocks))[:1]

    changes = [new for old, new in itertools.pairwise(shown) if old != new]
    assert len(changes) <= 1
    assert told(story.slack, card) == []


async def test_a_second_livestream_during_an_outage(story: Story) -> None:
    """The one that the bot knows is still on air when Cloudflare answers again, so nothing has ended."""
    card = await on_air_for_long(story)
    story.world.kit.change(MEETING, shape=Shape.LIST)
    story.world.kit.fault = Fault.SERVER_ERROR
    await story.pass_time(150)
    second = story.world.kit.add_livestream(MEETING, name="the-other")
    await story.pass_time(30)
    story.world.kit.fault = Fault.NONE

    await until_the_card_has(story, str(second.playback_url))
    await story.pass_time(120)

    assert told(story.slack, card) == []


async def test_the_reason_of_an_earlier_error(story: Story) -> None:
    """An error whose reason is still to come does not have the reason of the session before."""
    await on_air_for_long(story)
    story.world.kit.fail(MEETING, "The encoder sends no video")
    await until_the_card_has(story, "The encoder sends no video")
    story.world.kit.start(MEETING)
    story.world.kit.fail(MEETING, "")

    await until_the_card_has(story, "no reason")
    story.world.kit.change_session(MEETING, err_message="The key is wrong")

    await until_the_card_has(story, "The key is wrong")


@pytest.mark.parametrize("start", [ZERO_TIME, 4_000_000_000.0])
async def test_a_start_that_cannot_be_true(story: Story, start: float) -> None:
    """Neither the year 1 nor a time to come is shown, tells sessions apart, or counts in the duration."""
    story.world.kit.change_session(MEETING, started_time=start)
    answer = await story.world.ask(MEETING)
    assert "since" not in answer.text
    card = await story.follow(MEETING)
    await story.pass_time(120)
    story.world.kit.end(MEETING)
    await story.until_told(MEETING, "ended")

    ended = (await story.until_shown(MEETING, "ended")).text + story.slack.replies(card)[0].text
    assert "hours" not in ended
    assert re.search(r"for \d+ (seconds|minutes?)", ended)


async def test_a_title_and_a_reason_with_control_characters(story: Story) -> None:
    """They are followed, shown and recorded like any other."""
    story.world.kit.change(MEETING, title="Launch\0 \x1b[31mkeynote")
    await story.follow(MEETING)
    story.world.kit.fail(MEETING, "No\0 video")
    await story.until_told(MEETING, "errored")

    card = await until_the_card_has(story, "No video")
    assert "Launch [31mkeynote" in card.text
