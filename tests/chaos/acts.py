"""What happens in a cycle to livestreams, bots and their dependencies. A random generator decides what, and when."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sandbox.slack import BACKSTAGE
from tests.chaos.broadcasts import Broadcast, State
from tests.chaos.environment import CHANNELS, LEAVERS, Environment

_SHORT_DROP_SECONDS = (4.0, 25.0)
_LONG_DROP_SECONDS = (50.0, 100.0)
"""Sandbox seconds: shorter and longer than the grace period."""
_SHORT_OUTAGE_SECONDS = (0.1, 1.5)
_LONG_OUTAGE_SECONDS = (5.0, 6.0)
"""Real seconds. The longer ones outlast the grace period and two checks: if failures counted, every session ended."""
_LONG_OUTAGE_CHANCE = 1 / 3
_PREMIERE_SECONDS = 30.0
"""Sandbox seconds in which the bot can see that it is live before Cloudflare's outage."""
_SEEN_DROP_SECONDS = (16.0, 25.0)
_EDIT_DELAY_SECONDS = (30.0, 90.0)
"""Sandbox seconds: how long a drop lasts that is seen and ends nothing, and how late the edit is that shows it."""
_FREEZE_SECONDS = (35.0, 130.0)
"""Sandbox seconds: longer than the lease of a check, and most of them longer than that of a card."""
_ABSENCE_SECONDS = (60.0, 150.0)
_BETWEEN_SECONDS = 45.0
_AFTER_TROUBLE = 60.0
MAX_RATE_LIMIT_SECONDS = 60
"""Seconds of a rate limit."""
_TYPING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ScheduledAction:
    """An action at this fraction of the cycle."""

    at: float
    act: Callable[[], Awaitable[None]]


class Actions:
    """Plans the actions of each cycle; `counts` has the number of those that happened."""

    def __init__(self, environment: Environment, rng: random.Random, counts: Counter[str]) -> None:
        self._environment = environment
        self._rng = rng
        self.counts = counts
        self._kept_live: Counter[int] = Counter()
        """The broadcasts that stay live during Cloudflare's outage, so that any announced end is untrue."""

    def planned(self) -> list[ScheduledAction]:
        """Choose the actions of one cycle."""
        rng = self._rng
        planned = [ScheduledAction(rng.random(), self._move_a_broadcast()) for _ in range(rng.randint(1, 3))]
        server = float(self._environment.database.restarts)
        for name, chance, plan in (
            ("kills", 1.0, self._kill_a_bot),
            ("slack", 0.4, self._slack_outage),
            ("strikes", 0.5, self._fail_slack_calls),
            ("cloudflare", 0.3, self._cloudflare_outage),
            ("webhooks", 0.15, self._webhooks),
            ("deletions", 0.1, self._delete_a_message),
            ("absences", 0.05, self._remove_the_bot),
            ("absences", 0.12, self._remove_the_bot_across_an_end),
            ("restarts", 0.15 * server, self._restart_the_database),
            ("freezes", 0.3, self._freeze_a_bot),
            ("late", 0.5, self._delay_slack_calls),
            ("late", 0.3, self._delay_an_edit),
            ("forgetful", 0.2, self._stop_deduplicating),
            ("resets", 0.3, self._reset_connections),
            ("changes", 0.7, self._change_a_livestream),
            ("rivals", 0.15, self._add_a_second_livestream),
            ("unfollows", 0.2, self._unfollow_while_limited),
            ("swallowed", 0.08 * server, self._die_silently),
            ("switches", 0.08 * server, self._switch_over),
            ("readonly", 0.08 * server, self._make_read_only),
        ):
            # The generator is used the same way whatever is left out.
            happens, at, act = rng.random() < chance, rng.random(), plan()
            if happens and name in self._environment.plan.faults:
                planned.append(ScheduledAction(at, act))
        return planned

    def _move_a_broadcast(self) -> Callable[[], Awaitable[None]]:
        broadcast, roll = self._rng.choice(self._environment.director.broadcasts), self._rng.random()
        back_after = self._rng.uniform(*self._rng.choice((_SHORT_DROP_SECONDS, _LONG_DROP_SECONDS)))

        async def act() -> None:
            if broadcast.number in self._kept_live:
                return
            self._environment.director.move(broadcast, roll)
            dropped = broadcast.now
            if dropped.state is not State.OFF or not self._runs(broadcast):
                return
            await self._environment.clock.sleep(back_after)
            if broadcast.now is dropped:
                self._environment.director.live(broadcast)

        return act

    def _runs(self, broadcast: Broadcast) -> bool:
        return self._environment.kit.meetings[broadcast.meeting_id].running

    def _kill_a_bot(self) -> Callable[[], Awaitable[None]]:
        bot, down = self._rng.choice(self._environment.bots), self._rng.choice((0.0, 0.0, 0.3, 0.8))
        serving_bot, early = self._rng.choice(self._environment.bots), self._rng.uniform(0.0, 1.0)

        async def act() -> None:
            self._environment.slack.request_url = f"{serving_bot.url}/slack/events"
            began = self._environment.clock.now()
            if not bot.runs:  # killed in the cycle before, or it has exited: kill it while it starts
                await bot.start()
                await asyncio.sleep(early)
            self.counts["kills"] += await bot.kill()
            self._environment.observer.trouble(began)
            await asyncio.sleep(down)
            await bot.start()

        return act

    def _slack_outage(self) -> Callable[[], Awaitable[None]]:
        rng, seconds = random.Random(self._rng.random()), self._rng.uniform(0.1, 1.0)

        async def act() -> None:
            async with self._environment.injector.slack_outage(rng):
                await asyncio.sleep(seconds)

        return act

    def _cloudflare_outage(self) -> Callable[[], Awaitable[None]]:
        rng, long = random.Random(self._rng.random()), self._rng.random() < _LONG_OUTAGE_CHANCE
        seconds = self._rng.uniform(*(_LONG_OUTAGE_SECONDS if long else _SHORT_OUTAGE_SECONDS))

        async def act() -> None:
            if not long:
                async with self._environment.injector.cloudflare_outage(rng):
                    await asyncio.sleep(seconds)
                return
            self.counts["long outages"] += 1
            on_air = self._put_on_air()
            self._kept_live += on_air
            await self._environment.clock.sleep(_PREMIERE_SECONDS)
            async with self._environment.injector.cloudflare_outage(rng, out=True):
                await asyncio.sleep(seconds)
            self._kept_live -= on_air

        return act

    def _put_on_air(self) -> Counter[int]:
        """Start every other broadcast that is not live; return all that are."""
        broadcasts = self._environment.director.broadcasts
        for each in broadcasts[::2]:
            if each.now.state is not State.LIVE:
                self._environment.director.live(each)
        return Counter(each.number for each in broadcasts if each.now.state is State.LIVE)

    def _fail_slack_calls(self) -> Callable[[], Awaitable[None]]:
        rng = random.Random(self._rng.random())

        async def act() -> None:
            self._environment.injector.fail_slack_calls(rng)

        return act

    def _webhooks(self) -> Callable[[], Awaitable[None]]:
        kit, bot, what = self._environment.kit, self._rng.choice(self._environment.bots), self._rng.randrange(5)

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

    def _delete_a_message(self) -> Callable[[], Awaitable[None]]:
        channel, roll = self._rng.choice(CHANNELS), self._rng.random()

        async def act() -> None:
            # An announcement, or one of the last cards.
            last_cards = [card for card in self._environment.observer.cards if card.channel == channel.id][-6:]
            found = [self._environment.slack.workspace.find(card.channel, card.ts) for card in last_cards]
            there = [card for card in found if card is not None and not card.deleted]
            there += [reply for card in there for reply in self._environment.slack.replies(card)]
            if there:
                self._environment.slack.delete_message(there[int(roll * len(there))])
                self.counts["messages deleted"] += 1

        return act

    def _remove_the_bot(self) -> Callable[[], Awaitable[None]]:
        seconds = self._rng.uniform(0.5, 4.0)

        async def act() -> None:
            began = self._environment.clock.now()
            self._environment.slack.remove_bot(BACKSTAGE)
            self.counts["bot removed"] += 1
            await asyncio.sleep(seconds)
            self._environment.slack.invite_bot(BACKSTAGE)
            self._environment.observer.absence(BACKSTAGE, began)

        return act

    def _restart_the_database(self) -> Callable[[], Awaitable[None]]:
        immediate, seconds = self._rng.random() < 0.5, self._rng.uniform(0.0, 0.8)

        async def act() -> None:
            began = self._environment.clock.now()
            await self._environment.database.restart(immediate=immediate, seconds=seconds)
            self._environment.observer.trouble(began)
            self.counts["restarts"] += 1

        return act

    def _remove_the_bot_across_an_end(self) -> Callable[[], Awaitable[None]]:
        """Remove the bot while something is live; invite it after the end, or when the next session is live."""
        broadcast, next_one = self._rng.choice(self._environment.director.broadcasts), self._rng.random() < 0.3
        lasts = self._rng.uniform(*_ABSENCE_SECONDS)

        async def act() -> None:
            environment, director = self._environment, self._environment.director
            if broadcast.number in self._kept_live:
                return
            if broadcast.now.state is not State.LIVE:
                director.live(broadcast)
                await environment.clock.sleep(_PREMIERE_SECONDS)
            began = environment.clock.now()
            environment.slack.remove_bot(BACKSTAGE)
            self.counts["bot removed across an end"] += 1
            if broadcast.number not in self._kept_live and broadcast.now.state is State.LIVE:
                director.fail(broadcast)
                await environment.clock.sleep(_BETWEEN_SECONDS)
            if broadcast.number not in self._kept_live and broadcast.now.state is State.ERRORED:
                director.end(broadcast)
            await environment.clock.sleep(lasts)
            if next_one and broadcast.now.state is State.OFF and not self._runs(broadcast):
                director.live(broadcast)
                await environment.clock.sleep(_PREMIERE_SECONDS)
            environment.slack.invite_bot(BACKSTAGE)
            environment.observer.absence(BACKSTAGE, began)

        return act

    def _freeze_a_bot(self) -> Callable[[], Awaitable[None]]:
        bot, seconds = self._rng.choice(self._environment.bots), self._rng.uniform(*_FREEZE_SECONDS)

        async def act() -> None:
            began = self._environment.clock.now()
            self.counts["frozen"] += await bot.freeze(seconds / self._environment.plan.speed)
            self._environment.observer.trouble(began)

        return act

    def _delay_slack_calls(self) -> Callable[[], Awaitable[None]]:
        rng = random.Random(self._rng.random())

        async def act() -> None:
            self._environment.injector.delay_slack_calls(rng)

        return act

    def _delay_an_edit(self) -> Callable[[], Awaitable[None]]:
        """Let Slack apply the edit that shows a drop after the livestream is back and its card edited again."""
        broadcast, channel = self._rng.choice(self._environment.director.broadcasts), self._rng.choice(CHANNELS)
        lasts, late = self._rng.uniform(*_SEEN_DROP_SECONDS), self._rng.uniform(*_EDIT_DELAY_SECONDS)

        async def act() -> None:
            environment, director = self._environment, self._environment.director
            if broadcast.number in self._kept_live or broadcast.now.state is not State.LIVE:
                return
            environment.injector.counts["late edits"] += 1
            environment.slack.apply_late(
                "chat.update", late, about=channel.id, times=2, closes=late > sum(_EDIT_DELAY_SECONDS) / 2
            )
            director.drop(broadcast)
            dropped = broadcast.now
            await environment.clock.sleep(lasts)
            if broadcast.now is dropped:
                director.live(broadcast)

        return act

    def _stop_deduplicating(self) -> Callable[[], Awaitable[None]]:
        seconds = self._rng.uniform(1.0, 6.0)

        async def act() -> None:
            with self._environment.injector.no_deduplication():
                await asyncio.sleep(seconds)

        return act

    def _reset_connections(self) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            self._environment.injector.reset_connections()

        return act

    def _change_a_livestream(self) -> Callable[[], Awaitable[None]]:
        broadcast, roll = self._rng.choice(self._environment.director.broadcasts), self._rng.random()

        async def act() -> None:
            self.counts["changed without a change of status"] += self._environment.director.change(broadcast, roll)

        return act

    def _add_a_second_livestream(self) -> Callable[[], Awaitable[None]]:
        broadcast, seconds = self._rng.choice(self._environment.director.broadcasts), self._rng.uniform(1.0, 6.0)

        async def act() -> None:
            if self._environment.director.add_rival(broadcast) is None:
                return
            self.counts["two livestreams at once"] += 1
            await asyncio.sleep(seconds)
            self._environment.director.remove_rival(broadcast)

        return act

    def _unfollow_while_limited(self) -> Callable[[], Awaitable[None]]:
        """Unfollow while edits are rate limited, so that the card can't show it at once."""
        broadcast, again = self._rng.choice(self._environment.director.broadcasts), self._rng.uniform(0.1, 4.0)
        retry_after, times = self._rng.randint(1, MAX_RATE_LIMIT_SECONDS), self._rng.randint(1, 4)

        async def act() -> None:
            self._environment.slack.rate_limit_next("chat.update", retry_after, times)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TYPING_SECONDS):
                    await self._environment.type(f"unfollow {broadcast.meeting_id}", LEAVERS)
                    self.counts["unfollowed"] += 1
            await asyncio.sleep(again)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TYPING_SECONDS):
                    await self._environment.type(f"follow {broadcast.meeting_id}", LEAVERS)

        return act

    def _die_silently(self) -> Callable[[], Awaitable[None]]:
        return self._disturb_the_database("silent deaths", self._environment.database.die_silently, (0.1, 1.5))

    def _switch_over(self) -> Callable[[], Awaitable[None]]:
        return self._disturb_the_database("switch-overs", self._environment.database.switch_over, (0.3, 1.5))

    def _make_read_only(self) -> Callable[[], Awaitable[None]]:
        return self._disturb_the_database("read-only", self._environment.database.be_read_only, (0.3, 1.5))

    def _disturb_the_database(
        self, name: str, trouble: Callable[[float], Awaitable[None]], lasts: tuple[float, float]
    ) -> Callable[[], Awaitable[None]]:
        seconds = self._rng.uniform(*lasts)

        async def act() -> None:
            began = self._environment.clock.now()
            await trouble(seconds)
            # A bot that waits on a dead connection notices at its timeout.
            await self._environment.clock.sleep(_AFTER_TROUBLE)
            self._environment.observer.trouble(began)
            self.counts[name] += 1

        return act
