"""`make chaos`: kill the bot again and again amid other faults, and check that its announcements are correct.

    python -m tests.chaos [--cycles 200] [--seed 7 8 9] [--database sqlite|postgresql] [--no-dedupe]
        [--only late freezes | --without switches]

Several seeds run in parallel, each in a process of its own.

The exit status is 1 if an announcement is missing, repeated, out of order, untrue or late, a card is outdated, or a bot
has logged an error.
"""

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.environment import Plan
from tests.chaos.faults import FAULTS
from tests.chaos.report import Outcome, run


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    """Run the chaos; return the exit status."""
    arguments = _parser().parse_args()
    if len(arguments.seed) > 1:
        return asyncio.run(_run_in_parallel(arguments.seed))
    plan = _plan(arguments)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it reports the responses that are cut on purpose
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="livestream-bot-chaos-"))
    outcome = asyncio.run(_run(plan, folder))
    _write(outcome.table())
    if outcome.passed:
        shutil.rmtree(folder)
        return 0
    _write(outcome.details())
    _write(f"\nThe bots' logs are in {folder}.")
    return 1


async def _run(plan: Plan, folder: Path) -> Outcome:
    """Cancel on SIGTERM, so that the bots and the database stop as well."""
    running = asyncio.ensure_future(run(plan, folder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await running


async def _run_in_parallel(seeds: Sequence[int]) -> int:
    """Run one process for each seed, with the other arguments as they are; 1 where any of them finds something."""

    async def one(seed: int) -> tuple[int, str]:
        # The last occurrence of an option counts.
        command = ("-m", "tests.chaos", *sys.argv[1:], "--seed", str(seed))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")

    results = await asyncio.gather(*map(one, seeds))
    for _, output in results:
        _write(output)
    return int(any(status for status, _ in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make chaos", description="Kill the bot while everything goes wrong.")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, nargs="+", default=[7], help="decides what happens, and when")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--bots", type=int, help="processes (default: 1 on SQLite, 3 on PostgreSQL)")
    parser.add_argument("--meetings", type=int, default=6, help="livestreams that are followed in every channel")
    parser.add_argument("--speed", type=float, default=30.0, help="sandbox seconds in a real one")
    parser.add_argument("--no-dedupe", action="store_true", help="a Slack that does not honour client_msg_id")
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--only", nargs="+", choices=sorted(FAULTS), help="the faults to inject")
    named.add_argument("--without", nargs="+", choices=sorted(FAULTS), default=[], help="the faults to leave out")
    return parser


def _plan(arguments: argparse.Namespace) -> Plan:
    bots = arguments.bots or (1 if arguments.database == "sqlite" else 3)
    return Plan(
        cycles=arguments.cycles,
        seed=arguments.seed[0],
        database=arguments.database,
        bots=bots,
        meetings=arguments.meetings,
        speed=arguments.speed,
        dedupe=not arguments.no_dedupe,
        faults=frozenset(arguments.only or FAULTS) - frozenset(arguments.without),
    )


if __name__ == "__main__":
    sys.exit(main())
