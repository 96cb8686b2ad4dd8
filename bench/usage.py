"""The resource use of a process and its descendants, from Linux's /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return the IDs of the process and all its descendants."""
    pids = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            pids += tree(int(child))
    return pids


def cpu_seconds(pid: int) -> float:
    """Return the seconds of CPU time that the tree has used so far, in user and kernel mode."""
    return sum(_ticks(one) for one in tree(pid)) / _TICKS


def peak_mb(pid: int) -> float:
    """Return the sum of the processes' peak resident sets; shared pages count once per process."""
    return sum(_peak_kb(one) for one in tree(pid)) / 1024


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def _peak_kb(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])
