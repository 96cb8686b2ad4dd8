"""Since when Slack has not done what a card asks of it: values that survive JSON, since they are kept with the card."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bot.slack.errors import Later

LASTING_SECONDS = 180.0
"""What fails for so long is worth telling people."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Calls in a row that failed. Times are epoch seconds of the database."""

    code: str
    """The last one's."""
    first_at: float
    code_first_at: float
    """When this code came first, after another one or a success."""

    @property
    def since(self) -> datetime:
        """The time of the first."""
        return datetime.fromtimestamp(self.first_at, UTC)


@dataclass(frozen=True, slots=True)
class Failures:
    """The failing calls of one card, by kind: a post that works says nothing of an edit."""

    by_call: Mapping[str, Failure]

    @staticmethod
    def from_dict(kept: Mapping[str, Any] | None) -> "Failures":
        """Return what `to_dict` made."""
        return Failures({call: Failure(**fields) for call, fields in (kept or {}).items()})

    def to_dict(self) -> dict[str, Any] | None:
        """Return the failures as JSON; None if there are none."""
        return {call: asdict(failure) for call, failure in self.by_call.items()} or None

    def noted(self, call: str, error: Later, now: float) -> "Failures":
        """Return them after one more call of this kind has failed."""
        known = self.by_call.get(call) or Failure(error.code, now, now)
        if known.code != error.code:
            known = replace(known, code=error.code, code_first_at=now)
        return Failures({**self.by_call, call: known})

    def without(self, call: str) -> "Failures":
        """Return them after Slack did what it was asked, or never will."""
        return Failures({each: failure for each, failure in self.by_call.items() if each != call})

    def is_permanent(self, call: str, error: Later, now: float) -> bool:
        """Return whether the code of the last failed call has come for so long that it counts as permanent."""
        if error.permanent_after is None:
            return False
        return now - self.by_call[call].code_first_at >= error.permanent_after

    def lasting(self, now: float) -> list[Failure]:
        """Return what has failed for some minutes."""
        return [failure for failure in self.by_call.values() if now - failure.first_at >= LASTING_SECONDS]
