"""What is announced in a channel that follows a meeting, from the first sign of life to the end."""

from bot.clock import Clock
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, EVENTS, GENERAL
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


async def test_next_episode_has_its_own_card_and_thread(scenario: Scenario) -> None:
    scenario.world.kit.go_live(MEETING)
    first = await scenario.follow(MEETING)
    scenario.world.kit.end(MEETING)
    await scenario.until_announced(MEETING, "ended")
    await scenario.pass_time(120)

    scenario.world.kit.go_live(MEETING)
    second = await scenario.until_announced(MEETING, "live")

    assert second.ts != first.ts
    [old, new] = cards(scenario.slack, MEETING)
    assert (shows(old), replies_in(scenario.slack, old)) == ("ended", ["ended"])
    assert new.ts == second.ts


async def test_quiet_follow_edits_the_card_and_loud_follow_broadcasts_three_kinds(scenario: Scenario) -> None:
    await scenario.follow(MEETING, "quiet")
    await scenario.follow(MEETING, "loud", channel=EVENTS)
    scenario.world.kit.start(MEETING)
    await scenario.until_announced(MEETING, "starting", channel=EVENTS)
    scenario.world.kit.go_live(MEETING)
    await scenario.until_announced(MEETING, "starting", "live", channel=EVENTS)
    scenario.world.kit.fail(MEETING, "The encoder sends no video")
    await scenario.until_announced(MEETING, "starting", "live", "errored", channel=EVENTS)
    scenario.world.kit.end(MEETING)
    loud = await scenario.until_announced(MEETING, "starting", "live", "errored", "ended", channel=EVENTS)

    quiet = await scenario.until_shown(MEETING, "ended")
    assert scenario.slack.replies(quiet) == []
    assert [reply.is_broadcast for reply in scenario.slack.replies(loud)] == [False, True, True, True]


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


async def test_end_is_announced_once_after_ten_minutes_of_rate_limits(scenario: Scenario) -> None:
    scenario.world.kit.go_live(MEETING)
    await scenario.follow(MEETING)
    began = scenario.slack.clock.now()
    scenario.slack.rate_limit_next("chat.postMessage", 60, times=10)
    scenario.slack.rate_limit_next("chat.update", 60, times=10)
    scenario.world.kit.end(MEETING)

    card = await scenario.until_announced(MEETING, "ended")

    assert scenario.slack.clock.now() - began >= 600
    await scenario.until_shown(MEETING, "ended")
    await scenario.pass_time(120)
    assert replies_in(scenario.slack, card) == ["ended"]


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


async def test_twenty_follows_of_one_meeting_cost_the_requests_of_one(scenario: Scenario) -> None:
    channels = [f"C0MANY{n:05d}" for n in range(20)]
    general = scenario.slack.workspace.channels[GENERAL]
    for channel in channels:
        scenario.slack.workspace.put_channel(type(general)(channel, channel.lower(), general.members, has_bot=True))
    for channel in channels:
        await scenario.follow(MEETING, channel=channel)
    began = scenario.slack.clock.now()
    scenario.world.kit.go_live(MEETING)
    for channel in channels:
        await scenario.until_announced(MEETING, "live", channel=channel)

    minutes = (scenario.slack.clock.now() - began) / 60
    # In addition, lists of all livestreams are read, however many are followed.
    requests = [call for call in scenario.world.kit.calls if call.at >= began and MEETING in call.path]
    assert len(requests) < 12 * (minutes + 1)


async def test_deleted_card_is_posted_again_with_the_next_change(scenario: Scenario) -> None:
    scenario.world.kit.go_live(MEETING)
    first = await scenario.follow(MEETING)
    scenario.slack.delete_message(first)
    scenario.world.kit.fail(MEETING, "Nothing comes in")

    second = await scenario.until_announced(MEETING, "errored")

    assert second.ts != first.ts


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


async def test_end_is_announced_when_the_meeting_is_deleted(scenario: Scenario) -> None:
    scenario.world.kit.go_live(MEETING)
    await scenario.follow(MEETING)
    scenario.world.kit.remove_meeting(MEETING)

    await scenario.until_announced(MEETING, "ended")


async def test_clock_set_back_delays_and_repeats_nothing(fast: Scenario) -> None:
    clock = AdjustableClock(fast.slack.clock)
    async with fast.world.bot(clock=clock):
        fast.world.kit.go_live(MEETING)
        await fast.follow(MEETING)
        fast.world.kit.fail(MEETING, "Nothing comes in")
        await fast.until_announced(MEETING, "errored")
        clock.behind = 3600
        fast.world.kit.go_live(MEETING)
        await fast.until_announced(MEETING, "errored", "back")
        fast.world.kit.end(MEETING)
        await fast.until_announced(MEETING, "errored", "back", "ended")


class AdjustableClock:
    """A clock that a test can set back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.behind = 0.0

    def now(self) -> float:
        return self._clock.now() - self.behind

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
