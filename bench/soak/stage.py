"""One soak: the real bot in its own process, a Slack and a RealtimeKit, people, livestreams and faults."""

import asyncio
import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bench.soak import traced_bot, workspace
from bench.soak.answers import Answers
from bench.soak.broadcasts import Broadcasts
from bench.soak.faults import FaultInjector
from bench.soak.people import Person, Tally
from bench.soak.sampling import ResourceUsage, Sampler, own_mb
from bot.uvicorn_server import listen, serving
from sandbox.bot_process import BotProcess, Mode, bot_process, settings_for
from sandbox.realtimekit import RealtimeKit
from sandbox.slack import Slack

DISCONNECT_SECONDS = 4.0
_SETTLE_SECONDS = 120.0
_REST_SECONDS = 75.0
"""Seconds after which kept-alive connections, and WebSockets left over from a renewal, are closed."""
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of one soak."""

    mode: Mode
    minutes: float
    database: str = "sqlite"
    traced: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results. `rest_before` and `rest_after` are samples of the idle bot."""

    tally: Tally
    events: Counter[str]
    samples: list[tuple[float, ResourceUsage]]
    idle_before: ResourceUsage
    idle_after: ResourceUsage
    sessions: tuple[int, int]
    """Socket Mode connections of the idle bot, before and after."""
    pending: float
    own: tuple[float, float]
    """The private memory of this process in MB, before and after."""
    traces: str = ""


async def run(plan: Plan) -> Outcome:
    """Run the soak. Raises BotDidNotStart."""
    async with contextlib.AsyncExitStack() as stack:
        slack = Slack()
        kit = RealtimeKit(slack.clock)
        kit.latency = 0.05
        place = workspace.build(slack, kit)
        await stack.enter_async_context(slack.running())
        kit_url = await stack.enter_async_context(serving(kit.asgi, listen(), drain_seconds=1))
        settings = settings_for(slack, slack.base_url, kit, kit_url, plan.mode)
        settings["PYTHONPATH"] = str(REPOSITORY)
        settings |= await stack.enter_async_context(_database(plan.database))
        arguments = traced_bot.ARGUMENTS if plan.traced else ("-m", "bot", "run")
        bot = await stack.enter_async_context(bot_process(settings, arguments))
        slack.request_url = f"{bot.url}/slack/events" if plan.mode == "http" else None
        kit.add_webhook(f"{bot.url}/realtimekit/webhooks")
        await stack.enter_async_context(kit.delivering())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        return await _Run(plan, slack, kit, place, bot, Sampler(bot.pid, bot.url, http)).measure()


@dataclass(frozen=True, slots=True)
class _Run:
    plan: Plan
    slack: Slack
    kit: RealtimeKit
    place: workspace.Workspace
    bot: BotProcess
    sampler: Sampler

    async def measure(self) -> Outcome:
        await asyncio.sleep(3)
        idle_before, sessions, own = await self.sampler.sample(), self.slack.connections, own_mb()
        tally, events = await self._under_load()
        pending = await self._wait_until_idle()
        return Outcome(
            tally=tally,
            events=events,
            samples=self.sampler.samples,
            idle_before=idle_before,
            idle_after=await self.sampler.sample(),
            sessions=(sessions, self.slack.connections),
            pending=pending,
            own=(own, own_mb()),
            traces=await traced_bot.traces_of(self.bot) if self.plan.traced else "",
        )

    async def _under_load(self) -> tuple[Tally, Counter[str]]:
        tally, over, answers = Tally(), asyncio.Event(), Answers(self.slack)
        injector, broadcasts = FaultInjector(self.slack, self.kit), Broadcasts(self.kit)
        people = [Person(self.slack, answers, self.place, names, tally) for names in self.place.names]
        background = [injector.run(), broadcasts.run(), self.sampler.run()]
        if self.plan.traced:
            background.append(self._trace_at_half_time())
        if self.plan.mode == "socket":
            background.append(injector.disconnect(DISCONNECT_SECONDS))
        with answers.listening():
            running = [asyncio.create_task(work) for work in background]
            living = asyncio.gather(*(person.live(over) for person in people))
            try:
                await self._run_until_time_is_up([living, *running])
                over.set()
                await living
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)
        return tally, injector.faults + broadcasts.steps

    async def _run_until_time_is_up(self, working: list[asyncio.Future[Any]]) -> None:
        """Run all of these until the time is up; one that ends early is broken, and raises."""
        done, _ = await asyncio.wait(working, timeout=self.plan.minutes * 60, return_when=asyncio.FIRST_COMPLETED)
        for broken in done:
            broken.result()

    async def _trace_at_half_time(self) -> None:
        await asyncio.sleep(self.plan.minutes * 30)
        await traced_bot.traces_of(self.bot)
        await asyncio.Event().wait()

    async def _wait_until_idle(self) -> float:
        """Wait until the bot is idle, and return how many announcements are still unsent."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                while await self._pending_work():  # noqa: ASYNC110 - the state is in another process
                    await asyncio.sleep(1)
        await asyncio.sleep(_REST_SECONDS)
        return await self.sampler.metric("livestream_bot_announcements_pending")

    async def _pending_work(self) -> float:
        names = (
            "livestream_bot_requests_in_flight",
            "livestream_bot_announcements_pending",
            "livestream_bot_cards_due",
        )
        return sum([await self.sampler.metric(name) for name in names])


@contextlib.asynccontextmanager
async def _database(kind: str) -> AsyncIterator[dict[str, str]]:
    """Yield the setting that names the database; SQLite's file is in the bot's own folder."""
    if kind == "sqlite":
        yield {}
        return
    from tests.postgres import Postgres, start_server  # noqa: PLC0415 - a developer's dependency

    # Its own folder: root starts the server as another user, who needs access to it.
    folder = Path(tempfile.mkdtemp(prefix="livestream-bot-soak-"))
    server = start_server(folder / "data")
    try:
        postgres = Postgres(socket_dir=server.get_uri().rpartition("host=")[2])
        yield {"DATABASE_URL": postgres.url(await postgres.create())}
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
