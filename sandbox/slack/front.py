"""The front of Slack's HTTP services, which applies faults to each call, answers it and logs it."""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from starlette.responses import Response

from sandbox.clock import Clock
from sandbox.slack.answers import Delayed, Dropped, Hanging, server_error
from sandbox.slack.faults import Fault, Faults, Late
from sandbox.slack.log import Call, Direction, Log
from sandbox.slack.refusal import Refusal

Work = Callable[[], Response]

LATE = "late"


@dataclass(frozen=True, slots=True)
class Front:
    """Applies faults and logs calls. `late_work` contains accepted work that is not done yet."""

    faults: Faults
    log: Log
    clock: Clock
    late_work: set[asyncio.Task[None]] = field(default_factory=set)

    def answer(
        self, method: str, work: Work, refuse: Callable[[Refusal], Response], about: Collection[str] = ()
    ) -> Response:
        """Do a call's work unless a fault prevents it; `refuse` turns a Refusal into a response.

        `about` contains the channel and person that the call concerns, which select the faults.
        """
        started = self.clock.now()
        error: str | None = None
        late: Late | None = None
        silenced = self._silenced()
        try:
            self.faults.check(method, about)
            late = None if silenced else self.faults.late(method, about)
            response = silenced or self._answer(method, work, late)
        except Refusal as refusal:
            response, error = refuse(refusal), refusal.error
        if late is not None and late.answers:
            response = Delayed(response, late.seconds, self.clock)
        elif late is not None:
            error = error or LATE
        if self.faults.drops(method, done=silenced is None and error is None):
            response = Dropped()
        self._note(method, response, error or _failure(response), started)
        return response

    async def close(self) -> None:
        """Cancel late work."""
        tasks = tuple(self.late_work)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, method: str, work: Work, late: Late | None) -> Response:
        if late is None or late.answers:
            return work()
        due = self.clock.now() + late.seconds
        task = asyncio.get_running_loop().create_task(self._do_later(work, due), name=f"late {method}")
        self.late_work.add(task)
        task.add_done_callback(self.late_work.discard)
        return Dropped() if late.closes else Hanging()

    async def _do_later(self, work: Work, due: float) -> None:
        """Do the work later; the client gets no answer, not even a refusal."""
        await self.clock.sleep_until(due)
        with contextlib.suppress(Refusal):
            work()

    def _silenced(self) -> Response | None:
        if self.faults.standing is Fault.SERVER_ERROR:
            return server_error()
        return Hanging() if self.faults.standing is Fault.HANG else None

    def _note(self, method: str, response: Response, error: str | None, started: float) -> None:
        silent = isinstance(response, Hanging | Dropped)
        status = None if silent else response.status_code
        ms = round((self.clock.now() - started) * 1000, 1)
        self.log.call(Call(Direction.BOT_TO_SLACK, method, status, error, ms, started))


def _failure(response: Response) -> str | None:
    """Return the fault that a response shows, if any."""
    if isinstance(response, Dropped):
        return Fault.DROP.value
    if isinstance(response, Hanging):
        return Fault.HANG.value
    return Fault.SERVER_ERROR.value if response.status_code >= 500 else None
