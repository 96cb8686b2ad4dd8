"""The figures as small tables, in plain text or Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from bench.measuring import Figures

_HEAD = (
    *("", "answered", "late", "ack p50", "ack p99", "reply p50", "reply p99"),
    *("CPU", "x floors", "memory", "x floors", "requests", "load"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """A header and rows of cells; the first column has the names."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Format the table for a terminal."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        return "\n".join(_line(row, widths) for row in (self.head, *self.rows))

    def markdown(self) -> str:
        """Format the table as Markdown."""
        rule = ("---", *("---:" for _ in self.head[1:]))
        return "\n".join(f"| {' | '.join(row)} |" for row in (self.head, rule, *self.rows))


def of_load(figures: Mapping[str, Figures], floors: Sequence[str]) -> Table:
    """Build the table of one load: a row per contender, with its CPU time and memory as multiples of the floors'."""
    lowest = [figures[name] for name in floors if name in figures]
    return Table(_HEAD, tuple((name, *_cells(one, lowest)) for name, one in figures.items()))


def of_starts(seconds: Mapping[str, Sequence[float]]) -> Table:
    """Build the table of starts, from exec to ready: the best and the worst of each contender."""
    rows = tuple((name, f"{min(starts):.2f} s", f"{max(starts):.2f} s") for name, starts in seconds.items())
    return Table(("from exec to ready", "fastest", "slowest"), rows)


def _cells(one: Figures, floors: Sequence[Figures]) -> tuple[str, ...]:
    return (
        f"{one.answered:.0f}",
        f"{one.late:.0f}",
        *(_ms(ms) for ms in (one.ack_p50, one.ack_p99, one.reply_p50, one.reply_p99)),
        f"{one.cpu:.2f} ms",
        " / ".join(f"{one.cpu / floor.cpu:.1f}" for floor in floors),
        f"{one.memory:.0f} MB",
        " / ".join(f"{one.memory / floor.memory:.1f}" for floor in floors),
        f"{one.requests:.2f}",
        f"{one.load:.0%}",
    )


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if isfinite(milliseconds) else "never"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = zip(row, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]).rstrip()
