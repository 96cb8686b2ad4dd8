"""Livestreams that start, go live, drop, fail and end, each meeting at its own pace."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable

from bench.soak.workspace import BROADCAST
from sandbox.realtimekit import ImpossibleError, RealtimeKit

_PHASE_SECONDS = (20.0, 60.0)
_MAX_SESSIONS = 3


class Broadcasts:
    """A driver that moves the meetings' livestreams from state to state, and counts the steps."""

    def __init__(self, kit: RealtimeKit) -> None:
        self.steps: Counter[str] = Counter()
        self._kit = kit
        self._rng = random.Random(7)

    async def run(self) -> None:
        """Run until cancelled."""
        await asyncio.gather(*(self._of(meeting_id) for meeting_id in BROADCAST))

    async def _of(self, meeting_id: str) -> None:
        await asyncio.sleep(self._rng.uniform(0, _PHASE_SECONDS[0]))
        while True:
            name, step = self._rng.choice(self._steps(meeting_id))
            try:
                step()
                self.steps[name] += 1
            except ImpossibleError:
                pass
            self._forget_old_sessions(meeting_id)
            await asyncio.sleep(self._rng.uniform(*_PHASE_SECONDS))

    def _steps(self, meeting_id: str) -> list[tuple[str, Callable[[], object]]]:
        kit = self._kit
        if not kit.meetings[meeting_id].running:
            return [("start", lambda: kit.start(meeting_id)), ("go live", lambda: kit.go_live(meeting_id))]
        return [
            ("go live", lambda: kit.go_live(meeting_id)),
            ("drop", lambda: kit.drop(meeting_id)),
            ("fail", lambda: kit.fail(meeting_id, "The encoder sends no video")),
            ("end", lambda: kit.end(meeting_id)),
        ]

    def _forget_old_sessions(self, meeting_id: str) -> None:
        """Remove ended sessions: the sandbox keeps every one, and its memory must not grow."""
        sessions = self._kit.meetings[meeting_id].sessions
        if len(sessions) > _MAX_SESSIONS:
            self._kit.change_livestream(meeting_id, sessions=sessions[-_MAX_SESSIONS:])
