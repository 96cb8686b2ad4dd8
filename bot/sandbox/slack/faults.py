"""What the sandbox was told to do wrong: to everybody from now on, or to the next calls of one method."""

from collections import Counter, deque
from enum import StrEnum

from bot.sandbox.slack.refusal import RateLimited, Refusal

RESPONSE_URL = "response_url"
STANDING_RETRY_AFTER = 1


class Fault(StrEnum):
    """How calls of the Web API and of response_urls end.

    RATE_LIMITED and SERVER_ERROR refuse; HANG takes the request, does nothing and never answers; DROP does the
    work and cuts the connection instead of answering, so that the bot cannot know.
    """

    NONE = "none"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    HANG = "hang"
    DROP = "drop"


class Faults:
    """The standing fault, and for each method the queue of planned refusals and the number of planned drops."""

    def __init__(self) -> None:
        self.standing = Fault.NONE
        self._planned: dict[str, deque[Refusal]] = {}
        self._drops: Counter[str] = Counter()

    def plan(self, method: str, refusal: Refusal, times: int) -> None:
        """Refuse the next `times` calls of `method`."""
        self._planned.setdefault(method, deque()).extend([refusal] * times)

    def plan_drop(self, method: str, times: int) -> None:
        """Do the work of the next `times` calls of `method`, and cut the connection instead of answering."""
        self._drops[method] += times

    def drops(self, method: str, done: bool) -> bool:
        """Whether the answer of a call of `method` gets lost; a planned drop waits for a call that was `done`."""
        if self.standing is Fault.DROP:
            return True
        planned = done and self._drops[method] > 0
        self._drops[method] -= planned
        return planned

    def check(self, method: str) -> None:
        """Let a call of `method` pass, or raise the Refusal that is planned for it."""
        if self.standing is Fault.RATE_LIMITED:
            raise RateLimited(STANDING_RETRY_AFTER)
        queue = self._planned.get(method)
        if queue:
            raise queue.popleft()
