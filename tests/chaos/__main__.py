"""`make chaos`: kill the bot again and again while everything else goes wrong, and see whether it has told the truth.

    python -m tests.chaos [--cycles 200] [--seed 7] [--database sqlite|postgresql] [--no-dedupe]

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
from pathlib import Path

from tests.chaos.report import Outcome, run
from tests.chaos.stage import Plan


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    """Run it; the exit status."""
    plan = _plan()
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


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="make chaos", description="Kill the bot while everything goes wrong.")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7, help="what happens, and when")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--bots", type=int, help="processes (default: 1 on SQLite, 3 on PostgreSQL)")
    parser.add_argument("--meetings", type=int, default=6, help="livestreams that are followed in every channel")
    parser.add_argument("--speed", type=float, default=30.0, help="sandbox seconds in a real one")
    parser.add_argument("--no-dedupe", action="store_true", help="a Slack that does not honour client_msg_id")
    given = parser.parse_args()
    bots = given.bots or (1 if given.database == "sqlite" else 3)
    return Plan(
        cycles=given.cycles,
        seed=given.seed,
        database=given.database,
        bots=bots,
        meetings=given.meetings,
        speed=given.speed,
        dedupe=not given.no_dedupe,
    )


if __name__ == "__main__":
    sys.exit(main())
