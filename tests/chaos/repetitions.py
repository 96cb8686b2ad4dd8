"""What was posted twice, and why it may be. Pure.

Slack documents no use of `client_msg_id`. Where it is ignored, a message posted again under the same ID appears twice.
A bot may do that only if it could not know of the first: Slack's response did not arrive, or the bot was killed, frozen
or without its database before it recorded the response.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.observer import MIN_SURVIVAL_SECONDS, Trouble

MAX_COPIES = 4
"""After each unconfirmed post the bot waits longer, so more copies than this in one trouble come too fast."""
UNCONFIRMED = "its answer did not arrive"
LOST = "killed, frozen or without a database before it was written down"


@dataclass(frozen=True, slots=True)
class Posted:
    """A message: when, where, and under which ID."""

    at: float
    channel: str
    ts: str
    message_id: str | None


@dataclass(frozen=True, slots=True)
class Repetition:
    """A message that was there before; without a reason, the repetition is a violation."""

    first: Posted
    again: Posted
    reason: str | None


def repetitions(
    posted: Iterable[Posted], unconfirmed: Collection[str], troubles: Sequence[Trouble]
) -> list[Repetition]:
    """Return each message whose ID was there before, in the order of time."""
    first: dict[str, Posted] = {}
    found = []
    for each in sorted(posted, key=lambda each: each.at):
        if each.message_id is None:
            continue
        before = first.setdefault(each.message_id, each)
        if before is not each:
            found.append(Repetition(before, each, reason_not_to_know(before, each, unconfirmed, troubles)))
    return found


def copies(found: Iterable[Repetition]) -> Counter[str]:
    """Return the number of copies of each repeated message, by its ID."""
    counted = Counter(each.first.message_id or "" for each in found)
    return Counter({message_id: number + 1 for message_id, number in counted.items()})


def reason_not_to_know(
    first: Posted, again: Posted, unconfirmed: Collection[str], troubles: Sequence[Trouble]
) -> str | None:
    """Return why the bot may not have known of the first when it posted the other, if there is a reason."""
    if first.message_id in unconfirmed:
        return UNCONFIRMED
    lost = any(each.began - MIN_SURVIVAL_SECONDS < first.at < each.ended and each.began < again.at for each in troubles)
    return LOST if lost else None
