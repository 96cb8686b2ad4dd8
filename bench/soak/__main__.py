"""`make soak`: the bot under mixed load for a long time, over HTTP and over Socket Mode. Needs Linux, for /proc.

Exits with 1 if something grows or was lost.
"""

import argparse
import logging
import sys

import uvloop

from bench.soak import report
from bench.soak.stage import Outcome, Plan, run
from sandbox.bot_process import BotDidNotStart


def main() -> int:
    """Run the soak, print the report, and exit with 1 if it failed."""
    arguments = _arguments()
    # uvicorn warns about responses cut on purpose, asyncio about connections.
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    good = True
    for mode in arguments.modes:
        plan = Plan(mode, arguments.minutes, arguments.database, arguments.trace)
        try:
            outcome = uvloop.run(run(plan))
        except BotDidNotStart as error:
            sys.exit(f"The bot did not start. The end of its log:\n{error}")
        _print(plan, outcome, markdown=arguments.markdown)
        good = good and not report.problems(outcome)
    print(f"\n{report.LEGEND}")
    return 0 if good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20, help="minutes per mode")
    parser.add_argument("--modes", nargs="+", choices=("http", "socket"), default=("http", "socket"))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument(
        "--trace",
        action="store_true",
        help="list what the bot holds more of at the end than half-way; memory is not judged then",
    )
    parser.add_argument("--markdown", action="store_true", help="print tables for docs/measurements.md")
    return parser.parse_args()


def _print(plan: Plan, outcome: Outcome, *, markdown: bool) -> None:
    way = "over HTTP" if plan.mode == "http" else "over Socket Mode, with disconnects"
    figures = report.table(outcome)
    print(f"\n{plan.minutes:g} minutes {way}, on {plan.database}\n")
    print(figures.markdown() if markdown else figures.text())
    print(f"\n{report.summary(plan, outcome)}\n{report.verdict(outcome)}", flush=True)
    if outcome.traces:
        print(f"\nWhat the bot holds more of at the end than half-way:\n{outcome.traces}")


if __name__ == "__main__":
    sys.exit(main())
