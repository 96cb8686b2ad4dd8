"""`make bench`: the bot and three contenders under the same loads. Needs Linux: resource use is read from /proc."""

import argparse
import dataclasses
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench import contender as contenders
from bench import tables
from bench.contender import Contender, DidNotStart
from bench.measuring import CLOUDFLARE_SECONDS, Figures, Load, measure, median

LOADS = {
    load.name: load
    for load in (
        Load("burst", 1500, at_once=64),
        Load("steady", 1500, per_second=50),
        Load("one-meeting", 1500, at_once=64, one_meeting=True),
    )
}
_FLOORS = (contenders.FLOOR.name, contenders.SAME_REQUESTS.name)
_MAX_ACK_MS = 1000
_LEGEND = """\
at a time: commands not yet acknowledged. late: not acknowledged within Slack's 3 s, or never. CPU: per command.
memory: peak. Both cover all processes of the program. x floors: the ratio to each of the two floors, in their order.
requests: requests to Cloudflare per command. load: the share of one core that the load generator and the peers used.
The first floor and both Bolts send Cloudflare one request, the second floor all that the bot's card needs."""


def main() -> None:
    """Measure and print; exit 1 if the bot left a command unanswered or was slow to acknowledge."""
    arguments = _arguments()
    try:
        short = uvloop.run(_bench(arguments))
    except DidNotStart as error:
        sys.exit(f"A contender did not start. The end of its log:\n{error}")
    if short:
        sys.exit(f"Some commands were not answered, or the acknowledgements' p99 is 1 s or more: {'; '.join(short)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=contenders.ALL, default=list(contenders.ALL), help="contenders")
    parser.add_argument("--loads", nargs="+", choices=LOADS, default=list(LOADS))
    parser.add_argument("--commands", type=int, help="commands per load, instead of 1,500")
    parser.add_argument("--repeat", type=int, default=1, help="rounds; each figure is their median")
    parser.add_argument("--against", type=Path, help="another checkout of this repository, to measure its bot too")
    parser.add_argument("--markdown", action="store_true", help="print tables for docs/measurements.md")
    return parser.parse_args()


async def _bench(arguments: argparse.Namespace) -> list[str]:
    """Return the contenders that fell short, and under which load."""
    starts: dict[str, list[float]] = defaultdict(list)
    chosen = _chosen(arguments)
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}. ", end="")
    print(f"Cloudflare answers in {CLOUDFLARE_SECONDS * 1000:.0f} ms.", flush=True)
    short = []
    for name in arguments.loads:
        load = dataclasses.replace(LOADS[name], commands=arguments.commands or LOADS[name].commands)
        figures = await _rounds(chosen, load, arguments.repeat, starts)
        _print(load.description, tables.of_load(figures, _FLOORS), markdown=arguments.markdown)
        short += [f"{who}, {load.description}" for who, one in figures.items() if _falls_short(who, one)]
    _print("Start", tables.of_starts(starts), markdown=arguments.markdown)
    print(f"\n{_LEGEND}")
    return short


def _chosen(arguments: argparse.Namespace) -> list[Contender]:
    chosen = [contenders.ALL[name] for name in arguments.only]
    if arguments.against:
        chosen.append(dataclasses.replace(contenders.BOT, name="the other bot", checkout=arguments.against.resolve()))
    for contender in chosen:
        if contender.missing:
            print(f"{contender.name} is left out, since {' and '.join(contender.missing)} is not installed.")
            print("  .venv/bin/pip install --editable '.[bench]'")
    return [contender for contender in chosen if not contender.missing]


async def _rounds(
    chosen: Sequence[Contender], load: Load, rounds: int, starts: dict[str, list[float]]
) -> dict[str, Figures]:
    """Measure one contender after another, round by round, so that the machine's other work affects all alike."""
    runs: dict[str, list[Figures]] = defaultdict(list)
    for _ in range(rounds):
        for contender in chosen:
            figures = await measure(contender, load)
            runs[contender.name].append(figures)
            starts[contender.name].append(figures.start)
    return {name: median(figures) for name, figures in runs.items()}


def _falls_short(who: str, figures: Figures) -> bool:
    bots = (contenders.BOT.name, contenders.BOT_SOCKET.name)
    return who in bots and (figures.answered < figures.asked or figures.ack_p99 >= _MAX_ACK_MS)


def _print(title: str, table: tables.Table, *, markdown: bool) -> None:
    print(f"\n{title}\n\n{table.markdown() if markdown else table.text()}", flush=True)


if __name__ == "__main__":
    main()
