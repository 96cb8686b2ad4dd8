"""Occasional faults: Slack's limits, lost answers, Cloudflare's errors, and Socket Mode disconnects."""

import asyncio
import contextlib
import random
from collections import Counter

from sandbox.realtimekit import Fault, RealtimeKit
from sandbox.slack import RESPONSE_URL, Slack
from sandbox.slack.socket_mode import NoConnection

_PAUSE_SECONDS = (5.0, 20.0)
_OUTAGE_SECONDS = (1.0, 6.0)
_METHODS = ("chat.postMessage", "chat.update", RESPONSE_URL)
_CLOUDFLARE = [fault for fault in Fault if fault is not Fault.NONE]


class FaultInjector:
    """A source of faults, which counts them."""

    def __init__(self, slack: Slack, kit: RealtimeKit) -> None:
        self.faults: Counter[str] = Counter()
        self._slack = slack
        self._kit = kit
        self._rng = random.Random(11)
        kit.retry_after, kit.slow_seconds = 2, 1.0

    async def run(self) -> None:
        """Switch faults on and off until cancelled, then switch them off."""
        try:
            while True:
                await asyncio.sleep(self._rng.uniform(*_PAUSE_SECONDS))
                if self._rng.random() < 0.6:
                    self._fail_slack_calls()
                else:
                    await self._cloudflare_outage()
        finally:
            self._kit.fault = Fault.NONE

    def _fail_slack_calls(self) -> None:
        method, times = self._rng.choice(_METHODS), self._rng.randint(1, 3)
        if self._rng.random() < 0.7:
            self._slack.rate_limit_next(method, self._rng.randint(1, 3), times)
            self.faults["Slack 429"] += times
        else:
            self._slack.drop_after_accepting_next(method, times)
            self.faults["lost answers of Slack"] += times

    async def _cloudflare_outage(self) -> None:
        self._kit.fault = self._rng.choice(_CLOUDFLARE)
        self.faults["Cloudflare faults"] += 1
        await asyncio.sleep(self._rng.uniform(*_OUTAGE_SECONDS))
        self._kit.fault = Fault.NONE

    async def disconnect(self, every: float) -> None:
        """Let Slack send `disconnect` to all connections about this often, until cancelled."""
        while True:
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) * every)
            with contextlib.suppress(NoConnection):
                await self._slack.disconnect(self._rng.choice(["warning", "refresh_requested"]))
            self.faults["disconnects"] += 1
