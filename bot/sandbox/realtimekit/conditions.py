"""The weather a client meets, changeable at any time, and the log of what it asked."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bot.sandbox.realtimekit.envelopes import ListShape
from bot.sandbox.realtimekit.faults import Fault

_CALLS_KEPT = 500


@dataclass(frozen=True)
class Call:
    """A request as the log shows it: its path with the query, and 0 as `status` if no answer was begun.

    `ms` is real time, `at` is epoch seconds of the sandbox.
    """

    method: str
    path: str
    status: int
    ms: float
    at: float


class Conditions:
    """What is switchable about every answer. Delays are real seconds: they test the deadlines of a client."""

    def __init__(self) -> None:
        self.fault = Fault.NONE
        self.slow_seconds = 3.0
        self.retry_after: int | None = 30
        self.latency = 0.0
        self.budget: int | None = None
        self.list_shape = ListShape.ARRAY
        self.calls: deque[Call] = deque(maxlen=_CALLS_KEPT)
        self.on_call: list[Callable[[Call], None]] = []
        self._next_faults: deque[Fault] = deque()

    def fail_next(self, fault: Fault, times: int = 1) -> None:
        """Let the next `times` requests meet `fault`, after those already planned; then `self.fault` again."""
        self._next_faults.extend([fault] * times)

    def take_fault(self) -> Fault:
        """The fault that the request at hand meets."""
        return self._next_faults.popleft() if self._next_faults else self.fault

    def record(self, call: Call) -> None:
        """Keep a call in the log and tell those who listen."""
        self.calls.append(call)
        for listener in self.on_call:
            listener(call)
