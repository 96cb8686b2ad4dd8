"""The report on a soak: a table, a verdict, and what was done."""

from collections import Counter
from dataclasses import dataclass

from bench.soak.sampling import ResourceUsage
from bench.soak.stage import Outcome, Plan
from bench.soak.trend import Trend, trend
from bench.tables import Table


@dataclass(frozen=True, slots=True)
class _Figure:
    """A resource that the bot holds. It is growing if its line rises by more than `tolerance` after the warm-up and
    as much is left when the bot is idle: a load that happens to be higher at the end is no leak."""

    name: str
    label: str
    unit: str
    tolerance: float

    def of(self, held: ResourceUsage) -> float:
        value: float = getattr(held, self.name)
        return value

    def shown(self, value: float) -> str:
        return f"{value:.1f} {self.unit}".rstrip()


FIGURES = (
    _Figure("rss", "memory, resident", "MB", 6),
    _Figure("uss", "memory, private", "MB", 4),
    _Figure("files", "open files", "", 4),
    _Figure("sockets", "of these, sockets", "", 4),
    _Figure("threads", "threads", "", 2),
    _Figure("tasks", "asyncio tasks", "", 5),
)
_HEAD = ("", "idle before", "start", "middle", "end", "idle after", "per hour", "rise", "tolerance")
LEGEND = """\
start, middle and end: medians of a tenth of the time under load. per hour and rise: the slope of the straight line that
fits best after the first fifth of the time, and how much the line rises in all. A figure counts as growing when both
its rise and the difference between idle after and idle before exceed the tolerance. memory: resident, and the part of
it that is private to the process. lost: not acknowledged within Slack's 3 s, or not answered within 30 s."""


def table(outcome: Outcome) -> Table:
    """Build the table, a row per figure."""
    return Table(_HEAD, tuple(_row(figure, outcome) for figure in FIGURES))


def problems(outcome: Outcome) -> list[str]:
    """Return a sentence for each failure."""
    growing = [f"{figure.label} growing" for figure in FIGURES if _is_growing(figure, outcome)]
    lost = [f"{count} lost: {what}" for what, count in outcome.tally.lost.items()]
    before, after = outcome.sessions
    sessions = [f"{after} Socket Mode connections, {before} before"] if after > before else []
    pending = [f"{outcome.pending:.0f} announcements not sent"] if outcome.pending else []
    return [*growing, *lost, *sessions, *pending]


def summary(plan: Plan, outcome: Outcome) -> str:
    """Summarize what was done in a few lines."""
    tally = outcome.tally
    lines = [
        f"{tally.asked} commands and clicks, {tally.acknowledged} acknowledged (the slowest in "
        f"{tally.longest_ack_ms:.0f} ms), {tally.answered} answered, {tally.lost.total()} lost: {_listed(tally.done)}.",
        f"Meanwhile: {_listed(outcome.events)}.",
    ]
    if plan.mode == "socket":
        lines.append(f"Socket Mode connections while idle: {outcome.sessions[0]} before, {outcome.sessions[1]} after.")
    lines.append(f"Load generator and peers used {outcome.own[0]:.0f} MB before, {outcome.own[1]:.0f} MB after.")
    return "\n".join(lines)


def verdict(outcome: Outcome) -> str:
    """Return the verdict in one line."""
    found = problems(outcome)
    return f"NOT GOOD: {'; '.join(found)}." if found else "Level: nothing grows, nothing was lost."


def _trend(figure: _Figure, outcome: Outcome) -> Trend:
    return trend([(seconds, figure.of(held)) for seconds, held in outcome.samples])


def _is_growing(figure: _Figure, outcome: Outcome) -> bool:
    if outcome.traces and figure.unit == "MB":
        return False  # the tracing itself makes memory grow
    return min(_left(figure, outcome), _trend(figure, outcome).rise) > figure.tolerance


def _left(figure: _Figure, outcome: Outcome) -> float:
    """Return how much more the idle bot holds after the load than before it."""
    return figure.of(outcome.idle_after) - figure.of(outcome.idle_before)


def _row(figure: _Figure, outcome: Outcome) -> tuple[str, ...]:
    course = _trend(figure, outcome)
    values = (
        figure.of(outcome.idle_before),
        *(course.start, course.middle, course.end),
        figure.of(outcome.idle_after),
    )
    shown = [figure.shown(value) for value in values]
    return (figure.label, *shown, f"{course.per_hour:+.1f}", f"{course.rise:+.1f}", f"{figure.tolerance:g}")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
