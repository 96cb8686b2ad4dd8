"""Runs the chaos and reports the outcome: a small table, and details of what is wrong."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.broadcasts import Broadcast
from tests.chaos.cards import longest_of_all
from tests.chaos.chaos import Chaos
from tests.chaos.checker import all_repetitions, count_expected, count_expected_after_absences, find_violations
from tests.chaos.environment import CHANNELS, Environment, Plan, open_environment
from tests.chaos.evidence import FLIPPED, LATE, MISSING, ORDER, OVERTAKEN, TWICE, UNTRUE, Violation
from tests.chaos.observer import Reply
from tests.chaos.quiet_periods import delay_of

_MAX_DETAILS = 3
_CLOSING = {channel.id for channel in CHANNELS if not channel.gets_all}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a run."""

    plan: Plan
    counts: Counter[str]
    violations: list[Violation]
    stale: list[str]
    broadcasts: list[Broadcast]
    replies: list[Reply]
    expected: int
    expected_after_absences: int
    failures: Counter[str]
    repeated: Counter[str]
    """Repetitions where Slack ignores client_msg_id, by the reason."""
    overtaken: float
    """The longest time, in sandbox seconds, that a card showed an older state than before."""

    @property
    def passed(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.violations and not self.stale and not self.failures

    def table(self) -> str:
        """Return the figures, one a line."""
        found = Counter(each.kind for each in self.violations)
        rows = {
            "database, processes": f"{self.plan.database}, {self.plan.bots}",
            "seed": self.plan.seed,
            **self.counts,
            "changes": sum(len(each.moves) - 1 for each in self.broadcasts),
            "announced": len(self.replies),
            "changes, in channels that get all": self._observable,
            "known for certain, must be there": self.expected,
            "the same, where the bot was removed": self.expected_after_absences,
            "missing": found[MISSING],
            "twice": found[TWICE],
            **{f"repeated: {reason}": number for reason, number in sorted(self.repeated.items())},
            "out of order": found[ORDER],
            "untrue": found[UNTRUE],
            "late": found[LATE],
            "cards overtaken or flipped": found[OVERTAKEN] + found[FLIPPED],
            "longest overtaken card, s": f"{self.overtaken:.0f}",
            "not settled": len(self.stale),
            "longest delay, s": self._longest_delay(),
            "failures in the logs": ", ".join(f"{name} {n}" for name, n in self.failures.items()) or "none",
        }
        return "\n".join(f"{name:<40} {value}" for name, value in rows.items())

    @property
    def _observable(self) -> int:
        """Return how many changes there would be to announce if the bot could see everything, however short."""
        complete = [channel for channel in CHANNELS if channel.gets_all]
        return len(complete) * sum(len(each.moves) - 1 for each in self.broadcasts)

    def _longest_delay(self) -> str:
        """Return the longest time from a change to its announcement in channels that get all."""
        seen = [each for each in self.replies if each.channel not in _CLOSING]
        delays = [(delay_of(each, self.broadcasts[each.broadcast]), each) for each in seen]
        if not delays:
            return "none"
        seconds, reply = max(delays, key=lambda delay: delay[0])
        return f"{seconds:.0f} ({reply.kind} of {reply.broadcast}.{reply.move} in {reply.channel})"

    def details(self) -> str:
        """Return what is wrong, with what happened and was announced there."""
        lines = [f"\nSeed {self.plan.seed}.", *self.stale]
        lines += [f"{each.kind}: {each.channel}, broadcast {each.broadcast}: {each.why}" for each in self.violations]
        for channel, number in list(dict.fromkeys((each.channel, each.broadcast) for each in self.violations))[
            :_MAX_DETAILS
        ]:
            lines += [f"\nBroadcast {number} in {channel}:", *self._timeline(channel, self.broadcasts[number])]
        return "\n".join(lines)

    def _timeline(self, channel: str, broadcast: Broadcast) -> list[str]:
        happened = [
            (each.began, f"  move {each.number}: {each.state}, session {each.session}") for each in broadcast.moves
        ]
        checked = [(at, f"      Cloudflare has reported move {number}") for at, number in broadcast.checks]
        replies = [
            (each.at, f"    announced in {each.thread}: {each.kind} of move {each.move}: {each.text[:80]}")
            for each in self.replies
            if (each.channel, each.broadcast) == (channel, broadcast.number)
        ]
        return [f"{_clock(at)}{line}" for at, line in sorted(happened + checked + replies)]


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


async def run(plan: Plan, folder: Path) -> Outcome:
    """Open the environment, run the chaos, and check the evidence."""
    async with open_environment(plan, folder) as everything:
        chaos = Chaos(everything)
        stale = await chaos.run()
        return _outcome(everything, chaos, stale)


def _outcome(everything: Environment, chaos: Chaos, stale: list[str]) -> Outcome:
    failures: Counter[str] = Counter()
    for bot in everything.bots:
        failures += bot.failures()
    faults = {f"faults of {peer}": number for peer, number in everything.injector.counts.items()}
    starts, gave_up = sum(bot.starts for bot in everything.bots), sum(bot.gave_up for bot in everything.bots)
    return Outcome(
        plan=everything.plan,
        counts=Counter({**chaos.counts, **faults, "began to work": starts, "gave up": gave_up}),
        violations=find_violations(everything.evidence()),
        stale=stale,
        broadcasts=everything.director.broadcasts,
        replies=everything.observer.replies,
        expected=count_expected(everything.evidence()),
        expected_after_absences=count_expected_after_absences(everything.evidence()),
        failures=failures,
        repeated=Counter(each.reason or "without need" for each in all_repetitions(everything.evidence())),
        overtaken=longest_of_all(everything.evidence()),
    )
