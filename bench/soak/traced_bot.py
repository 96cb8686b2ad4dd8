"""The bot as `livestream-bot run` starts it, with memory tracing: on SIGUSR1 it writes what it holds more of.

    python -m bench.soak.traced_bot

Tracing multiplies memory and CPU time, so its figures are not the bot's.
"""

import asyncio
import collections
import gc
import os
import signal
import sys
import tracemalloc
from pathlib import Path

from sandbox.bot_process import BotProcess

ARGUMENTS = ("-m", "bench.soak.traced_bot")
REPORT_SIGNAL = signal.SIGUSR1
_REPORT = Path("traces.txt")
_FRAMES = 8
_SHOWN = 15


class _Tracer:
    """The difference between two signals."""

    def __init__(self) -> None:
        self._objects: collections.Counter[str] = collections.Counter()
        self._snapshot: tracemalloc.Snapshot | None = None

    def compare(self) -> None:
        """Write what has grown since the last signal: allocations by place, objects by type."""
        gc.collect()
        counts = collections.Counter(type(each).__qualname__ for each in gc.get_objects())
        snapshot = tracemalloc.take_snapshot()
        if self._snapshot is not None:
            places = [str(one) for one in snapshot.compare_to(self._snapshot, "lineno")[:_SHOWN]]
            grown = [f"{more:+d} {name}" for name, more in (counts - self._objects).most_common(_SHOWN)]
            _REPORT.write_text("\n".join([*places, "", *grown]))
        self._objects, self._snapshot = counts, snapshot


async def traces_of(bot: BotProcess) -> str:
    """Return what has grown since the last call; nothing on the first call."""
    os.kill(bot.pid, REPORT_SIGNAL)
    await asyncio.sleep(10)
    report = bot.log.parent / _REPORT
    return report.read_text() if report.exists() else ""


def main() -> None:
    """Start tracing and run the bot."""
    from bot.cli import main as run  # noqa: PLC0415 - traced from its first import on

    tracer = _Tracer()
    signal.signal(REPORT_SIGNAL, lambda *_: tracer.compare())
    sys.argv = ["livestream-bot", "run"]
    run()


if __name__ == "__main__":
    tracemalloc.start(_FRAMES)
    main()
