"""One contender under one load: what it answered, how fast, and at what cost."""

import asyncio
import contextlib
import resource
import statistics
import time
from dataclasses import dataclass, field, fields

from bench import usage
from bench.commands import Command, Http, Socket, Way
from bench.contender import Contender, Running, running
from bench.peer import Peer, meeting_id, playback_url

CLOUDFLARE_SECONDS = 0.1
ACK_SECONDS = 3.0
"""How long Slack waits for an acknowledgement, in seconds."""
_MAX_SILENCE_SECONDS = 10.0
"""Seconds without a reply after which no more are expected."""
MAX_LOAD_SECONDS = 30.0
"""How long a load may last after its last command was due (in a burst: from the start), in seconds."""


@dataclass(frozen=True, slots=True)
class Load:
    """A number of commands: either `at_once` unacknowledged at a time, or `per_second` regardless of how many are."""

    name: str
    commands: int
    at_once: int = 0
    per_second: float = 0
    one_meeting: bool = False

    @property
    def description(self) -> str:
        """A short description for people."""
        whose = "for one meeting" if self.one_meeting else "for as many meetings"
        pace = f"{self.at_once} at a time" if self.at_once else f"{self.per_second:g} per second"
        return f"{self.commands:,} commands {whose}, {pace}"

    @property
    def max_seconds(self) -> float:
        """Seconds after which the load ends, even if replies are missing."""
        return MAX_LOAD_SECONDS + (self.commands / self.per_second if self.per_second else 0)


@dataclass(frozen=True, slots=True)
class Figures:
    """Times in milliseconds, memory in MB, `start` in seconds."""

    asked: float
    answered: float
    late: float
    """Commands not acknowledged within Slack's 3 seconds."""
    ack_p50: float
    ack_p99: float
    reply_p50: float
    reply_p99: float
    cpu: float
    """CPU time per command, of all processes."""
    memory: float
    requests: float
    """Requests to Cloudflare per command."""
    load: float
    """The share of one core that the load itself used while it ran."""
    start: float


@dataclass(slots=True)
class _Timing:
    asked_at: dict[int, float] = field(default_factory=dict)
    acks: list[float] = field(default_factory=list)


def median(runs: list[Figures]) -> Figures:
    """Return the median of each figure."""
    names = [one.name for one in fields(Figures)]
    return Figures(**{name: statistics.median(getattr(run, name) for run in runs) for name in names})


async def measure(contender: Contender, load: Load) -> Figures:
    """Start the contender, run the load, and stop the contender."""
    peer = Peer(CLOUDFLARE_SECONDS)
    socket = Socket()
    async with peer.running() as url, socket.running() as peer.socket_url, running(contender, url) as one:
        way: Way = socket if contender.socket_mode else Http(one.url)
        try:
            return await _under_load(load, peer, way, one)
        finally:
            way.close()


async def _under_load(load: Load, peer: Peer, way: Way, one: Running) -> Figures:
    meetings = [meeting_id(0 if load.one_meeting else number) for number in range(load.commands)]
    commands = [Command(number, meeting, peer.url) for number, meeting in enumerate(meetings)]
    peer.expected = {number: playback_url(meeting).encode() for number, meeting in enumerate(meetings)}
    timing = _Timing()
    peer.requests.clear()
    began, cpu, own = time.perf_counter(), usage.cpu_seconds(one.pid), _own_cpu()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(load.max_seconds):
            await (_burst(load, commands, way, timing) if load.at_once else _steady(load, commands, way, timing))
            await _all_replied(peer, load.commands)
    seconds, used, own = time.perf_counter() - began, usage.cpu_seconds(one.pid) - cpu, _own_cpu() - own
    acks = [*timing.acks, *[float("inf")] * (load.commands - len(timing.acks))]
    replies = [(at - timing.asked_at[number]) * 1000 for number, at in peer.replied.items()]
    return Figures(
        asked=load.commands,
        answered=len(replies),
        late=sum(ack > ACK_SECONDS * 1000 for ack in acks),
        ack_p50=_percentile(acks, 50),
        ack_p99=_percentile(acks, 99),
        reply_p50=_percentile(replies, 50),
        reply_p99=_percentile(replies, 99),
        cpu=used * 1000 / load.commands,
        memory=usage.peak_mb(one.pid),
        requests=peer.requests.total() / load.commands,
        load=own / seconds,
        start=one.start_seconds,
    )


async def _burst(load: Load, commands: list[Command], way: Way, timing: _Timing) -> None:
    left = iter(commands)

    async def ask_on() -> None:
        for command in left:
            await _ask(command, way, timing, time.perf_counter())

    await asyncio.gather(*(ask_on() for _ in range(load.at_once)))


async def _steady(load: Load, commands: list[Command], way: Way, timing: _Timing) -> None:
    """Send each command when it is due and time it from then, regardless of the commands before it."""
    started = time.perf_counter()
    asking = []
    for number, command in enumerate(commands):
        due = started + number / load.per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        asking.append(asyncio.create_task(_ask(command, way, timing, due)))
    await asyncio.gather(*asking)


async def _ask(command: Command, way: Way, timing: _Timing, due: float) -> None:
    timing.asked_at[command.number] = due
    with contextlib.suppress(OSError):
        if await way.deliver(command):
            timing.acks.append((time.perf_counter() - due) * 1000)


async def _all_replied(peer: Peer, commands: int) -> None:
    replied = asyncio.Event()
    peer.on_reply = replied.set
    with contextlib.suppress(TimeoutError):
        while len(peer.replied) < commands:
            replied.clear()
            await asyncio.wait_for(replied.wait(), _MAX_SILENCE_SECONDS)


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else float("nan")
