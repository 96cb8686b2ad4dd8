"""What is there twice, and why it may be. Pure.

Slack documents no use of `client_msg_id`. Where it is not honoured, what is posted once more under the same ID is there
twice; a bot may do that only where it could not know of the first: Slack's answer did not arrive, or it was killed,
frozen or without its database before the answer was written down.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.observer import LIVES_ON_SECONDS, Trouble

MOST_COPIES = 4
"""After each post without an answer the bot waits longer, so that more than this in one trouble is no patience."""
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
    """A message that was there before; without a reason the bot had none to post it."""

    first: Posted
    again: Posted
    reason: str | None


def repetitions(
    posted: Iterable[Posted], unconfirmed: Collection[str], troubles: Sequence[Trouble]
) -> list[Repetition]:
    """Each message whose ID was there before, in the order of time."""
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
    """How often each message is there that is there more than once, by its ID."""
    counted = Counter(each.first.message_id or "" for each in found)
    return Counter({message_id: number + 1 for message_id, number in counted.items()})


def reason_not_to_know(
    first: Posted, again: Posted, unconfirmed: Collection[str], troubles: Sequence[Trouble]
) -> str | None:
    """Why the bot may not have known of the first when it posted the other, if there is a reason."""
    if first.message_id in unconfirmed:
        return UNCONFIRMED
    lost = any(each.began - LIVES_ON_SECONDS < first.at < each.ended and each.began < again.at for each in troubles)
    return LOST if lost else None
