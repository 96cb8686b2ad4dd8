"""The things that happen in a cycle: to livestreams, to the bots and to what they lean on. The dice say which, when."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sandbox.slack import BACKSTAGE
from tests.chaos.broadcasts import Broadcast, State
from tests.chaos.environment import CHANNELS, LEAVERS, Stage

_SHORT_DROP = (4.0, 25.0)
_LONG_DROP = (50.0, 100.0)
"""Sandbox seconds: shorter and longer than the grace time."""
_SHORT_OUTAGE = (0.1, 1.5)
_LONG_OUTAGE = (5.0, 6.0)
"""Real seconds. In the longer ones the grace time passes, and two looks: if they were believed, every run would end."""
_LONG_OUTAGES = 1 / 3
_PREMIERE_SECONDS = 30.0
"""Sandbox seconds in which the bot can see that it is live before Cloudflare is out."""
_SEEN_DROP = (16.0, 25.0)
_LATE_EDIT = (30.0, 90.0)
"""Sandbox seconds: so long is a drop that is seen and does not end anything, and so late is the edit that shows it."""
_FROZEN = (35.0, 130.0)
"""Sandbox seconds: longer than the lease of a look, and most of them longer than that of a card."""
_END_IN_ABSENCE = (60.0, 150.0)
_BETWEEN_SECONDS = 45.0
_AFTER_TROUBLE = 60.0
LONGEST_LIMIT = 60
"""Seconds of a rate limit."""
_TYPING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Due:
    """Something that happens so far into the cycle, in its length."""

    at: float
    act: Callable[[], Awaitable[None]]


class Acts:
    """Plans what happens in each cycle; `counts` tells what did."""

    def __init__(self, stage: Stage, dice: random.Random, counts: Counter[str]) -> None:
        self._stage = stage
        self._dice = dice
        self.counts = counts
        self._left_alone: Counter[int] = Counter()
        """The broadcasts that stay on air as long as Cloudflare is out, so that whoever says that they end is wrong."""

    def planned(self) -> list[Due]:
        """Throw the dice for one cycle."""
        dice = self._dice
        planned = [Due(dice.random(), self._a_move()) for _ in range(dice.randint(1, 3))]
        server = float(self._stage.database.restarts)
        for name, chance, plan in (
            ("kills", 1.0, self._a_kill),
            ("slack", 0.4, self._ill_slack),
            ("strikes", 0.5, self._a_strike),
            ("cloudflare", 0.3, self._ill_cloudflare),
            ("webhooks", 0.15, self._webhooks),
            ("deletions", 0.1, self._a_deletion),
            ("absences", 0.05, self._a_closure),
            ("absences", 0.12, self._an_absence_across_an_end),
            ("restarts", 0.15 * server, self._a_restart),
            ("freezes", 0.3, self._a_freeze),
            ("late", 0.5, self._lateness),
            ("late", 0.3, self._a_late_edit),
            ("forgetful", 0.2, self._forgetfulness),
            ("resets", 0.3, self._resets),
            ("changes", 0.7, self._a_change),
            ("rivals", 0.15, self._rivals),
            ("unfollows", 0.2, self._an_unfollow),
            ("swallowed", 0.08 * server, self._a_silent_death),
            ("switches", 0.08 * server, self._a_switch_over),
            ("readonly", 0.08 * server, self._read_only),
        ):
            # The dice fall the same way whatever is left out.
            happens, at, act = dice.random() < chance, dice.random(), plan()
            if happens and name in self._stage.plan.weather:
                planned.append(Due(at, act))
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
                self.counts["messages deleted"] += 1

        return act

    def _a_closure(self) -> Callable[[], Awaitable[None]]:
        seconds = self._dice.uniform(0.5, 4.0)

        async def act() -> None:
            began = self._stage.clock.now()
            self._stage.slack.remove_bot(BACKSTAGE)
            self.counts["bot removed"] += 1
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

    def _an_absence_across_an_end(self) -> Callable[[], Awaitable[None]]:
        """The bot is sent away while something is on air, and comes back when that is over, or the next is on air."""
        broadcast, next_one = self._dice.choice(self._stage.director.broadcasts), self._dice.random() < 0.3
        lasts = self._dice.uniform(*_END_IN_ABSENCE)

        async def act() -> None:
            stage, director = self._stage, self._stage.director
            if broadcast.number in self._left_alone:
                return
            if broadcast.now.state is not State.LIVE:
                director.live(broadcast)
                await stage.clock.sleep(_PREMIERE_SECONDS)
            began = stage.clock.now()
            stage.slack.remove_bot(BACKSTAGE)
            self.counts["bot removed across an end"] += 1
            if broadcast.number not in self._left_alone and broadcast.now.state is State.LIVE:
                director.fail(broadcast)
                await stage.clock.sleep(_BETWEEN_SECONDS)
            if broadcast.number not in self._left_alone and broadcast.now.state is State.ERRORED:
                director.end(broadcast)
            await stage.clock.sleep(lasts)
            if next_one and broadcast.now.state is State.OFF and not self._runs(broadcast):
                director.live(broadcast)
                await stage.clock.sleep(_PREMIERE_SECONDS)
            stage.slack.invite_bot(BACKSTAGE)
            stage.witness.absence(BACKSTAGE, began)

        return act

    def _a_freeze(self) -> Callable[[], Awaitable[None]]:
        bot, seconds = self._dice.choice(self._stage.bots), self._dice.uniform(*_FROZEN)

        async def act() -> None:
            began = self._stage.clock.now()
            self.counts["frozen"] += await bot.freeze(seconds / self._stage.plan.speed)
            self._stage.witness.trouble(began)

        return act

    def _lateness(self) -> Callable[[], Awaitable[None]]:
        dice = random.Random(self._dice.random())

        async def act() -> None:
            self._stage.weather.be_late(dice)

        return act

    def _a_late_edit(self) -> Callable[[], Awaitable[None]]:
        """Slack takes an edit that shows a drop, and makes it when the livestream is back and its card edited again."""
        broadcast, channel = self._dice.choice(self._stage.director.broadcasts), self._dice.choice(CHANNELS)
        lasts, late = self._dice.uniform(*_SEEN_DROP), self._dice.uniform(*_LATE_EDIT)

        async def act() -> None:
            stage, director = self._stage, self._stage.director
            if broadcast.number in self._left_alone or broadcast.now.state is not State.LIVE:
                return
            stage.weather.faults["late edits"] += 1
            stage.slack.apply_late("chat.update", late, about=channel.id, times=2, closes=late > sum(_LATE_EDIT) / 2)
            director.drop(broadcast)
            dropped = broadcast.now
            await stage.clock.sleep(lasts)
            if broadcast.now is dropped:
                director.live(broadcast)

        return act

    def _forgetfulness(self) -> Callable[[], Awaitable[None]]:
        seconds = self._dice.uniform(1.0, 6.0)

        async def act() -> None:
            with self._stage.weather.slack_forgets():
                await asyncio.sleep(seconds)

        return act

    def _resets(self) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            self._stage.weather.reset_connections()

        return act

    def _a_change(self) -> Callable[[], Awaitable[None]]:
        broadcast, roll = self._dice.choice(self._stage.director.broadcasts), self._dice.random()

        async def act() -> None:
            self.counts["changed without a change of status"] += self._stage.director.change(broadcast, roll)

        return act

    def _rivals(self) -> Callable[[], Awaitable[None]]:
        broadcast, seconds = self._dice.choice(self._stage.director.broadcasts), self._dice.uniform(1.0, 6.0)

        async def act() -> None:
            if self._stage.director.add_rival(broadcast) is None:
                return
            self.counts["two livestreams at once"] += 1
            await asyncio.sleep(seconds)
            self._stage.director.remove_rival(broadcast)

        return act

    def _an_unfollow(self) -> Callable[[], Awaitable[None]]:
        """While edits are limited, so that the card cannot say so at once."""
        broadcast, again = self._dice.choice(self._stage.director.broadcasts), self._dice.uniform(0.1, 4.0)
        retry_after, times = self._dice.randint(1, LONGEST_LIMIT), self._dice.randint(1, 4)

        async def act() -> None:
            self._stage.slack.rate_limit_next("chat.update", retry_after, times)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TYPING_SECONDS):
                    await self._stage.type(f"unfollow {broadcast.meeting_id}", LEAVERS)
                    self.counts["unfollowed"] += 1
            await asyncio.sleep(again)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TYPING_SECONDS):
                    await self._stage.type(f"follow {broadcast.meeting_id}", LEAVERS)

        return act

    def _a_silent_death(self) -> Callable[[], Awaitable[None]]:
        return self._of_the_database("silent deaths", self._stage.database.die_silently, (0.1, 1.5))

    def _a_switch_over(self) -> Callable[[], Awaitable[None]]:
        return self._of_the_database("switch-overs", self._stage.database.switch_over, (0.3, 1.5))

    def _read_only(self) -> Callable[[], Awaitable[None]]:
        return self._of_the_database("read-only", self._stage.database.be_read_only, (0.3, 1.5))

    def _of_the_database(
        self, name: str, trouble: Callable[[float], Awaitable[None]], lasts: tuple[float, float]
    ) -> Callable[[], Awaitable[None]]:
        seconds = self._dice.uniform(*lasts)

        async def act() -> None:
            began = self._stage.clock.now()
            await trouble(seconds)
            # Who waits on a dead connection finds out when its patience is over.
            await self._stage.clock.sleep(_AFTER_TROUBLE)
            self._stage.witness.trouble(began)
            self.counts[name] += 1

        return act
