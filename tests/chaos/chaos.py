"""The cycles, in which much happens at random moments, and the calm periods in which everything must settle."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from sandbox.slack import BACKSTAGE
from tests.chaos.acts import MAX_RATE_LIMIT_SECONDS, Actions
from tests.chaos.broadcasts import Broadcast, State
from tests.chaos.environment import CHANNELS, LEAVERS, Environment
from tests.chaos.settling import unfollowed, unsettled

SETTLE_SECONDS = 90.0
"""In real time, at most: a bit more than the longest back-off."""
_CYCLES_BETWEEN_CALMS = 25
"""Cycles."""
_MAX_WAIT_FOR_BOT = 8.0
"""In real time, at most: longer than a bot is frozen."""
_MAX_COMPLAINTS = 20
"""Complaints after which the run stops."""
_DROP_SECONDS = 22.0
_LATE_SECONDS = 60.0
"""Sandbox seconds: of a drop that is seen and ends nothing, and until Slack makes an edit that shows it."""
_ALL_CHANGES = (0.0, 0.3, 0.6, 0.9)
"""One roll for each thing that can change while a livestream is LIVE."""


class Chaos:
    """Runs the cycles. The seed decides what happens and when, but not how the processes respond."""

    def __init__(self, environment: Environment) -> None:
        self.counts: Counter[str] = Counter()
        self._environment = environment
        self._acts = Actions(environment, random.Random(environment.plan.seed), self.counts)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> list[str]:
        """Run all cycles; return what has not settled in the end, a sentence each."""
        await self._environment.follow_everything()
        await self._wait_until_settled(ignore_deleted=False)
        left: list[str] = []
        for number in range(1, self._environment.plan.cycles + 1):
            await self._wait_for_any_bot()
            await self._cycle()
            if number % _CYCLES_BETWEEN_CALMS == 0:
                left += await self._calm()
            if len(left) > _MAX_COMPLAINTS:
                return left
        return left + await self._settle()

    async def _cycle(self) -> None:
        self.counts["cycles"] += 1
        seconds, began = self._environment.plan.cycle_seconds, asyncio.get_running_loop().time()
        for due in sorted(self._acts.planned(), key=lambda due: due.at):
            await asyncio.sleep(began + due.at * seconds - asyncio.get_running_loop().time())
            self._start(due.act())
        await asyncio.sleep(began + seconds - asyncio.get_running_loop().time())

    async def _wait_for_any_bot(self) -> None:
        """Wait, not for long, until any bot works.

        Where every cycle kills a bot, it would otherwise be killed again and again before it has done
        anything.
        """
        waiting = [asyncio.create_task(bot.awake()) for bot in self._environment.bots]
        await asyncio.wait(waiting, timeout=_MAX_WAIT_FOR_BOT, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def _start(self, act: Awaitable[None]) -> None:
        """Start it in the background."""
        task = asyncio.ensure_future(act)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _calm(self) -> list[str]:
        """End every fault, and wait until everything settles, also what no bot had the time to check before."""
        self.counts["calm periods"] += 1
        await asyncio.gather(*self._running)
        environment = self._environment
        environment.injector.clear_up()
        await environment.database.be_writable()
        environment.kit.webhooks_held = False
        for each in environment.director.broadcasts:
            environment.director.give_reason(each)
        environment.slack.invite_bot(BACKSTAGE)
        try:
            for bot in environment.bots:
                await bot.ready()
            # A bot that was down missed the invitation: follow again.
            await environment.follow_everything()
        except TimeoutError:
            return ["in a calm period a bot is not ready, or does not accept commands"]
        left = await self._wait_until_settled(ignore_deleted=True)
        environment.observer.calm()
        return left

    async def _settle(self) -> list[str]:
        """Wait until everything settles; then run a last session from its beginning to its end.

        Stop where something has not settled, which the next step would only hide.
        """
        left = await self._calm()
        self._environment.observer.follows_all(BACKSTAGE)
        for act in self._last_acts():
            if left:
                break
            left = await act()
        return left

    def _last_acts(self) -> Iterable[Callable[[], Awaitable[list[str]]]]:
        director, faults = self._environment.director, self._environment.plan.faults
        yield lambda: self._all(self._ended_if_running, ignore_deleted=True)
        yield lambda: self._all(director.live)
        if "changes" in faults:
            yield from (partial(self._all, partial(director.change, roll=roll)) for roll in _ALL_CHANGES)
        if "late" in faults:
            yield self._late_edits
        if "unfollows" in faults:
            yield self._unfollowed
        yield lambda: self._all(director.end)

    async def _all(self, act: Callable[[Broadcast], object], *, ignore_deleted: bool = False) -> list[str]:
        """Do this to all broadcasts; return what has not settled."""
        for each in self._environment.director.broadcasts:
            act(each)
        return await self._wait_until_settled(ignore_deleted=ignore_deleted)

    def _ended_if_running(self, broadcast: Broadcast) -> None:
        if self._environment.kit.meetings[broadcast.meeting_id].running or broadcast.now.state is State.ERRORED:
            self._environment.director.end(broadcast)

    async def _late_edits(self) -> list[str]:
        """Check that every card ends up correct though Slack applies the earlier edits last."""
        environment, director = self._environment, self._environment.director
        environment.slack.apply_late("chat.update", _LATE_SECONDS, times=None)
        for each in director.broadcasts:
            director.drop(each)
        await environment.clock.sleep(_DROP_SECONDS)
        environment.slack.accept()
        for each in director.broadcasts:
            director.live(each)
        await environment.slack.all_applied()
        return await self._wait_until_settled(ignore_deleted=False)

    async def _unfollowed(self) -> list[str]:
        """Check that a card shows the unfollow in the end though edits are rate limited; then follow again."""
        environment = self._environment
        environment.slack.rate_limit_next("chat.update", MAX_RATE_LIMIT_SECONDS, len(environment.director.broadcasts))
        for each in environment.director.broadcasts:
            await environment.type(f"unfollow {each.meeting_id}", LEAVERS)
        leavers = next(channel for channel in CHANNELS if channel.id == LEAVERS)
        left = await self._wait_until_none(lambda: unfollowed(environment, leavers))
        await environment.follow_everything()
        return left + await self._wait_until_settled(ignore_deleted=False)

    async def _wait_until_settled(self, *, ignore_deleted: bool) -> list[str]:
        """Wait until all cards are correct, and then a while more; return what has not settled."""
        return await self._wait_until_none(lambda: unsettled(self._environment, ignore_deleted=ignore_deleted))

    async def _wait_until_none(self, complaints: Callable[[], list[str]]) -> list[str]:
        """Wait until there are no complaints, and then a while more; return those that there are then."""
        loop = asyncio.get_running_loop()
        late = loop.time() + SETTLE_SECONDS
        while complaints() and loop.time() < late:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.2)
        await asyncio.sleep(self._environment.plan.calm_seconds)
        return complaints()
