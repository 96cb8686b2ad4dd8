"""How long the announcer's work may take, and how long it waits."""

from dataclasses import dataclass
from math import inf

from bot.store.due_cards import DueCard

EDIT_DEBOUNCE_SECONDS = 3.0
"""The minimum time between two edits of a card, unless an announcement is pending."""
DRAIN_SECONDS = 45.0
"""Longer than Slack may take to post, plus the database to record it."""
MAX_BACKOFF_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Timeouts and intervals, in seconds."""

    lease: float = 60.0
    """Longer than a call to Slack. If a step needs more, the lease is renewed first."""
    post: float = 30.0
    """How long Slack may take to post: the client's timeout for a post."""
    edit: float = 10.0
    """How long Slack may take to edit: the client's timeout for an edit."""
    edit_before_announcement: float = 3.0
    """The same while an announcement waits for the edit: if Slack is slow to edit, the announcement goes first."""
    between_edits: float = EDIT_DEBOUNCE_SECONDS
    unconfirmed: float = 60.0
    """The wait before a post that got no answer is repeated; it doubles each time."""
    rewrite: float = 1.0
    """The wait before writing a result again after the database failed."""
    report: float = 2.0
    """The wait before a posted card is reported again, while the next holder of the lease may be posting it too."""
    drain: float = DRAIN_SECONDS
    """How long the cards in progress have to finish when the bot stops."""

    def debounce(self, card: DueCard) -> float:
        """Return the seconds that the card's next edit has to wait.

        This compares times of the database's clock only: if this process's clock differed, edits would be delayed.
        """
        since = inf if card.rendered_at is None else card.claimed_at - card.rendered_at.timestamp()
        return self.between_edits - since if 0 <= since < self.between_edits else 0.0


def backoff(attempts: int, first: float = 2.0) -> float:
    """Return the seconds to wait after a failure that follows `attempts` others in a row."""
    return min(MAX_BACKOFF_SECONDS, first * 2.0 ** min(attempts, 10))
