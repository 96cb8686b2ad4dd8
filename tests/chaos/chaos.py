"""The chaos itself: cycles in which much happens at random moments, and then the calm in which it must settle."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from sandbox.slack import BACKSTAGE
from tests.chaos.acts import LONGEST_LIMIT, Acts
from tests.chaos.broadcasts import Broadcast, State
from tests.chaos.environment import CHANNELS, LEAVERS, Stage
from tests.chaos.settling import unfollowed, unsettled

SETTLE_SECONDS = 90.0
"""In real time, at most: the longest back-off, and then some."""
_CALM_AFTER = 25
"""Cycles."""
_AWAKE_SECONDS = 8.0
"""In real time, at most: longer than a bot is frozen."""
_ENOUGH = 20
"""What does not agree after a calm, in sentences, with which nobody needs to see more."""
_DROP_SECONDS = 22.0
_LATE_SECONDS = 60.0
"""Sandbox seconds: of a drop that is seen and ends nothing, and until Slack makes an edit that shows it."""
_ALL_CHANGES = (0.0, 0.3, 0.6, 0.9)
"""One roll for each thing that can change while a livestream is LIVE."""


class Chaos:
    """Runs the cycles. The seed decides what happens and when; how the processes meet it is their own affair."""

    def __init__(self, stage: Stage) -> None:
        self.counts: Counter[str] = Counter()
        self._stage = stage
        self._acts = Acts(stage, random.Random(stage.plan.seed), self.counts)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> list[str]:
        """All of it; what has not settled in the end, a sentence each."""
        await self._stage.follow_everything()
        await self._agreed(forgiving=False)
        left: list[str] = []
        for number in range(1, self._stage.plan.cycles + 1):
            await self._somebody_awake()
            await self._cycle()
            if number % _CALM_AFTER == 0:
                left += await self._calm()
            if len(left) > _ENOUGH:
                return left
        return left + await self._settle()

    async def _cycle(self) -> None:
        self.counts["cycles"] += 1
        seconds, began = self._stage.plan.cycle_seconds, asyncio.get_running_loop().time()
        for due in sorted(self._acts.planned(), key=lambda due: due.at):
            await asyncio.sleep(began + due.at * seconds - asyncio.get_running_loop().time())
            self._begin(due.act())
        await asyncio.sleep(began + seconds - asyncio.get_running_loop().time())

    async def _somebody_awake(self) -> None:
        """Wait until any of the bots works, and does not just start; not for long.

        Where every cycle kills a bot, it would otherwise be killed again and again before it has done anything.
        """
        waiting = [asyncio.create_task(bot.awake()) for bot in self._stage.bots]
        await asyncio.wait(waiting, timeout=_AWAKE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def _begin(self, act: Awaitable[None]) -> None:
        """Beside everything else."""
        task = asyncio.ensure_future(act)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _calm(self) -> list[str]:
        """Fair weather, in which everything comes to agree, also what no bot has had the time to look at before."""
        self.counts["calm periods"] += 1
        await asyncio.gather(*self._running)
        stage = self._stage
        stage.weather.clear_up()
        await stage.database.be_writable()
        stage.kit.webhooks_held = False
        for each in stage.director.broadcasts:
            stage.director.give_reason(each)
        stage.slack.invite_bot(BACKSTAGE)
        try:
            for bot in stage.bots:
                await bot.ready()
            # Whom an invitation has not reached, since nobody was there to hear of it, somebody asks again.
            await stage.follow_everything()
        except TimeoutError:
            return ["in fair weather a bot is not ready, or does not take what is typed"]
        left = await self._agreed(forgiving=True)
        stage.witness.calm()
        return left

    async def _settle(self) -> list[str]:
        """Everything agrees in the end; and a last run is told from its beginning to its end.

        It ends where something does not agree, which what comes after would only hide.
        """
        left = await self._calm()
        self._stage.witness.follows_all(BACKSTAGE)
        for act in self._last_acts():
            if left:
                break
            left = await act()
        return left

    def _last_acts(self) -> Iterable[Callable[[], Awaitable[list[str]]]]:
        director, weather = self._stage.director, self._stage.plan.weather
        yield lambda: self._all(self._ended_if_running, forgiving=True)
        yield lambda: self._all(director.live)
        if "changes" in weather:
            yield from (partial(self._all, partial(director.change, roll=roll)) for roll in _ALL_CHANGES)
        if "late" in weather:
            yield self._late_edits
        if "unfollows" in weather:
            yield self._unfollowed
        yield lambda: self._all(director.end)

    async def _all(self, act: Callable[[Broadcast], object], *, forgiving: bool = False) -> list[str]:
        """Let it happen to all broadcasts; what does not agree with that."""
        for each in self._stage.director.broadcasts:
            act(each)
        return await self._agreed(forgiving=forgiving)

    def _ended_if_running(self, broadcast: Broadcast) -> None:
        if self._stage.kit.meetings[broadcast.meeting_id].running or broadcast.now.state is State.ERRORED:
            self._stage.director.end(broadcast)

    async def _late_edits(self) -> list[str]:
        """Every card shows in the end that its livestream is back, though Slack makes the edits before that last."""
        stage, director = self._stage, self._stage.director
        stage.slack.apply_late("chat.update", _LATE_SECONDS, times=None)
        for each in director.broadcasts:
            director.drop(each)
        await stage.clock.sleep(_DROP_SECONDS)
        stage.slack.accept()
        for each in director.broadcasts:
            director.live(each)
        await stage.slack.all_applied()
        return await self._agreed(forgiving=False)

    async def _unfollowed(self) -> list[str]:
        """What is unfollowed while edits are limited says so in the end; then it is followed again."""
        stage = self._stage
        stage.slack.rate_limit_next("chat.update", LONGEST_LIMIT, len(stage.director.broadcasts))
        for each in stage.director.broadcasts:
            await stage.type(f"unfollow {each.meeting_id}", LEAVERS)
        leavers = next(channel for channel in CHANNELS if channel.id == LEAVERS)
        left = await self._without(lambda: unfollowed(stage, leavers))
        await stage.follow_everything()
        return left + await self._agreed(forgiving=False)

    async def _agreed(self, *, forgiving: bool) -> list[str]:
        """Wait until all cards show how it is, and then for a while more; what does not agree."""
        return await self._without(lambda: unsettled(self._stage, forgiving=forgiving))

    async def _without(self, complaints: Callable[[], list[str]]) -> list[str]:
        """Wait until there are no complaints, and then for a while more; those that there are then."""
        loop = asyncio.get_running_loop()
        late = loop.time() + SETTLE_SECONDS
        while complaints() and loop.time() < late:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.2)
        await asyncio.sleep(self._stage.plan.calm_seconds)
        return complaints()
