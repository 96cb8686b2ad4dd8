"""The front of Slack's HTTP services: applies faults to each call, answers it and notes it in the log."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from bot.sandbox.clock import Clock
from bot.sandbox.slack.answers import Dropped, Hanging, server_error
from bot.sandbox.slack.faults import Fault, Faults
from bot.sandbox.slack.log import Call, Direction, Log
from bot.sandbox.slack.refusal import Refusal


@dataclass(frozen=True, slots=True)
class Front:
    faults: Faults
    log: Log
    clock: Clock

    def answer(self, method: str, work: Callable[[], Response], refuse: Callable[[Refusal], Response]) -> Response:
        """Do the work of a call unless a fault forbids it; `refuse` makes the answer of a Refusal."""
        started = self.clock.now()
        error: str | None = None
        silenced = self._silenced()
        try:
            self.faults.check(method)
            response = silenced or work()
        except Refusal as refusal:
            response, error = refuse(refusal), refusal.error
        if self.faults.drops(method, done=silenced is None and error is None):
            response = Dropped()
        self._note(method, response, _failure(response) or error, started)
        return response

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
    """The fault that shows in an answer, or in its absence."""
    if isinstance(response, Dropped):
        return Fault.DROP.value
    if isinstance(response, Hanging):
        return Fault.HANG.value
    return Fault.SERVER_ERROR.value if response.status_code >= 500 else None
