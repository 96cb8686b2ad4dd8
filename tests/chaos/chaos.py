"""The chaos itself: cycles in which much happens at random moments, and then the calm in which it must settle."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.sandbox.slack import BACKSTAGE
from tests.chaos.broadcasts import Broadcast, State
from tests.chaos.ending import unsettled
from tests.chaos.stage import CHANNELS, Stage

SETTLE_SECONDS = 90.0
"""In real time, at most: the longest back-off, and then some."""
_SHORT_DROP = (4.0, 25.0)
_LONG_DROP = (50.0, 100.0)
"""Sandbox seconds: shorter and longer than the grace time."""
_SHORT_OUTAGE = (0.1, 1.5)
_LONG_OUTAGE = (5.0, 6.0)
"""Real seconds. In the longer ones the grace time passes, and two looks: if they were believed, every run would end."""
_LONG_OUTAGES = 1 / 3
_CALM_AFTER = 25
"""Cycles."""
_PREMIERE_SECONDS = 30.0
"""Sandbox seconds in which the bot can see that it is live before Cloudflare is out."""


@dataclass(frozen=True, slots=True)
class _Due:
    """Something that happens so far into the cycle, in its length."""

    at: float
    act: Callable[[], Awaitable[None]]


class Chaos:
    """Runs the cycles. The seed decides what happens and when; how the processes meet it is their own affair."""

    def __init__(self, stage: Stage) -> None:
        self.counts: Counter[str] = Counter()
        self._stage = stage
        self._dice = random.Random(stage.plan.seed)
        self._left_alone: Counter[int] = Counter()
        """The broadcasts that stay on air as long as Cloudflare is out, so that whoever says that they end is wrong."""
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> list[str]:
        """All of it; what has not settled in the end, a sentence each."""
        await self._stage.follow_everything()
        await self._agreed(forgiving=False)
        left: list[str] = []
        for number in range(1, self._stage.plan.cycles + 1):
            await self._cycle()
            if number % _CALM_AFTER == 0:
                left += await self._calm()
        return left + await self._settle()

    async def _cycle(self) -> None:
        self.counts["cycles"] += 1
        seconds, began = self._stage.plan.cycle_seconds, asyncio.get_running_loop().time()
        for due in sorted(self._planned(), key=lambda due: due.at):
            await asyncio.sleep(began + due.at * seconds - asyncio.get_running_loop().time())
            self._begin(due.act())
        await asyncio.sleep(began + seconds - asyncio.get_running_loop().time())

    def _begin(self, act: Awaitable[None]) -> None:
        """Beside everything else."""
        task = asyncio.ensure_future(act)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _planned(self) -> list[_Due]:
        dice = self._dice
        planned = [_Due(dice.random(), self._a_move()) for _ in range(dice.randint(1, 3))]
        planned.append(_Due(dice.random(), self._a_kill()))
        for chance, plan in (
            (0.4, self._ill_slack),
            (0.5, self._a_strike),
            (0.3, self._ill_cloudflare),
            (0.15, self._webhooks),
            (0.1, self._a_deletion),
            (0.05, self._a_closure),
            (0.15 * self._stage.database.restarts, self._a_restart),
        ):
            if dice.random() < chance:
                planned.append(_Due(dice.random(), plan()))
        return planned

    def _a_move(self) -> Callable[[], Awaitable[None]]:
        broadcast, roll = self._dice.choice(self._stage.director.broadcasts), self._dice.random()
        back_after = self._dice.uniform(*self._dice.choice((_SHORT_DROP, _LONG_DROP)))

        async def act() -> None:
            if broadcast.number in self._left_alone:
                return
            self._stage.director.move(broadcast, roll)
            dropped = broadcast.now
            if dropped.state is not State.OFF or not self._runs(broadcast):
                return
            await self._stage.clock.sleep(back_after)
            if broadcast.now is dropped:
                self._stage.director.live(broadcast)

        return act

    def _runs(self, broadcast: Broadcast) -> bool:
        return self._stage.kit.meetings[broadcast.meeting_id].running

    def _a_kill(self) -> Callable[[], Awaitable[None]]:
        bot, down = self._dice.choice(self._stage.bots), self._dice.choice((0.0, 0.0, 0.3, 0.8))
        by_whom, early = self._dice.choice(self._stage.bots), self._dice.uniform(0.0, 1.0)

        async def act() -> None:
            self._stage.slack.request_url = f"{by_whom.url}/slack/events"
            began = self._stage.clock.now()
            if not bot.runs:  # killed in the cycle before, or it has given up: then it dies in its first moments
                await bot.start()
                await asyncio.sleep(early)
            self.counts["kills"] += await bot.kill()
            self._stage.witness.trouble(began)
            await asyncio.sleep(down)
            await bot.start()

        return act

    def _ill_slack(self) -> Callable[[], Awaitable[None]]:
        dice, seconds = random.Random(self._dice.random()), self._dice.uniform(0.1, 1.0)

        async def act() -> None:
            async with self._stage.weather.slack_is_ill(dice):
                await asyncio.sleep(seconds)

        return act

    def _ill_cloudflare(self) -> Callable[[], Awaitable[None]]:
        dice, long = random.Random(self._dice.random()), self._dice.random() < _LONG_OUTAGES
        seconds = self._dice.uniform(*(_LONG_OUTAGE if long else _SHORT_OUTAGE))

        async def act() -> None:
            if not long:
                async with self._stage.weather.cloudflare_is_ill(dice):
                    await asyncio.sleep(seconds)
                return
            self.counts["long outages"] += 1
            on_air = self._put_on_air()
            self._left_alone += on_air
            await self._stage.clock.sleep(_PREMIERE_SECONDS)
            async with self._stage.weather.cloudflare_is_ill(dice, out=True):
                await asyncio.sleep(seconds)
            self._left_alone -= on_air

        return act

    def _put_on_air(self) -> Counter[int]:
        """Every other one, too, that is not; all that are."""
        broadcasts = self._stage.director.broadcasts
        for each in broadcasts[::2]:
            if each.now.state is not State.LIVE:
                self._stage.director.live(each)
        return Counter(each.number for each in broadcasts if each.now.state is State.LIVE)

    def _a_strike(self) -> Callable[[], Awaitable[None]]:
        dice = random.Random(self._dice.random())

        async def act() -> None:
            self._stage.weather.strike_slack(dice)

        return act

    def _webhooks(self) -> Callable[[], Awaitable[None]]:
        kit, bot, what = self._stage.kit, self._dice.choice(self._stage.bots), self._dice.randrange(5)

        async def act() -> None:
            match what:
                case 0:
                    kit.webhooks_held = not kit.webhooks_held
                case 1:
                    kit.rotate_key()
                case 2:
                    kit.repeat_last_delivery(20)
                case _ if kit.webhooks:
                    kit.remove_webhook(next(iter(kit.webhooks)))
                case _:
                    kit.add_webhook(f"{bot.url}/realtimekit/webhooks")

        return act

    def _a_deletion(self) -> Callable[[], Awaitable[None]]:
        channel, roll = self._dice.choice(CHANNELS), self._dice.random()

        async def act() -> None:
            # A word of the bot, or one of its last cards.
            theirs = [card for card in self._stage.witness.cards if card.channel == channel.id][-6:]
            found = [self._stage.slack.workspace.find(card.channel, card.ts) for card in theirs]
            there = [card for card in found if card is not None and not card.deleted]
            there += [reply for card in there for reply in self._stage.slack.replies(card)]
            if there:
                self._stage.slack.delete_message(there[int(roll * len(there))])
                self.counts["deleted"] += 1

        return act

    def _a_closure(self) -> Callable[[], Awaitable[None]]:
        seconds = self._dice.uniform(0.5, 4.0)

        async def act() -> None:
            began = self._stage.clock.now()
            self._stage.slack.remove_bot(BACKSTAGE)
            self.counts["sent away"] += 1
            await asyncio.sleep(seconds)
            self._stage.slack.invite_bot(BACKSTAGE)
            self._stage.witness.absence(BACKSTAGE, began)

        return act

    def _a_restart(self) -> Callable[[], Awaitable[None]]:
        brutally, seconds = self._dice.random() < 0.5, self._dice.uniform(0.0, 0.8)

        async def act() -> None:
            began = self._stage.clock.now()
            await self._stage.database.restart(brutally=brutally, seconds=seconds)
            self._stage.witness.trouble(began)
            self.counts["restarts"] += 1

        return act

    async def _calm(self) -> list[str]:
        """Fair weather, in which everything comes to agree, also what no bot has had the time to look at before."""
        self.counts["calms"] += 1
        await asyncio.gather(*self._running)
        stage = self._stage
        stage.weather.clear_up()
        stage.kit.webhooks_held = False
        stage.slack.invite_bot(BACKSTAGE)
        for bot in stage.bots:
            await bot.ready()
        # Whom an invitation has not reached, since nobody was there to hear of it, somebody asks again.
        await stage.follow_everything()
        return await self._agreed(forgiving=True)

    async def _settle(self) -> list[str]:
        """Everything agrees in the end; and a last run is told from its beginning to its end."""
        left = await self._calm()
        stage, director = self._stage, self._stage.director
        stage.witness.follows_all(BACKSTAGE)
        for each in director.broadcasts:
            if stage.kit.meetings[each.meeting_id].running or each.now.state is State.ERRORED:
                director.end(each)
        left += await self._agreed(forgiving=True)
        for act in (director.live, director.end):
            for each in director.broadcasts:
                act(each)
            left += await self._agreed(forgiving=False)
        return left

    async def _agreed(self, *, forgiving: bool) -> list[str]:
        """Wait until all cards show how it is, and then for a while more; what does not agree."""
        loop = asyncio.get_running_loop()
        late = loop.time() + SETTLE_SECONDS
        while unsettled(self._stage, forgiving=forgiving) and loop.time() < late:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.2)
        await asyncio.sleep(self._stage.plan.calm_seconds)
        return unsettled(self._stage, forgiving=forgiving)
