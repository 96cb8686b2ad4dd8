"""What goes wrong between the bot and its peers: for a while, or for the next call."""

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
_LONGEST_RETRY_AFTER = 40
_LATE_ANSWERS = 1 / 3
_CLOSED = 1 / 2
_ANSWERED_AFTER = (5.0, 60.0)
_APPLIED_AFTER = (10.0, 40.0)
"""Sandbox seconds: around and beyond what the client waits for an edit, and for a post."""


WEATHERS = frozenset(
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
"""What can go wrong, by the names of `--only` and `--without`. Of these, restarts, swallowed, switches, readonly and
clocks need PostgreSQL."""


class HalfAnswers:
    """ASGI middleware: does the work of the next calls, writes half of the answer, and closes the connection."""

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


class Weather:
    """Throws the faults, and counts them."""

    def __init__(self, slack: Slack, kit: RealtimeKit, half: HalfAnswers) -> None:
        self.faults: Counter[str] = Counter()
        self._slack = slack
        self._kit = kit
        self._half = half
        self._outages: list[CloudflareFault] = []
        self._honours = slack.honors_client_msg_id
        self._forgetting = 0
        kit.slow_seconds = 0.1
        kit.retry_after = 1  # in real seconds, as the bot counts it

    def be_late(self, dice: random.Random) -> None:
        """Slack does what the next calls ask after the client has given up, or answers when it has."""
        method, times = dice.choice(_METHODS), dice.randint(1, 3)
        if dice.random() < _LATE_ANSWERS:
            self._slack.answer_late(method, dice.uniform(*_ANSWERED_AFTER), times=times)
        else:
            closes = dice.random() < _CLOSED
            self._slack.apply_late(method, dice.uniform(*_APPLIED_AFTER), times=times, closes=closes)
        self.faults["late"] += times

    def reset_connections(self) -> None:
        """Connections that the bot keeps open are dead, which it finds when it uses them."""
        self.faults["resets"] += self._slack.reset_idle_connections() + self._kit.reset_idle_connections()

    @contextlib.contextmanager
    def slack_forgets(self) -> Iterator[None]:
        """Slack does not look at client_msg_id for as long as the block lasts."""
        self._forgetting += 1
        self._slack.honors_client_msg_id = False
        self.faults["forgetful"] += 1
        try:
            yield
        finally:
            self._forgetting -= 1
            self._slack.honors_client_msg_id = self._honours and self._forgetting == 0

    def strike_slack(self, dice: random.Random) -> None:
        """Something happens to the next calls."""
        method, times = dice.choice(_METHODS), dice.randint(1, 3)
        match dice.randrange(4):
            case 0:
                self._slack.rate_limit_next(method, dice.randint(1, _LONGEST_RETRY_AFTER), times)
            case 1:
                self._slack.refuse_next(method, dice.choice(_OUTAGES), times)
            case 2:
                self._slack.drop_after_accepting_next(method, times)
            case _:
                self._half.left += times
        self.faults["slack"] += times

    @contextlib.asynccontextmanager
    async def slack_is_ill(self, dice: random.Random) -> AsyncIterator[None]:
        """For as long as the block lasts."""
        self._slack.fault = dice.choice(_SLACK)
        self.faults["slack"] += 1
        try:
            yield
        finally:
            self._slack.fault = SlackFault.NONE

    @contextlib.asynccontextmanager
    async def cloudflare_is_ill(self, dice: random.Random, *, out: bool = False) -> AsyncIterator[None]:
        """For as long as the block lasts; `out` is that nothing at all is to be had from it."""
        fault = dice.choice(_OUT if out else _CLOUDFLARE)
        self._outages.append(fault)
        self._kit.fault = fault
        self.faults["cloudflare"] += 1
        try:
            yield
        finally:
            # One that lasts longer is not over with this one.
            self._outages.remove(fault)
            self._kit.fault = self._outages[-1] if self._outages else CloudflareFault.NONE

    def clear_up(self) -> None:
        """Take every fault away, also those that wait for a call."""
        self._half.left = 0
        self._slack.accept()
        self._slack.fault = SlackFault.NONE
        self._kit.fault = CloudflareFault.NONE
