"""`make bench-follow`: what following costs, and how soon changes are announced. Needs Linux, for /proc."""

import argparse
import asyncio
import os
import platform
import sys

from bench.following import fan_out, pipeline, scale, webhook
from bench.tables import Table

PARTS = ("scale", "fan-out", "pipeline", "webhook")
_LIVE = {1_000: 20, 10_000: 200, 100_000: 200}
_SPEED = {100_000: 3.0}
"""Lower speeds for sizes at which the database can't keep up with the default."""


def main() -> None:
    """Measure and print; exit 1 if 10,000 meetings cost more, or are announced later, than promised."""
    arguments = _arguments()
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}.")
    unmet = asyncio.run(_measure(arguments))
    if unmet:
        sys.exit(f"Not as promised: {'; '.join(unmet)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-follow", description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(_LIVE), help="followed meetings")
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--minutes", type=float, default=scale.MINUTES, help="of sandbox time, per size")
    parser.add_argument(
        "--change-every",
        type=float,
        default=scale.CHANGE_EVERY,
        help="seconds until another one starts, and one ends",
    )
    parser.add_argument("--speed", type=float, help=f"sandbox seconds per real second ({scale.SPEED:g}; {_SPEED})")
    parser.add_argument("--markdown", action="store_true")
    return parser.parse_args()


async def _measure(arguments: argparse.Namespace) -> list[str]:
    unmet: list[str] = []
    for part in arguments.parts:
        match part:
            case "scale":
                runs = await _scales(arguments)
                unmet = _unmet_promises([run for run in runs if run.followed == 10_000])
            case "fan-out":
                _show(
                    arguments,
                    "One livestream, a thousand channels, Slack's limits",
                    _of_fan_out(await fan_out.measure()),
                )
            case "pipeline":
                lines = [await pipeline.measure(kind) for kind in arguments.databases]
                _show(arguments, "Only the announcer; Slack answers immediately", _of_pipelines(lines))
            case "webhook":
                milliseconds = webhook.RESPONSE_SECONDS * 1000
                title = f"From going live to the reply, with a webhook and {milliseconds:.0f} ms for each answer"
                _show(arguments, title, _of_webhook(await webhook.measure()))
    return unmet


async def _scales(arguments: argparse.Namespace) -> list[scale.Scale]:
    runs = []
    for kind in arguments.databases:
        for size in arguments.sizes:
            speed = arguments.speed or _SPEED.get(size, scale.SPEED)
            live, every = _LIVE.get(size, size // 50), arguments.change_every
            runs.append(await scale.measure(kind, size, live, arguments.minutes, speed, every))
            print(f"  {kind}, {size:,} followed: measured", file=sys.stderr)
    _show(arguments, "Faster than real time; delays in seconds of that clock", _of_scales(runs))
    return runs


def _of_scales(runs: list[scale.Scale]) -> Table:
    head = (
        *(
            "followed",
            "speed",
            "live",
            "changes",
            "announced",
            "p50",
            "slowest",
            "without a list",
            "requests in 5 min",
            "CPU",
            "memory",
        ),
        *("300 at once: last seen after", "announced in 3 min"),
    )
    rows = tuple(
        (
            f"{run.followed:,}, {run.database}",
            f"x {run.speed:g}",
            str(run.live),
            str(run.changes),
            str(run.announced),
            f"{run.p50:.0f} s",
            f"{run.slowest:.0f} s",
            f"{run.without_list:.0f} s",
            f"{run.calls:.0f}",
            f"{run.core:.1%}",
            f"{run.memory:.0f} MB",
            f"{run.burst_seen:.0f} s",
            str(run.burst_announced),
        )
        for run in runs
    )
    return Table(head, rows)


def _of_fan_out(one: fan_out.FanOut) -> Table:
    head = ("channels", "announced", "first", "last", "429", "CPU per channel")
    row = (str(one.channels), str(one.announced), f"{one.first:.1f} s", f"{one.last:.0f} s", str(one.rate_limited))
    return Table(head, ((*row, f"{one.cpu:.1f} ms"),))


def _of_pipelines(runs: list[pipeline.Pipeline]) -> Table:
    rows = ((run.database, str(run.announced), f"{run.per_second:.0f}", f"{run.per_cpu_second:.0f}") for run in runs)
    return Table(("database", "announced", "per second", "per CPU second"), tuple(rows))


def _of_webhook(one: webhook.Webhook) -> Table:
    head = ("runs", "p50", "slowest", f"x {webhook.ROUND_TRIPS} round trips")
    return Table(head, ((str(one.times), f"{one.p50:.0f} ms", f"{one.slowest:.0f} ms", f"{one.per_round_trip:.2f}"),))


def _unmet_promises(runs: list[scale.Scale]) -> list[str]:
    unmet = []
    for run in runs:
        if run.without_list > 60:
            unmet.append(
                f"{run.database}: no list for {run.without_list:.0f} s; is the machine too slow for this speed?"
            )
        found = {
            f"{run.changes - run.announced} changes not announced": run.announced < run.changes,
            f"{run.extra} announcements without a change": run.extra > 0,
            f"a change announced after {run.slowest:.0f} s": run.slowest > 30,
            f"{run.calls:.0f} requests in 5 minutes": run.calls > 1_000,
            f"{run.core:.1%} of a core": run.core > 0.1,
            f"{run.memory:.0f} MB": run.memory > 250,
        }
        unmet += [f"{run.database}: {what}" for what, true in found.items() if true]
    return unmet


def _show(arguments: argparse.Namespace, title: str, table: Table) -> None:
    print(f"\n{title}\n")
    print(table.markdown() if arguments.markdown else table.text(), flush=True)


if __name__ == "__main__":
    main()
