"""The evidence that is checked, and the violations found in it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sandbox.slack import Message
from tests.chaos.broadcasts import Broadcast
from tests.chaos.observer import Absence, Activity, Edit, Reply, Trouble

MISSING, TWICE, ORDER, UNTRUE, LATE = "missing", "twice", "out of order", "untrue", "late"
OVERTAKEN, FLIPPED = "overtaken", "flipped"


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong in one thread."""

    kind: str
    channel: str
    broadcast: int
    why: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel in which everything is followed."""

    id: str
    loud: bool = False
    quiet: bool = False
    removes_bot: bool = False
    """The bot is removed now and then: what is over when it returns is not announced."""
    unfollows: bool = False
    """Meetings are unfollowed here now and then, and followed again."""

    @property
    def gets_all(self) -> bool:
        """Return whether every announcement must be posted here."""
        return not (self.removes_bot or self.unfollows or self.quiet)


@dataclass(slots=True)
class Evidence:
    """Everything that is checked."""

    broadcasts: Sequence[Broadcast]
    channels: Sequence[Channel]
    replies: Sequence[Reply]
    troubles: Sequence[Trouble]
    grace: float
    deleted: Collection[str] = field(default_factory=set)
    """The cards and replies that people have deleted."""
    absences: Sequence[Absence] = ()
    activities: Sequence[Activity] = ()
    unconfirmed: Collection[str] = ()
    """The IDs of the messages whose response did not reach the bot."""
    cards: Sequence[Message] = ()
    """Each as it was posted."""
    edits: Sequence[Edit] = ()
    calms: Sequence[float] = ()
    """When everything had settled."""
