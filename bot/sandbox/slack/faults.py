"""What the sandbox was told to do wrong: to everybody from now on, or to the next calls of one method."""

from collections import deque
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
    """The standing fault, and the queue of refusals planned for each method."""

    def __init__(self) -> None:
        self.standing = Fault.NONE
        self._planned: dict[str, deque[Refusal]] = {}

    def plan(self, method: str, refusal: Refusal, times: int) -> None:
        """Refuse the next `times` calls of `method`."""
        self._planned.setdefault(method, deque()).extend([refusal] * times)

    def check(self, method: str) -> None:
        """Let a call of `method` pass, or raise the Refusal that is planned for it."""
        if self.standing is Fault.RATE_LIMITED:
            raise RateLimited(STANDING_RETRY_AFTER)
        queue = self._planned.get(method)
        if queue:
            raise queue.popleft()
