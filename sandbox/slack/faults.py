"""The faults that the sandbox injects: for all calls, or for the next calls of one method."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from sandbox.slack.refusal import RateLimited, Refusal

RESPONSE_URL = "response_url"
ANY_METHOD = "*"
STANDING_RETRY_AFTER = 1

What = TypeVar("What")


class Fault(StrEnum):
    """The standing fault of Web API calls and response_urls.

    RATE_LIMITED and SERVER_ERROR refuse. HANG accepts the request, does nothing and never answers. DROP does the work
    and cuts the connection instead of answering, so that the bot cannot know the outcome.
    """

    NONE = "none"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    HANG = "hang"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Late:
    """A fault that delays a call's work or its answer by `seconds` of sandbox time.

    With `answers` the work is done at once and the answer is late. Without it the work is late and the client gets no
    answer: it waits until it gives up or, with `closes`, its connection is cut at once.
    """

    seconds: float
    answers: bool
    closes: bool = False


@dataclass(slots=True)
class _Plan(Generic[What]):
    """A fault planned for calls of a method about a channel or person (None: any); `left` is None if unlimited."""

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
    """The standing fault, and the faults planned for calls of a method, optionally about one channel or person."""

    def __init__(self) -> None:
        self.standing = Fault.NONE
        self._refusals: list[_Plan[Refusal]] = []
        self._late: list[_Plan[Late]] = []
        self._drops: Counter[str] = Counter()

    def plan(self, method: str, refusal: Refusal, times: int | None, about: str | None = None) -> None:
        """Refuse the next `times` calls of `method`; None: all until `clear`."""
        self._refusals.append(_Plan(method, about, refusal, times))

    def plan_late(self, method: str, late: Late, times: int | None, about: str | None = None) -> None:
        """Delay the next `times` calls of `method`; None: all until `clear`."""
        self._late.append(_Plan(method, about, late, times))

    def plan_drop(self, method: str, times: int) -> None:
        """Do the work of the next `times` calls of `method`, and cut the connection instead of answering."""
        self._drops[method] += times

    def clear(self, method: str = ANY_METHOD, about: str | None = None) -> None:
        """Cancel the faults planned for a method, or for a channel or person; by default, all."""

        def stays(plan: _Plan[What]) -> bool:
            return (method not in (ANY_METHOD, plan.method)) or (about not in (None, plan.about))

        self._refusals = [plan for plan in self._refusals if stays(plan)]
        self._late = [plan for plan in self._late if stays(plan)]
        if about is None:
            self._drops = Counter({} if method == ANY_METHOD else {**self._drops, method: 0})

    def drops(self, method: str, *, done: bool) -> bool:
        """Return whether to drop the answer to a call of `method`; planned drops need a call whose work was `done`."""
        if self.standing is Fault.DROP:
            return True
        planned = done and self._drops[method] > 0
        self._drops[method] -= planned
        return planned

    def check(self, method: str, about: Collection[str] = ()) -> None:
        """Raise the Refusal that is planned for a call of `method`, if any."""
        if self.standing is Fault.RATE_LIMITED:
            raise RateLimited(STANDING_RETRY_AFTER)
        refusal = _taken(self._refusals, method, about)
        if refusal is not None:
            raise refusal

    def late(self, method: str, about: Collection[str] = ()) -> Late | None:
        """Return the delay that is planned for a call of `method`, if any."""
        return _taken(self._late, method, about)


def _taken(plans: list[_Plan[What]], method: str, about: Collection[str]) -> What | None:
    """Return the first fault that fits a call, and remove used-up plans."""
    found = next((plan for plan in plans if plan.takes(method, about)), None)
    plans[:] = [plan for plan in plans if plan.left is None or plan.left > 0]
    return None if found is None else found.what
