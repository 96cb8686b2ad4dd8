"""What is announced in a channel that follows a meeting, from the first sign of life to the end."""

from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, GENERAL
from tests.scenarios.scenario import SLOWLY, SPEED, Scenario, cards, replies_in, shows, until

MEETING = seeds.NEVER_LIVE


def labels(message: object) -> str:
    return str(getattr(message, "blocks", ""))


async def test_start_live_and_end_are_announced_once_and_a_short_drop_is_not(scenario: Scenario) -> None:
    card = await scenario.follow(MEETING)
    assert shows(card) == "waiting"

    scenario.world.kit.start(MEETING, "Keynote")
    await scenario.until_announced(MEETING, "starting")
    scenario.world.kit.go_live(MEETING)
    live = await scenario.until_announced(MEETING, "starting", "live")
    assert live.ts == card.ts
    live = await scenario.until_shown(MEETING, "live")
    assert "Watch" in labels(live)

    scenario.slack.clock.speed = SLOWLY
    scenario.world.kit.drop(MEETING)
    await scenario.until_shown(MEETING, "interrupted")
    scenario.world.kit.go_live(MEETING)
    await scenario.until_shown(MEETING, "live")
    scenario.slack.clock.speed = SPEED

    scenario.world.kit.end(MEETING)
    ended = await scenario.until_announced(MEETING, "starting", "live", "ended")
    ended = await scenario.until_shown(MEETING, "ended")
    assert "was live for" in ended.text
    assert "Watch" not in labels(ended)
    assert "m3u8" not in labels(ended)


async def test_error_recovery_and_end_are_announced(scenario: Scenario) -> None:
    scenario.world.kit.go_live(MEETING)
    await scenario.follow(MEETING)
    scenario.world.kit.fail(MEETING, "The encoder sends no video")
    card = await scenario.until_announced(MEETING, "errored")
    assert "The encoder sends no video" in scenario.slack.replies(card)[0].text

    scenario.world.kit.go_live(MEETING)
    await scenario.until_announced(MEETING, "errored", "back")
    scenario.world.kit.end(MEETING)
    await scenario.until_announced(MEETING, "errored", "back", "ended")


async def test_only_the_card_mentions_the_follower(scenario: Scenario) -> None:
    """Whatever the meeting's title is."""
    scenario.world.kit.add_meeting("<!channel> <@U0BEN000001> & co", meeting := "11111111-1111-4111-8111-111111111111")
    await scenario.follow(meeting)
    scenario.world.kit.go_live(meeting)
    card = await scenario.until_announced(meeting, "live")

    for message in (card, *scenario.slack.replies(card)):
        shown = message.text + labels(message)
        assert "<!channel>" not in shown
        assert "<@" not in shown.replace(f"Followed by <@{ANN}>", "")
    assert "<@" not in card.text + "".join(reply.text + labels(reply) for reply in scenario.slack.replies(card))


async def test_end_during_a_cloudflare_outage_is_announced_afterwards(scenario: Scenario) -> None:
    scenario.world.kit.go_live(MEETING)
    card = await scenario.follow(MEETING)
    scenario.world.kit.fault = Fault.SERVER_ERROR
    scenario.world.kit.end(MEETING)
    await until(lambda: "Can't get updates from Cloudflare" in (scenario.card(MEETING) or card).text)
    await scenario.pass_time(600)
    assert replies_in(scenario.slack, card) == []
    assert shows(scenario.card(MEETING) or card) == "live"

    scenario.world.kit.fault = Fault.NONE

    await scenario.until_announced(MEETING, "ended")
    assert "Can't get updates from Cloudflare" not in (await scenario.until_shown(MEETING, "ended")).text


async def test_follow_is_paused_when_the_bot_is_removed_and_resumed_when_invited(scenario: Scenario) -> None:
    scenario.world.kit.go_live(MEETING)
    card = await scenario.follow(MEETING)
    scenario.slack.remove_bot(GENERAL)
    scenario.world.kit.fail(MEETING, "Nothing comes in")
    await until(scenario.private_messages)
    scenario.world.kit.go_live(MEETING)
    await scenario.pass_time(300)
    assert len(scenario.private_messages()) == 1

    scenario.slack.invite_bot(GENERAL)

    await scenario.until_shown(MEETING, "live")
    assert replies_in(scenario.slack, card) == []
    scenario.world.kit.end(MEETING)
    await scenario.until_announced(MEETING, "ended")


async def test_end_during_a_pause_is_announced_after_the_invitation(scenario: Scenario) -> None:
    """The next episode, which is over as well, gets a card."""
    scenario.world.kit.go_live(MEETING)
    first = await scenario.follow(MEETING, "loud")
    scenario.slack.remove_bot(GENERAL)
    scenario.world.kit.fail(MEETING, "Nothing comes in")
    await until(scenario.private_messages)
    scenario.world.kit.end(MEETING)
    await scenario.pass_time(300)
    scenario.world.kit.go_live(MEETING)
    await scenario.pass_time(300)
    scenario.world.kit.end(MEETING)
    await scenario.pass_time(120)
    scenario.slack.clock.advance(3 * 3600)

    scenario.slack.invite_bot(GENERAL)

    await until(lambda: len(cards(scenario.slack, MEETING)) == 2)
    second = await scenario.until_shown(MEETING, "ended")
    await until(lambda: replies_in(scenario.slack, first))
    assert replies_in(scenario.slack, first) == ["ended"]
    assert replies_in(scenario.slack, second) == []


async def test_follow_expires_after_thirty_days_and_can_be_renewed(scenario: Scenario) -> None:
    await scenario.follow(MEETING)
    scenario.slack.clock.advance(30 * 24 * 3600)

    card = await scenario.until_announced(MEETING, "expired")

    await scenario.slack.click(card, "follow_again")
    await until(lambda: len(cards(scenario.slack, MEETING)) == 2)
    scenario.world.kit.go_live(MEETING)
    await scenario.until_announced(MEETING, "live")
