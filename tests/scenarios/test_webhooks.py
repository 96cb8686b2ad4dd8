"""A webhook makes the bot check at once, and does nothing else."""

from collections.abc import AsyncIterator

import pytest

from bot.store.meetings import CHECK_SPACING_SECONDS
from sandbox.realtimekit import Fault, seeds
from tests.scenarios.scenario import SLOWLY, Scenario, replies_in, until

MEETING = seeds.NEVER_LIVE
SPACING = CHECK_SPACING_SECONDS + 0.1


@pytest.fixture
async def with_webhook(fast: Scenario) -> AsyncIterator[Scenario]:
    """Yield a bot with a registered webhook, in a world with a slow clock, in which polling would take minutes."""
    async with fast.world.bot(), fast.world.kit.delivering():
        fast.world.kit.add_webhook(f"{fast.world.bot_url}/realtimekit/webhooks")
        await fast.follow(MEETING)
        # Not slower: a check that begins only now delays the next one by some seconds of this clock.
        fast.slack.clock.speed = 0.2
        await fast.world.kit.deliveries_settled()
        fast.slack.clock.advance(SPACING)
        yield fast


async def test_webhook_makes_changes_visible_before_the_next_check(with_webhook: Scenario) -> None:
    kit = with_webhook.world.kit
    began = kit.clock.now()
    kit.go_live(MEETING)
    await with_webhook.until_announced(MEETING, "live")
    assert kit.clock.now() < began + 10
    await kit.deliveries_settled()
    with_webhook.slack.clock.advance(SPACING)
    dropped = with_webhook.slack.clock.now()
    kit.drop(MEETING)

    await until(lambda: [call for call in kit.calls if call.at > dropped and MEETING in call.path])
    assert with_webhook.slack.clock.now() < dropped + 5  # polling would take fifteen
    with_webhook.slack.clock.speed = SLOWLY  # a card is edited every three seconds
    await with_webhook.until_shown(MEETING, "interrupted")


async def test_replayed_webhooks_cost_one_check_and_announce_nothing(with_webhook: Scenario) -> None:
    kit = with_webhook.world.kit
    kit.go_live(MEETING)
    await with_webhook.until_announced(MEETING, "live")
    await kit.deliveries_settled()
    with_webhook.slack.clock.speed = 0.01
    requests = len(kit.calls)

    kit.repeat_last_delivery(times=1000)
    await kit.deliveries_settled()

    assert all(delivery.status == 200 for delivery in kit.deliveries)
    # The check that was under way may have been followed by one that had become due, and no more.
    assert len(kit.calls) - requests <= 3
    requests = len(kit.calls)
    began = with_webhook.slack.clock.now()
    with_webhook.slack.clock.speed = SLOWLY
    await until(lambda: [call for call in list(kit.calls)[requests:] if MEETING in call.path])
    assert with_webhook.slack.clock.now() < began + 25  # the next check by itself would come after half a minute
    card = await with_webhook.until_announced(MEETING, "live")
    assert replies_in(with_webhook.slack, card) == ["live"]


async def test_webhook_is_retried_until_the_key_is_available(fast: Scenario) -> None:
    kit = fast.world.kit
    async with fast.world.bot(), kit.delivering():
        kit.add_webhook(f"{fast.world.bot_url}/realtimekit/webhooks")
        await fast.follow(MEETING)
        kit.fault = Fault.SERVER_ERROR
        kit.go_live(MEETING)
        assert (await fast.world.logged("webhook_rejected"))["outcome"] == "key_unreachable"
        kit.fault = Fault.NONE
        await until(lambda: any(delivery.delivered for delivery in kit.deliveries) or None)

        await fast.until_announced(MEETING, "live")
        assert max(delivery.attempts for delivery in kit.deliveries) > 1
