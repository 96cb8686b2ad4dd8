"""What the sandbox was told to do wrong: to everybody from now on, or to the next calls of one method."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from bot.sandbox.slack.refusal import RateLimited, Refusal

RESPONSE_URL = "response_url"
ANY_METHOD = "*"
STANDING_RETRY_AFTER = 1

What = TypeVar("What")


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


@dataclass(frozen=True, slots=True)
class Late:
    """A call whose work, or whose answer, is late by `seconds` of sandbox time.

    Without `answers` the client gets no answer at all: it waits until it gives up, or, with `closes`, its connection
    is cut at once. The work is done `seconds` later in either case. With `answers` the work is done at once.
    """

    seconds: float
    answers: bool
    closes: bool = False


@dataclass(slots=True)
class _Plan(Generic[What]):
    """What happens to calls of a method about a channel or person (None: any); `left` is None without an end."""

    method: str
    about: str | None
    what: What
    left: int | None

    def takes(self, method: str, about: Collection[str]) -> bool:
        if self.method not in (method, ANY_METHOD) or (self.about is not None and self.about not in about):
            return False
        if self.left is None:
            return True
        self.left -= 1
        return self.left >= 0


class Faults:
    """The standing fault, and what is planned for calls of a method, about one channel or person if wanted."""

    def __init__(self) -> None:
        self.standing = Fault.NONE
        self._refusals: list[_Plan[Refusal]] = []
        self._late: list[_Plan[Late]] = []
        self._drops: Counter[str] = Counter()

    def plan(self, method: str, refusal: Refusal, times: int | None, about: str | None = None) -> None:
        """Refuse the next `times` calls of `method`; None: all of them until `clear`."""
        self._refusals.append(_Plan(method, about, refusal, times))

    def plan_late(self, method: str, late: Late, times: int | None, about: str | None = None) -> None:
        """Let the next `times` calls of `method` be late; None: all of them until `clear`."""
        self._late.append(_Plan(method, about, late, times))

    def plan_drop(self, method: str, times: int) -> None:
        """Do the work of the next `times` calls of `method`, and cut the connection instead of answering."""
        self._drops[method] += times

    def clear(self, method: str = ANY_METHOD, about: str | None = None) -> None:
        """Take back what is planned for a method, about a channel or person; by default, everything."""

        def stays(plan: _Plan[What]) -> bool:
            return (method not in (ANY_METHOD, plan.method)) or (about not in (None, plan.about))

        self._refusals = [plan for plan in self._refusals if stays(plan)]
        self._late = [plan for plan in self._late if stays(plan)]
        if about is None:
            self._drops = Counter({} if method == ANY_METHOD else {**self._drops, method: 0})

    def drops(self, method: str, done: bool) -> bool:
        """Whether the answer of a call of `method` gets lost; a planned drop waits for a call that was `done`."""
        if self.standing is Fault.DROP:
            return True
        planned = done and self._drops[method] > 0
        self._drops[method] -= planned
        return planned

    def check(self, method: str, about: Collection[str] = ()) -> None:
        """Let a call of `method` pass, or raise the Refusal that is planned for it."""
        if self.standing is Fault.RATE_LIMITED:
            raise RateLimited(STANDING_RETRY_AFTER)
        refusal = _taken(self._refusals, method, about)
        if refusal is not None:
            raise refusal

    def late(self, method: str, about: Collection[str] = ()) -> Late | None:
        """How a call of `method` is late, if that is planned."""
        return _taken(self._late, method, about)


def _taken(plans: list[_Plan[What]], method: str, about: Collection[str]) -> What | None:
    """The first plan that fits a call; what is used up is removed."""
    found = next((plan for plan in plans if plan.takes(method, about)), None)
    plans[:] = [plan for plan in plans if plan.left is None or plan.left > 0]
    return None if found is None else found.what
