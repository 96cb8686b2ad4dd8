"""The faults between the bot, Slack and Cloudflare: for a while, or for the next call."""

import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.realtimekit import Fault as CloudflareFault
from sandbox.realtimekit import RealtimeKit
from sandbox.slack import Fault as SlackFault
from sandbox.slack import Slack

_METHODS = ("chat.postMessage", "chat.update")
_CLOUDFLARE = [fault for fault in CloudflareFault if fault is not CloudflareFault.NONE]
_OUT = [fault for fault in _CLOUDFLARE if fault is not CloudflareFault.SLOW]
_SLACK = [fault for fault in SlackFault if fault is not SlackFault.NONE]
_OUTAGES = ("internal_error", "fatal_error", "service_unavailable", "request_timeout")
_MAX_RETRY_AFTER = 40
_LATE_RESPONSE_CHANCE = 1 / 3
_CLOSE_CHANCE = 1 / 2
_RESPONSE_DELAY_SECONDS = (5.0, 60.0)
_APPLY_DELAY_SECONDS = (10.0, 40.0)
"""Sandbox seconds: around and beyond the client's timeouts for an edit and a post."""


FAULTS = frozenset(
    {
        "kills",
        "slack",
        "strikes",
        "cloudflare",
        "webhooks",
        "deletions",
        "absences",
        "restarts",
        "freezes",
        "late",
        "forgetful",
        "resets",
        "changes",
        "rivals",
        "unfollows",
        "swallowed",
        "switches",
        "readonly",
        "clocks",
    }
)
"""The names for `--only` and `--without`. Of these, restarts, swallowed, switches, readonly and clocks need
PostgreSQL."""


class TruncatedResponses:
    """ASGI middleware: handles the next calls, sends half of the response, and closes the connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.left = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, self._half(send) if self._takes(scope) else send)

    def _takes(self, scope: Scope) -> bool:
        taken = self.left > 0 and scope["type"] == "http" and str(scope["path"]).removeprefix("/api/") in _METHODS
        self.left -= taken
        return taken

    @staticmethod
    def _half(send: Send) -> Send:
        async def half(message: Message) -> None:
            if message["type"] == "http.response.body":
                body = message.get("body", b"")
                message = {**message, "body": body[: len(body) // 2], "more_body": True}
            await send(message)

        return half


class FaultInjector:
    """Injects the faults, and counts them."""

    def __init__(self, slack: Slack, kit: RealtimeKit, half: TruncatedResponses) -> None:
        self.counts: Counter[str] = Counter()
        self._slack = slack
        self._kit = kit
        self._half = half
        self._outages: list[CloudflareFault] = []
        self._deduplicates = slack.honors_client_msg_id
        self._forgetting = 0
        kit.slow_seconds = 0.1
        kit.retry_after = 1  # in real seconds, as the bot counts it

    def delay_slack_calls(self, rng: random.Random) -> None:
        """Let Slack apply the next calls after the client has given up, or respond only then."""
        method, times = rng.choice(_METHODS), rng.randint(1, 3)
        if rng.random() < _LATE_RESPONSE_CHANCE:
            self._slack.answer_late(method, rng.uniform(*_RESPONSE_DELAY_SECONDS), times=times)
        else:
            closes = rng.random() < _CLOSE_CHANCE
            self._slack.apply_late(method, rng.uniform(*_APPLY_DELAY_SECONDS), times=times, closes=closes)
        self.counts["late"] += times

    def reset_connections(self) -> None:
        """Reset the connections that the bot keeps open; it notices when it uses them."""
        self.counts["resets"] += self._slack.reset_idle_connections() + self._kit.reset_idle_connections()

    @contextlib.contextmanager
    def no_deduplication(self) -> Iterator[None]:
        """Let Slack ignore client_msg_id until the block ends."""
        self._forgetting += 1
        self._slack.honors_client_msg_id = False
        self.counts["forgetful"] += 1
        try:
            yield
        finally:
            self._forgetting -= 1
            self._slack.honors_client_msg_id = self._deduplicates and self._forgetting == 0

    def fail_slack_calls(self, rng: random.Random) -> None:
        """Let the next calls fail."""
        method, times = rng.choice(_METHODS), rng.randint(1, 3)
        match rng.randrange(4):
            case 0:
                self._slack.rate_limit_next(method, rng.randint(1, _MAX_RETRY_AFTER), times)
            case 1:
                self._slack.refuse_next(method, rng.choice(_OUTAGES), times)
            case 2:
                self._slack.drop_after_accepting_next(method, times)
            case _:
                self._half.left += times
        self.counts["slack"] += times

    @contextlib.asynccontextmanager
    async def slack_outage(self, rng: random.Random) -> AsyncIterator[None]:
        """Inject a fault until the block ends."""
        self._slack.fault = rng.choice(_SLACK)
        self.counts["slack"] += 1
        try:
            yield
        finally:
            self._slack.fault = SlackFault.NONE

    @contextlib.asynccontextmanager
    async def cloudflare_outage(self, rng: random.Random, *, out: bool = False) -> AsyncIterator[None]:
        """Inject a fault until the block ends; with `out` no request succeeds."""
        fault = rng.choice(_OUT if out else _CLOUDFLARE)
        self._outages.append(fault)
        self._kit.fault = fault
        self.counts["cloudflare"] += 1
        try:
            yield
        finally:
            # A longer outage continues after this one.
            self._outages.remove(fault)
            self._kit.fault = self._outages[-1] if self._outages else CloudflareFault.NONE

    def clear_up(self) -> None:
        """Remove every fault, also those that wait for a call."""
        self._half.left = 0
        self._slack.accept()
        self._slack.fault = SlackFault.NONE
        self._kit.fault = CloudflareFault.NONE
