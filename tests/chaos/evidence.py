"""What there is to judge, and what a judge says of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sandbox.slack import Message
from tests.chaos.broadcasts import Broadcast
from tests.chaos.observer import Absence, Edit, Sign, Told, Trouble

MISSING, TWICE, ORDER, UNTRUE, LATE = "missing", "twice", "out of order", "untrue", "late"
OVERTAKEN, FLIPPED = "overtaken", "flipped"


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong in one thread."""

    what: str
    channel: str
    broadcast: int
    why: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One place in which everything is followed."""

    id: str
    loud: bool = False
    quiet: bool = False
    closes: bool = False
    """The bot is sent away now and then: what is over when it comes back is not told."""
    leaves: bool = False
    """Meetings are unfollowed here now and then, and followed again."""

    @property
    def hears_all(self) -> bool:
        """Whether everything is told here."""
        return not (self.closes or self.leaves or self.quiet)


@dataclass(slots=True)
class Evidence:
    """All that is judged."""

    broadcasts: Sequence[Broadcast]
    channels: Sequence[Channel]
    told: Sequence[Told]
    troubles: Sequence[Trouble]
    grace: float
    deleted: Collection[str] = field(default_factory=set)
    """The cards and replies that somebody has deleted."""
    absences: Sequence[Absence] = ()
    signs: Sequence[Sign] = ()
    unconfirmed: Collection[str] = ()
    """The IDs of the messages whose answer did not reach the bot."""
    cards: Sequence[Message] = ()
    """Each as it was posted."""
    edits: Sequence[Edit] = ()
    calms: Sequence[float] = ()
    """When all was agreed."""
