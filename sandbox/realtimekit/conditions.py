"""The conditions under which clients are answered, changeable at any time, and the log of their requests."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.realtimekit.envelopes import ListShape
from sandbox.realtimekit.faults import Fault

_CALLS_KEPT = 500


@dataclass(frozen=True)
class Call:
    """A request in the log: `path` includes the query, and `status` is 0 if no answer was started.

    `ms` is real time; `at` is in epoch seconds of sandbox time.
    """

    method: str
    path: str
    status: int
    ms: float
    at: float


class Conditions:
    """Switches that affect every answer. Delays are in real seconds, because they test a client's deadlines."""

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
        """Answer `times` requests with `fault`, after the faults already planned and before `self.fault` again."""
        self._next_faults.extend([fault] * times)

    def take_fault(self) -> Fault:
        """Return the fault for the current request."""
        return self._next_faults.popleft() if self._next_faults else self.fault

    def record(self, call: Call) -> None:
        """Add a call to the log and notify the listeners."""
        self.calls.append(call)
        for listener in self.on_call:
            listener(call)
