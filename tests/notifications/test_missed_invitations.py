"""Where Slack contradicts itself about the bot's channels."""

from pathlib import Path

from bot.domain.episode import ChangeKind, Phase
from bot.domain.follow import FollowState
from bot.notifications.missed_invitations import CHECK_SECONDS, RESUME_AGAIN_SECONDS, MissedInvitations
from sandbox.slack import EVENTS
from tests.notifications.announcer_harness import TEAM, Stage, staged


async def test_channel_that_is_refused_again_is_skipped_for_a_day(tmp_path: Path) -> None:
    """Otherwise its creator would get a notice of the pause every half hour."""
    async with staged(tmp_path) as stage:
        pauses, singleton_jobs = stage.store.pauses, stage.store.singleton_jobs
        invitations = MissedInvitations(pauses, singleton_jobs, stage.publisher, pauses.resume, stage.context)
        stage.slack.refuse("chat.postMessage", "not_in_channel", EVENTS)
        await stage.follow()
        await stage.work()

        await invitations.run()
        assert await state(stage) is FollowState.ACTIVE
        await stage.see(Phase.LIVE, ChangeKind.LIVE)
        await stage.work()
        assert await state(stage) is FollowState.PAUSED
        for _ in range(int(RESUME_AGAIN_SECONDS / CHECK_SECONDS) - 1):
            stage.clock.advance(CHECK_SECONDS)
            await invitations.run()
            assert await state(stage) is FollowState.PAUSED

        stage.clock.advance(CHECK_SECONDS)
        await invitations.run()
        assert await state(stage) is FollowState.ACTIVE


async def state(stage: Stage) -> FollowState:
    (listed,) = await stage.store.follows.in_channel(TEAM, EVENTS)
    return listed.follow.state
