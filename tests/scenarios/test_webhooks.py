"""What RealtimeKit sends by itself makes the bot look at once; and it is never more than a hint."""

from collections.abc import AsyncIterator

import pytest

from bot.store.meetings import CHECK_SPACING_SECONDS
from sandbox.realtimekit import Fault, seeds
from tests.scenarios.scenario import SLOWLY, Story, told, until

MEETING = seeds.NEVER_LIVE
SPACING = CHECK_SPACING_SECONDS + 0.1


@pytest.fixture
async def told_by_webhook(fast: Story) -> AsyncIterator[Story]:
    """A bot whose address RealtimeKit knows, in a world whose time moves slowly: asking would take minutes."""
    async with fast.world.bot(), fast.world.kit.delivering():
        fast.world.kit.add_webhook(f"{fast.world.bot_url}/realtimekit/webhooks")
        await fast.follow(MEETING)
        # Not slower: a check that begins only now delays the next one by some seconds of this clock.
        fast.slack.clock.speed = 0.2
        await fast.world.kit.deliveries_settled()
        fast.slack.clock.advance(SPACING)
        yield fast


async def test_as_fast_as_cloudflare_tells(told_by_webhook: Story) -> None:
    """Live and the interruption are seen without waiting for the next look."""
    kit = told_by_webhook.world.kit
    began = kit.clock.now()
    kit.go_live(MEETING)
    await told_by_webhook.until_told(MEETING, "live")
    assert kit.clock.now() < began + 10
    await kit.deliveries_settled()
    told_by_webhook.slack.clock.advance(SPACING)
    dropped = told_by_webhook.slack.clock.now()
    kit.drop(MEETING)

    await until(lambda: [call for call in kit.calls if call.at > dropped and MEETING in call.path])
    assert told_by_webhook.slack.clock.now() < dropped + 5  # to find it by asking takes fifteen
    told_by_webhook.slack.clock.speed = SLOWLY  # a card is edited every three seconds
    await told_by_webhook.until_shown(MEETING, "interrupted")


async def test_replayed_a_thousand_times(told_by_webhook: Story) -> None:
    """The same webhook again and again tells nothing again, and costs one check in two seconds; none is lost."""
    kit = told_by_webhook.world.kit
    kit.go_live(MEETING)
    await told_by_webhook.until_told(MEETING, "live")
    await kit.deliveries_settled()
    told_by_webhook.slack.clock.speed = 0.01
    asked = len(kit.calls)

    kit.repeat_last_delivery(times=1000)
    await kit.deliveries_settled()

    assert all(delivery.status == 200 for delivery in kit.deliveries)
    # The check that was under way may have been followed by one that had become due, and no more.
    assert len(kit.calls) - asked <= 3
    asked = len(kit.calls)
    began = told_by_webhook.slack.clock.now()
    told_by_webhook.slack.clock.speed = SLOWLY
    await until(lambda: [call for call in list(kit.calls)[asked:] if MEETING in call.path])
    assert told_by_webhook.slack.clock.now() < began + 25  # the next check by itself would come after half a minute
    card = await told_by_webhook.until_told(MEETING, "live")
    assert told(told_by_webhook.slack, card) == ["live"]


async def test_a_meeting_that_nobody_follows(told_by_webhook: Story) -> None:
    """It is taken, and nothing is done."""
    kit = told_by_webhook.world.kit
    kit.go_live(seeds.OFFLINE)
    await kit.deliveries_settled()

    assert {delivery.status for delivery in kit.deliveries} == {200}
    assert not [call for call in kit.calls if seeds.OFFLINE in call.path]


async def test_forged(told_by_webhook: Story) -> None:
    """A forged one is refused, and asks Cloudflare nothing about the meeting."""
    kit = told_by_webhook.world.kit
    kit.forge_delivery(MEETING)
    await kit.deliveries_settled()

    assert kit.deliveries[-1].status == 401


async def test_without_webhooks_for_a_while(fast: Story) -> None:
    """Webhooks that do not come any more cost no change: it is found by asking."""
    async with fast.world.bot(), fast.world.kit.delivering():
        fast.world.kit.add_webhook(f"{fast.world.bot_url}/realtimekit/webhooks")
        await fast.follow(MEETING)
        fast.world.kit.go_live(MEETING)
        await fast.until_told(MEETING, "live")
        fast.world.kit.webhooks_held = True
        fast.world.kit.end(MEETING)

        await fast.until_told(MEETING, "live", "ended")


async def test_the_key_out_of_reach(fast: Story) -> None:
    """A 503 asks RealtimeKit to send it again; when the key is back, it counts."""
    kit = fast.world.kit
    async with fast.world.bot(), kit.delivering():
        kit.add_webhook(f"{fast.world.bot_url}/realtimekit/webhooks")
        await fast.follow(MEETING)
        kit.fault = Fault.SERVER_ERROR
        kit.go_live(MEETING)
        assert (await fast.world.logged("webhook_rejected"))["outcome"] == "key_unreachable"
        kit.fault = Fault.NONE
        await until(lambda: any(delivery.delivered for delivery in kit.deliveries) or None)

        await fast.until_told(MEETING, "live")
        assert max(delivery.attempts for delivery in kit.deliveries) > 1
