"""Runs the chaos, and says what came of it: a small table, and of what is wrong the whole story."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.broadcasts import Broadcast
from tests.chaos.cards import longest_of_all
from tests.chaos.chaos import Chaos
from tests.chaos.checker import all_repetitions, demanded, demanded_after_absence, judged
from tests.chaos.environment import CHANNELS, Plan, Stage, stage
from tests.chaos.evidence import FLIPPED, LATE, MISSING, ORDER, OVERTAKEN, TWICE, UNTRUE, Violation
from tests.chaos.observer import Told
from tests.chaos.quiet_periods import silence

_STORIES = 3
_CLOSING = {channel.id for channel in CHANNELS if not channel.hears_all}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has shown."""

    plan: Plan
    counts: Counter[str]
    violations: list[Violation]
    stale: list[str]
    broadcasts: list[Broadcast]
    told: list[Told]
    demanded: int
    demanded_after_absence: int
    failures: Counter[str]
    repeated: Counter[str]
    """What is there twice where Slack does not honour client_msg_id, by the reason."""
    overtaken: float
    """The longest time, in sandbox seconds, that a card showed an older state than before."""

    @property
    def right(self) -> bool:
        """Whether nothing is wrong."""
        return not self.violations and not self.stale and not self.failures

    def table(self) -> str:
        """The figures, one a line."""
        found = Counter(each.what for each in self.violations)
        rows = {
            "database, processes": f"{self.plan.database}, {self.plan.bots}",
            "seed": self.plan.seed,
            **self.counts,
            "changes": sum(len(each.moves) - 1 for each in self.broadcasts),
            "announced": len(self.told),
            "changes, in channels that get all": self._heard,
            "known for certain, must be there": self.demanded,
            "the same, where the bot was removed": self.demanded_after_absence,
            "missing": found[MISSING],
            "twice": found[TWICE],
            **{f"repeated: {reason}": number for reason, number in sorted(self.repeated.items())},
            "out of order": found[ORDER],
            "untrue": found[UNTRUE],
            "late": found[LATE],
            "cards overtaken or flipped": found[OVERTAKEN] + found[FLIPPED],
            "longest overtaken card, s": f"{self.overtaken:.0f}",
            "not settled": len(self.stale),
            "longest delay, s": self._longest_silence(),
            "failures in the logs": ", ".join(f"{name} {n}" for name, n in self.failures.items()) or "none",
        }
        return "\n".join(f"{name:<40} {value}" for name, value in rows.items())

    @property
    def _heard(self) -> int:
        """How much there would be to tell if the bot could see everything, what lasts a moment too."""
        hear = [channel for channel in CHANNELS if channel.hears_all]
        return len(hear) * sum(len(each.moves) - 1 for each in self.broadcasts)

    def _longest_silence(self) -> str:
        """From a change to its being told, in sandbox time, where no bot was kept from its channel."""
        heard = [each for each in self.told if each.channel not in _CLOSING]
        silences = [(silence(each, self.broadcasts[each.broadcast]), each) for each in heard]
        if not silences:
            return "none"
        seconds, told = max(silences, key=lambda silence: silence[0])
        return f"{seconds:.0f} ({told.kind} of {told.broadcast}.{told.move} in {told.channel})"

    def story(self) -> str:
        """What is wrong, and what happened and was told there."""
        lines = [f"\nSeed {self.plan.seed}.", *self.stale]
        lines += [f"{each.what}: {each.channel}, broadcast {each.broadcast}: {each.why}" for each in self.violations]
        for channel, number in list(dict.fromkeys((each.channel, each.broadcast) for each in self.violations))[
            :_STORIES
        ]:
            lines += [f"\nBroadcast {number} in {channel}:", *self._told_of(channel, self.broadcasts[number])]
        return "\n".join(lines)

    def _told_of(self, channel: str, broadcast: Broadcast) -> list[str]:
        happened = [(move.began, f"  move {move.number}: {move.state}, run {move.run}") for move in broadcast.moves]
        looked = [(at, f"      Cloudflare has told of move {number}") for at, number in broadcast.looks]
        told = [
            (each.at, f"    told in {each.thread}: {each.kind} of move {each.move}: {each.text[:80]}")
            for each in self.told
            if (each.channel, each.broadcast) == (channel, broadcast.number)
        ]
        return [f"{_clock(at)}{line}" for at, line in sorted(happened + looked + told)]


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


async def run(plan: Plan, folder: Path) -> Outcome:
    """Put everything up, let it be chaos, and judge."""
    async with stage(plan, folder) as everything:
        chaos = Chaos(everything)
        stale = await chaos.run()
        return _outcome(everything, chaos, stale)


def _outcome(everything: Stage, chaos: Chaos, stale: list[str]) -> Outcome:
    failures: Counter[str] = Counter()
    for bot in everything.bots:
        failures += bot.failures()
    faults = {f"faults of {peer}": number for peer, number in everything.weather.faults.items()}
    starts, gave_up = sum(bot.starts for bot in everything.bots), sum(bot.gave_up for bot in everything.bots)
    return Outcome(
        plan=everything.plan,
        counts=Counter({**chaos.counts, **faults, "began to work": starts, "gave up": gave_up}),
        violations=judged(everything.evidence()),
        stale=stale,
        broadcasts=everything.director.broadcasts,
        told=everything.witness.told,
        demanded=demanded(everything.evidence()),
        demanded_after_absence=demanded_after_absence(everything.evidence()),
        failures=failures,
        repeated=Counter(each.reason or "without need" for each in all_repetitions(everything.evidence())),
        overtaken=longest_of_all(everything.evidence()),
    )
