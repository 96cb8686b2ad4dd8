"""A card's failing Slack calls, stored with the card as JSON."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

LASTING_SECONDS = 180.0
"""A failure that lasts this long is shown to people."""
MAX_RETRY_SECONDS = 24 * 3600.0
"""The longest wait before a call is repeated. If one seems to be longer, the clock was set back."""


class RetryableError(Protocol):
    """The part of a transient Slack error that decides how long to retry."""

    code: str

    @property
    def codes(self) -> AbstractSet[str]: ...

    @property
    def permanent_after(self) -> float | None: ...

    @property
    def rare_after(self) -> float | None: ...

    @property
    def retry_seconds(self) -> float | None: ...

    @property
    def max_retry_seconds(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """Consecutive failed calls of one kind. Times are epoch seconds on the database's clock."""

    code: str
    """The most recent call's error code."""
    first_at: float
    code_first_at: float
    """When this code first followed a different code or a success."""
    retry_at: float = 0.0
    """No earlier call has a chance, unless a person has changed something in Slack."""

    @property
    def since(self) -> datetime:
        """When the first of these calls failed."""
        return datetime.fromtimestamp(self.first_at, UTC)


@dataclass(frozen=True, slots=True)
class Failures:
    """A card's failing calls by kind, since posts may succeed while edits fail."""

    by_call: Mapping[str, Failure]

    @staticmethod
    def from_dict(stored: Mapping[str, Any] | None) -> "Failures":
        """Restore what `to_dict` returned."""
        return Failures({call: Failure(**fields) for call, fields in (stored or {}).items()})

    def to_dict(self) -> dict[str, Any] | None:
        """Return the failures as JSON; None if there are none."""
        return {call: asdict(failure) for call, failure in self.by_call.items()} or None

    def with_failure(self, call: str, error: RetryableError, now: float) -> "Failures":
        """Return a copy with one more failed call of this kind."""
        known = self.by_call.get(call) or Failure(error.code, now, now)
        if known.code != error.code:
            known = replace(known, code=error.code, code_first_at=now)
        wait = 0.0
        if error.max_retry_seconds is not None:
            # As long as the code has lasted, so that each wait doubles that time.
            wait = min(max(now - known.code_first_at, error.retry_seconds or 0.0), error.max_retry_seconds)
        return Failures({**self.by_call, call: replace(known, retry_at=now + wait)})

    def without(self, call: str) -> "Failures":
        """Return a copy without this kind of call."""
        return Failures({each: failure for each, failure in self.by_call.items() if each != call})

    def is_permanent(self, call: str, error: RetryableError, now: float) -> bool:
        """Return whether the last error has recurred for so long that it counts as permanent."""
        if error.permanent_after is None:
            return False
        return now - self.by_call[call].code_first_at >= error.permanent_after

    def is_rare(self, call: str, error: RetryableError, now: float) -> bool:
        """Return whether Slack has answered with this code for so long that retries should be rare.

        That never applies to a failed connection, which may work again at any moment.
        """
        if error.rare_after is None or error.code not in error.codes:
            return False
        return now - self.by_call[call].code_first_at >= error.rare_after

    def retry_in(self, now: float) -> float:
        """Return the seconds until all of these calls may be repeated; 0 if they may be now."""
        wait = max((failure.retry_at - now for failure in self.by_call.values()), default=0.0)
        return wait if 0.0 < wait <= MAX_RETRY_SECONDS else 0.0

    def without_wait(self) -> "Failures":
        """Return a copy whose calls may be repeated now."""
        return Failures({call: replace(failure, retry_at=0.0) for call, failure in self.by_call.items()})

    def lasting(self, now: float) -> list[Failure]:
        """Return the failures that have lasted at least LASTING_SECONDS."""
        return [failure for failure in self.by_call.values() if now - failure.first_at >= LASTING_SECONDS]
