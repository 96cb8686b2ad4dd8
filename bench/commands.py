"""Many slash commands at once: are all answered, and how soon acknowledged?

The sandbox and those who type share this process; the bot has its own.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bot.sandbox.bot_process import BotProcess, Mode, bot_process, settings_for
from bot.sandbox.clock import Clock
from bot.sandbox.realtimekit import RealtimeKit
from bot.sandbox.slack import ANN, GENERAL, Event, EventKind, Message, Outcome, Slack
from bot.serving import listen, serving

CLOUDFLARE_SECONDS = 0.1
_LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run measured; times in milliseconds."""

    asked: int
    answered: int
    ack_p50: float
    ack_p99: float
    reply_p50: float
    reply_p99: float
    seconds: float
    cpu_ms_per_command: float
    memory_mb: float


@dataclass(slots=True)
class _Bench:
    slack: Slack
    kit: RealtimeKit
    bot: BotProcess


async def burst(commands: int, at_once: int, mode: Mode) -> Figures:
    """`commands` for as many different live meetings, `at_once` under way, Cloudflare answering in 100 ms."""
    async with _bench(mode) as bench:
        meetings = [bench.kit.add_meeting(f"Meeting {number}").id for number in range(commands)]
        for meeting_id in meetings:
            bench.kit.go_live(meeting_id)
        return await _measure(bench, meetings, at_once)


@contextlib.asynccontextmanager
async def _bench(mode: Mode) -> AsyncIterator[_Bench]:
    clock = Clock()
    kit, slack = RealtimeKit(clock), Slack(clock)
    kit.latency = CLOUDFLARE_SECONDS
    async with (
        slack.running() as local,
        serving(kit.asgi, listen(), drain_seconds=1) as kit_url,
        bot_process(settings_for(slack, local.base_url, kit, kit_url, mode)) as bot,
    ):
        slack.request_url = f"{bot.url}/slack/events" if mode == "http" else None
        yield _Bench(slack, kit, bot)


async def _measure(bench: _Bench, meetings: list[str], at_once: int) -> Figures:
    replies: dict[str, float] = {}
    asked_at: dict[str, float] = {}

    all_replied = asyncio.Event()

    def note(event: Event) -> None:
        if event.kind is EventKind.MESSAGE_POSTED and isinstance(event.subject, Message):
            replies[_meeting_in(event.subject)] = time.perf_counter()
        if len(replies) == len(meetings):
            all_replied.set()

    bench.slack.events.subscribe(note)
    places = asyncio.Semaphore(at_once)
    acks: list[float] = []

    async def ask(meeting_id: str) -> None:
        async with places:
            asked_at[meeting_id] = time.perf_counter()
            delivery = await bench.slack.command(meeting_id, user=ANN, channel=GENERAL)
            acks.append(delivery.ack_ms if delivery.outcome is Outcome.OK else float("inf"))

    started, cpu = time.perf_counter(), _cpu_seconds(bench.bot.pid)
    await asyncio.gather(*(ask(meeting_id) for meeting_id in meetings))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(all_replied.wait(), _LONGEST_WAIT)
    seconds, used = time.perf_counter() - started, _cpu_seconds(bench.bot.pid) - cpu
    waits = [(replies[m] - asked_at[m]) * 1000 for m in meetings if m in replies]
    return Figures(
        asked=len(meetings),
        answered=len(waits),
        ack_p50=_percentile(acks, 50),
        ack_p99=_percentile(acks, 99),
        reply_p50=_percentile(waits, 50),
        reply_p99=_percentile(waits, 99),
        seconds=seconds,
        cpu_ms_per_command=used * 1000 / len(meetings),
        memory_mb=_memory_mb(bench.bot.pid),
    )


def _meeting_in(message: Message) -> str:
    """The ID at the end of each answer's footer: "Meeting `<id>`"."""
    footer: str = message.blocks[-1]["elements"][-1]["text"]
    return footer.split("`")[1]


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else float("nan")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024
