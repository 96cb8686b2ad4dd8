"""`make chaos`: kill the bot again and again while everything else goes wrong, and see whether it has told the truth.

    python -m tests.chaos [--cycles 200] [--seed 7 8 9] [--database sqlite|postgresql] [--no-dedupe]
        [--only late freezes | --without switches]

Several seeds run beside each other, each in a process of its own.

Exit status 1 where anything is missing, twice, out of order, untrue, late or stale, or a bot has logged an error.
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
from tests.chaos.faults import WEATHERS
from tests.chaos.report import Outcome, run


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    """Run it; the exit status."""
    given = _parser().parse_args()
    if len(given.seed) > 1:
        return asyncio.run(_beside_each_other(given.seed))
    plan = _plan(given)
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it complains of answers that are cut on purpose
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="livestream-bot-chaos-"))
    outcome = asyncio.run(_run(plan, folder))
    _say(outcome.table())
    if outcome.right:
        shutil.rmtree(folder)
        return 0
    _say(outcome.story())
    _say(f"\nThe bots' logs are in {folder}.")
    return 1


async def _run(plan: Plan, folder: Path) -> Outcome:
    """Told to stop, it takes its bots and its database with it."""
    running = asyncio.ensure_future(run(plan, folder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    return await running


async def _beside_each_other(seeds: Sequence[int]) -> int:
    """Run one process for each seed, with the other arguments as they are; 1 where any of them finds something."""

    async def one(seed: int) -> tuple[int, str]:
        # The last one of an option that is given twice counts.
        command = ("-m", "tests.chaos", *sys.argv[1:], "--seed", str(seed))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")

    results = await asyncio.gather(*map(one, seeds))
    for _, output in results:
        _say(output)
    return int(any(status for status, _ in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make chaos", description="Kill the bot while everything goes wrong.")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, nargs="+", default=[7], help="what happens, and when")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--bots", type=int, help="processes (default: 1 on SQLite, 3 on PostgreSQL)")
    parser.add_argument("--meetings", type=int, default=6, help="livestreams that are followed in every channel")
    parser.add_argument("--speed", type=float, default=30.0, help="sandbox seconds in a real one")
    parser.add_argument("--no-dedupe", action="store_true", help="a Slack that does not honour client_msg_id")
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--only", nargs="+", choices=sorted(WEATHERS), help="what goes wrong")
    named.add_argument("--without", nargs="+", choices=sorted(WEATHERS), default=[], help="what does not")
    return parser


def _plan(given: argparse.Namespace) -> Plan:
    bots = given.bots or (1 if given.database == "sqlite" else 3)
    return Plan(
        cycles=given.cycles,
        seed=given.seed[0],
        database=given.database,
        bots=bots,
        meetings=given.meetings,
        speed=given.speed,
        dedupe=not given.no_dedupe,
        weather=frozenset(given.only or WEATHERS) - frozenset(given.without),
    )


if __name__ == "__main__":
    sys.exit(main())
