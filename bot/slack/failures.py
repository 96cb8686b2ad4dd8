"""How long Slack has not done what this process asked of it, and when a code counts as permanent."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bot.clock import Clock
from bot.slack.errors import Later, Paced, Undelivered

LASTING_SECONDS = 180.0
"""What fails for so long is worth telling people."""
MAX_PLACES = 10_000

Place = tuple[str, str]
"""A channel, and the ts of the message to edit; "" for posts."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Calls in a row that failed."""

    code: str
    """The last one's."""
    first_at: float
    code_first_at: float
    """When this code came first, after another one or a success."""

    @property
    def since(self) -> datetime:
        """The time of the first."""
        return datetime.fromtimestamp(self.first_at, UTC)


class Failures:
    """The latest places where calls fail. A restart forgets them, which only gives Slack more time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._places: OrderedDict[Place, Failure] = OrderedDict()

    def note(self, place: Place, error: Undelivered) -> bool:
        """Note a failed call; whether its code has come for so long that it counts as permanent."""
        if not isinstance(error, Later) or isinstance(error, Paced):
            self.forget(place)
            return False
        now, known = self._clock.now(), self._places.pop(place, None)
        if known is None:
            known = Failure(error.code, now, now)
        elif known.code != error.code:
            known = replace(known, code=error.code, code_first_at=now)
        self._places[place] = known
        if len(self._places) > MAX_PLACES:
            self._places.popitem(last=False)
        is_permanent = error.permanent_after is not None and now - known.code_first_at >= error.permanent_after
        if is_permanent:
            self.forget(place)
        return is_permanent

    def forget(self, place: Place) -> None:
        """Note that Slack did what it was asked there, or never will."""
        self._places.pop(place, None)

    def lasting(self, channel: str) -> Failure | None:
        """Return the failure in a channel that lasts longest, if it has lasted for some minutes."""
        before = self._clock.now() - LASTING_SECONDS
        found = [failure for (where, _), failure in self._places.items() if where == channel]
        return min((each for each in found if each.first_at <= before), key=lambda each: each.first_at, default=None)
