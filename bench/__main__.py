"""`make bench`: prints a table. Needs Linux, for the bot's CPU time and memory are read from /proc."""

import argparse
import asyncio
import sys

from bench.commands import Figures, burst

_COLUMNS = (
    ("asked", "{:.0f}"),
    ("answered", "{:.0f}"),
    ("ack_p50", "{:.0f} ms"),
    ("ack_p99", "{:.0f} ms"),
    ("reply_p50", "{:.0f} ms"),
    ("reply_p99", "{:.0f} ms"),
    ("seconds", "{:.1f} s"),
    ("cpu_ms_per_command", "{:.1f} ms"),
    ("memory_mb", "{:.0f} MB"),
)


def main() -> None:
    """Measure the bot over HTTP and over Socket Mode."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--commands", type=int, default=1500)
    parser.add_argument("--at-once", type=int, default=64)
    arguments = parser.parse_args()
    print(f"{arguments.commands} commands, {arguments.at_once} at a time, Cloudflare answering in 100 ms\n")
    print(_row("", [name for name, _ in _COLUMNS]))
    for mode in ("http", "socket"):
        figures = asyncio.run(burst(arguments.commands, arguments.at_once, mode))
        print(_row(mode, _cells(figures)))
        if figures.answered < figures.asked or figures.ack_p99 >= 1000:
            sys.exit("Some were not answered, or the 99th percentile of the acknowledgements is 1 s or more.")


def _cells(figures: Figures) -> list[str]:
    return [form.format(getattr(figures, name)) for name, form in _COLUMNS]


def _row(first: str, cells: list[str]) -> str:
    return f"{first:<8}" + "".join(f"{cell:>20}" if cell == "cpu_ms_per_command" else f"{cell:>11}" for cell in cells)


if __name__ == "__main__":
    main()
