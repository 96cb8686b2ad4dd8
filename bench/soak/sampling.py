"""What the bot holds at one moment: memory, files, sockets and threads from Linux's /proc, tasks from /metrics."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

SAMPLE_SECONDS = 2.0
_MB = 1024.0


@dataclass(frozen=True, slots=True)
class ResourceUsage:
    """Memory in MB: resident (RSS), and the private part of it (USS); and numbers of files, sockets, threads, tasks."""

    rss: float
    uss: float
    files: float
    sockets: float
    threads: float
    tasks: float


@dataclass(slots=True)
class Sampler:
    """A sampler of one process."""

    pid: int
    url: str
    http: aiohttp.ClientSession
    samples: list[tuple[float, ResourceUsage]] = field(default_factory=list)

    async def run(self) -> None:
        """Take a sample every two seconds, until cancelled."""
        while True:
            self.samples.append((time.monotonic(), await self.sample()))
            await asyncio.sleep(SAMPLE_SECONDS)

    async def sample(self) -> ResourceUsage:
        """Return what the process holds now."""
        tasks = await self.metric("livestream_bot_asyncio_tasks")
        return ResourceUsage(**_of_process(Path("/proc") / str(self.pid)), tasks=tasks)

    async def metric(self, name: str) -> float:
        """Return the value of a metric without labels."""
        async with self.http.get(f"{self.url}/metrics") as response:
            text = await response.text()
        families = text_string_to_metric_families(text)
        return next(sample.value for family in families for sample in family.samples if sample.name == name)


def _of_process(proc: Path) -> dict[str, float]:
    memory = _fields(proc / "smaps_rollup")
    links = _links(proc / "fd")
    return {
        "rss": memory["Rss"] / _MB,
        "uss": (memory["Private_Clean"] + memory["Private_Dirty"]) / _MB,
        "files": float(len(links)),
        "sockets": float(sum(link.startswith("socket:") for link in links)),
        "threads": _fields(proc / "status")["Threads"],
    }


def own_mb() -> float:
    """Return the private memory of this process, in MB."""
    return _of_process(Path("/proc/self"))["uss"]


def _fields(file: Path) -> dict[str, float]:
    """Return the numbers of lines such as `Rss:  123 kB`."""
    lines = (line.split() for line in file.read_text().splitlines())
    return {words[0].rstrip(":"): float(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def _links(folder: Path) -> list[str]:
    """Return the targets of the open files; one that is closed meanwhile is left out."""
    links = []
    for file in folder.iterdir():
        try:
            links.append(str(file.readlink()))
        except OSError:
            continue
    return links
