"""Count the functions and modules of `bot` that one request runs, from the socket to the answer.

    python -m scripts.call_path [--list]

Runs the bot against the sandbox in this process and records every call with `sys.setprofile`: once for a lookup
(`/livestream <meeting>` to the private answer), once for a change (a RealtimeKit webhook to the reply in the thread).
What other tasks do meanwhile, such as reading lists, is not counted.
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

from bot import logs
from bot.app import running
from bot.settings import Settings
from bot.uvicorn_server import listen, serving
from sandbox.bot_process import settings_for
from sandbox.clock import Clock
from sandbox.realtimekit import RealtimeKit
from sandbox.slack import GENERAL, Slack

BOT = str(Path(__file__).parent.parent / "bot") + "/"
WARM_UP = 2
ENTRY_POINTS = {
    "_slack_events.<locals>.slack_events",
    "_realtimekit_webhooks.<locals>.realtimekit_webhooks",
    "MeetingPoller._check",
    "Announcer._work",
}
"""Where a request enters a task: each function that such a task or its children run belongs to the path."""
on_path: ContextVar[bool] = ContextVar("on_path", default=False)


class CallRecorder:
    """The functions of `bot` that ran between `start` and `stop`, each counted once."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()

    def start(self) -> None:
        """Record from here on, in this thread."""
        self.calls.clear()
        sys.setprofile(self._on_event)

    def stop(self) -> None:
        """Stop recording."""
        sys.setprofile(None)

    def _on_event(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(BOT) or code.co_name.startswith("<"):
            return
        if code.co_qualname in ENTRY_POINTS:
            on_path.set(True)
        if on_path.get():
            self.calls[code.co_filename.removeprefix(BOT), code.co_qualname] += 1

    def report(self, title: str, *, every: bool) -> str:
        """Return one line with both counts, and the functions in the order of their first call if `every` is set."""
        modules = {module for module, _ in self.calls}
        lines = [f"{title}: {len(self.calls)} functions in {len(modules)} modules"]
        if every:
            lines += [f"  {module}: {function}" for module, function in self.calls]
        return "\n".join(lines)


async def main(*, every: bool) -> None:
    """Run both requests and print what they cost."""
    clock = Clock()
    kit, slack = RealtimeKit(clock), Slack(clock)
    kit.seed()
    with tempfile.TemporaryDirectory() as folder:
        async with slack.running(), serving(kit.asgi, listen(), drain_seconds=1) as kit_url:
            environment = settings_for(slack, slack.base_url, kit, kit_url, "http")
            values: dict[str, Any] = {name.lower(): value for name, value in environment.items()}
            values["database_url"] = f"sqlite+aiosqlite:///{folder}/bot.db"
            async with running(Settings(_env_file=None, **values), listen(), clock) as url:
                slack.request_url = f"{url}/slack/events"
                await _measure(slack, kit, url, every=every)


async def _measure(slack: Slack, kit: RealtimeKit, url: str, *, every: bool) -> None:
    recorder = CallRecorder()
    meetings = list(kit.meetings)

    async def lookup(meeting_id: str) -> None:
        delivery = await slack.command(meeting_id, channel=GENERAL)
        await slack.wait_for_message(lambda message: message.trigger_id == delivery.trigger_id, timeout=15)

    await _record(recorder, lookup, meetings[:WARM_UP], meetings[WARM_UP])
    print(recorder.report("lookup", every=every))  # noqa: T201
    await _record_change(recorder, slack, kit, url, kit.add_meeting("Launch week").id)
    print(recorder.report("change", every=every))  # noqa: T201


async def _record(
    recorder: CallRecorder, request: Callable[[str], Awaitable[None]], warm_up: list[str], recorded: str
) -> None:
    for meeting_id in warm_up:
        await request(meeting_id)
    recorder.start()
    await request(recorded)
    recorder.stop()


async def _record_change(recorder: CallRecorder, slack: Slack, kit: RealtimeKit, url: str, meeting_id: str) -> None:
    await slack.command(f"follow {meeting_id}", channel=GENERAL)
    card = await slack.wait_for_message(
        lambda message: message.ephemeral_to is None and meeting_id in str(message.blocks), timeout=15
    )
    kit.add_webhook(f"{url}/realtimekit/webhooks")
    await asyncio.sleep(1)
    recorder.start()
    kit.go_live(meeting_id)
    await slack.wait_for_message(lambda message: message.thread_ts == card.ts and message.ts != card.ts, timeout=30)
    recorder.stop()


if __name__ == "__main__":
    logs.configure(level="ERROR", style="json")
    asyncio.run(main(every="--list" in sys.argv))
