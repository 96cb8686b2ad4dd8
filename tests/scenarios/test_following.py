"""What a channel that follows a meeting is told, from the first sign of life to the end."""

from bot.clock import Clock
from sandbox.realtimekit import Fault, seeds
from sandbox.slack import ANN, EVENTS, GENERAL
from tests.scenarios.scenario import SLOWLY, SPEED, Story, cards, shows, told, until

MEETING = seeds.NEVER_LIVE


def labels(message: object) -> str:
    return str(getattr(message, "blocks", ""))


async def test_a_whole_evening(story: Story) -> None:
    """Followed before there is a livestream: starting, live, ended, each once; a short drop pings nobody."""
    card = await story.follow(MEETING)
    assert shows(card) == "waiting"

    story.world.kit.start(MEETING, "Keynote")
    await story.until_told(MEETING, "starting")
    story.world.kit.go_live(MEETING)
    live = await story.until_told(MEETING, "starting", "live")
    assert live.ts == card.ts
    live = await story.until_shown(MEETING, "live")
    assert "Watch" in labels(live)

    story.slack.clock.speed = SLOWLY
    story.world.kit.drop(MEETING)
    await story.until_shown(MEETING, "interrupted")
    story.world.kit.go_live(MEETING)
    await story.until_shown(MEETING, "live")
    story.slack.clock.speed = SPEED

    story.world.kit.end(MEETING)
    ended = await story.until_told(MEETING, "starting", "live", "ended")
    ended = await story.until_shown(MEETING, "ended")
    assert "was live for" in ended.text
    assert "Watch" not in labels(ended)
    assert "m3u8" not in labels(ended)


async def test_an_error_and_its_repair(story: Story) -> None:
    """The error is told with its reason, then that it is over, then the end; an error of a moment is not."""
    story.world.kit.go_live(MEETING)
    await story.follow(MEETING)
    story.world.kit.fail(MEETING, "The encoder sends no video")
    card = await story.until_told(MEETING, "errored")
    assert "The encoder sends no video" in story.slack.replies(card)[0].text

    story.world.kit.go_live(MEETING)
    await story.until_told(MEETING, "errored", "back")
    story.world.kit.end(MEETING)
    await story.until_told(MEETING, "errored", "back", "ended")


async def test_the_next_run(story: Story) -> None:
    """It has a card and a thread of its own; the one before stays as the record of how that ended."""
    story.world.kit.go_live(MEETING)
    first = await story.follow(MEETING)
    story.world.kit.end(MEETING)
    await story.until_told(MEETING, "ended")
    await story.pass_time(120)

    story.world.kit.go_live(MEETING)
    second = await story.until_told(MEETING, "live")

    assert second.ts != first.ts
    [old, new] = cards(story.slack, MEETING)
    assert (shows(old), told(story.slack, old)) == ("ended", ["ended"])
    assert new.ts == second.ts


async def test_quiet_and_loud(story: Story) -> None:
    """Quiet is the card alone; loud tells "live", "error" and "ended" to the channel too, and nothing else."""
    await story.follow(MEETING, "quiet")
    await story.follow(MEETING, "loud", channel=EVENTS)
    story.world.kit.start(MEETING)
    await story.until_told(MEETING, "starting", channel=EVENTS)
    story.world.kit.go_live(MEETING)
    await story.until_told(MEETING, "starting", "live", channel=EVENTS)
    story.world.kit.fail(MEETING, "The encoder sends no video")
    await story.until_told(MEETING, "starting", "live", "errored", channel=EVENTS)
    story.world.kit.end(MEETING)
    loud = await story.until_told(MEETING, "starting", "live", "errored", "ended", channel=EVENTS)

    quiet = await story.until_shown(MEETING, "ended")
    assert story.slack.replies(quiet) == []
    assert [reply.is_broadcast for reply in story.slack.replies(loud)] == [False, True, True, True]


async def test_nobody_is_mentioned(story: Story) -> None:
    """Only the card names a person, the one who follows, whatever the meeting is called."""
    story.world.kit.add_meeting("<!channel> <@U0BEN000001> & co", meeting := "11111111-1111-4111-8111-111111111111")
    await story.follow(meeting)
    story.world.kit.go_live(meeting)
    card = await story.until_told(meeting, "live")

    for message in (card, *story.slack.replies(card)):
        shown = message.text + labels(message)
        assert "<!channel>" not in shown
        assert "<@" not in shown.replace(f"Followed by <@{ANN}>", "")
    assert "<@" not in card.text + "".join(reply.text + labels(reply) for reply in story.slack.replies(card))


async def test_an_end_while_slack_asks_to_wait(story: Story) -> None:
    """For ten minutes Slack takes nothing; then the end is told, once."""
    story.world.kit.go_live(MEETING)
    await story.follow(MEETING)
    began = story.slack.clock.now()
    story.slack.rate_limit_next("chat.postMessage", 60, times=10)
    story.slack.rate_limit_next("chat.update", 60, times=10)
    story.world.kit.end(MEETING)

    card = await story.until_told(MEETING, "ended")

    assert story.slack.clock.now() - began >= 600
    await story.until_shown(MEETING, "ended")
    await story.pass_time(120)
    assert told(story.slack, card) == ["ended"]


async def test_an_outage_across_an_end(story: Story) -> None:
    """While Cloudflare cannot be asked the card says as of when it speaks; nothing has ended until it answers."""
    story.world.kit.go_live(MEETING)
    card = await story.follow(MEETING)
    story.world.kit.fault = Fault.SERVER_ERROR
    story.world.kit.end(MEETING)
    await until(lambda: "Can't get updates from Cloudflare" in (story.card(MEETING) or card).text)
    await story.pass_time(600)
    assert told(story.slack, card) == []
    assert shows(story.card(MEETING) or card) == "live"

    story.world.kit.fault = Fault.NONE

    await story.until_told(MEETING, "ended")
    assert "Can't get updates from Cloudflare" not in (await story.until_shown(MEETING, "ended")).text


async def test_twenty_channels(story: Story) -> None:
    """Twenty follows of one meeting: each channel is told everything once, and Cloudflare is asked for one."""
    channels = [f"C0MANY{n:05d}" for n in range(20)]
    general = story.slack.workspace.channels[GENERAL]
    for channel in channels:
        story.slack.workspace.put_channel(type(general)(channel, channel.lower(), general.members, has_bot=True))
    for channel in channels:
        await story.follow(MEETING, channel=channel)
    began = story.slack.clock.now()
    story.world.kit.go_live(MEETING)
    for channel in channels:
        await story.until_told(MEETING, "live", channel=channel)

    minutes = (story.slack.clock.now() - began) / 60
    # Besides, lists of all livestreams are read, however many are followed.
    asked = [call for call in story.world.kit.calls if call.at >= began and MEETING in call.path]
    assert len(asked) < 12 * (minutes + 1)


async def test_a_deleted_card(story: Story) -> None:
    """It is posted anew, and its thread goes on there."""
    story.world.kit.go_live(MEETING)
    first = await story.follow(MEETING)
    story.slack.delete_message(first)
    story.world.kit.fail(MEETING, "Nothing comes in")

    second = await story.until_told(MEETING, "errored")

    assert second.ts != first.ts


async def test_a_channel_that_cannot_be_posted_in(story: Story) -> None:
    """The follow is paused and its creator told once; invited again, the bot goes on with what is still true."""
    story.world.kit.go_live(MEETING)
    card = await story.follow(MEETING)
    story.slack.remove_bot(GENERAL)
    story.world.kit.fail(MEETING, "Nothing comes in")
    await until(story.private_messages)
    story.world.kit.go_live(MEETING)
    await story.pass_time(300)
    assert len(story.private_messages()) == 1

    story.slack.invite_bot(GENERAL)

    await story.until_shown(MEETING, "live")
    assert told(story.slack, card) == []
    story.world.kit.end(MEETING)
    await story.until_told(MEETING, "ended")


async def test_an_end_during_a_pause(story: Story) -> None:
    """It is announced when the bot is invited again; of the next episode, which is over as well, there is a card."""
    story.world.kit.go_live(MEETING)
    first = await story.follow(MEETING, "loud")
    story.slack.remove_bot(GENERAL)
    story.world.kit.fail(MEETING, "Nothing comes in")
    await until(story.private_messages)
    story.world.kit.end(MEETING)
    await story.pass_time(300)
    story.world.kit.go_live(MEETING)
    await story.pass_time(300)
    story.world.kit.end(MEETING)
    await story.pass_time(120)
    story.slack.clock.advance(3 * 3600)

    story.slack.invite_bot(GENERAL)

    await until(lambda: len(cards(story.slack, MEETING)) == 2)
    second = await story.until_shown(MEETING, "ended")
    await until(lambda: told(story.slack, first))
    assert told(story.slack, first) == ["ended"]
    assert told(story.slack, second) == []


async def test_expiry(story: Story) -> None:
    """After thirty days without a livestream a word in the thread says so, with a button to follow again."""
    await story.follow(MEETING)
    story.slack.clock.advance(30 * 24 * 3600)

    card = await story.until_told(MEETING, "expired")

    [reply] = story.slack.replies(card)
    await story.slack.click(reply, "follow_again")
    await until(lambda: len(cards(story.slack, MEETING)) == 2)
    story.world.kit.go_live(MEETING)
    await story.until_told(MEETING, "live")


async def test_a_meeting_that_is_deleted(story: Story) -> None:
    """A livestream that is gone with its meeting has ended, a grace time later."""
    story.world.kit.go_live(MEETING)
    await story.follow(MEETING)
    story.world.kit.remove_meeting(MEETING)

    await story.until_told(MEETING, "ended")


async def test_the_clock_set_back(fast: Story) -> None:
    """An hour back holds nothing up, and nothing is told twice."""
    clock = SetBack(fast.slack.clock)
    async with fast.world.bot(clock=clock):
        fast.world.kit.go_live(MEETING)
        await fast.follow(MEETING)
        fast.world.kit.fail(MEETING, "Nothing comes in")
        await fast.until_told(MEETING, "errored")
        clock.behind = 3600
        fast.world.kit.go_live(MEETING)
        await fast.until_told(MEETING, "errored", "back")
        fast.world.kit.end(MEETING)
        await fast.until_told(MEETING, "errored", "back", "ended")


class SetBack:
    """A clock that somebody may set back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.behind = 0.0

    def now(self) -> float:
        return self._clock.now() - self.behind

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
