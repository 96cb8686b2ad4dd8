"""How cards went from one state to the next: an older one must not come back. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.chaos.evidence import FLIPPED, OVERTAKEN, Evidence, Violation
from tests.chaos.observer import Edit
from tests.chaos.quiet_periods import MAX_DELAY_SECONDS


def card_violations(evidence: Evidence) -> list[Violation]:
    """Return the cards that showed an older state for long after a newer one, and those that flipped."""
    found = []
    for edits in _by_card(evidence.edits):
        first = edits[0]
        if (seconds := longest_overtaken(edits)) > MAX_DELAY_SECONDS:
            why = f"the card {first.card} showed an older state for {seconds:.0f} seconds"
            found.append(Violation(OVERTAKEN, first.channel, first.broadcast, why))
        allowed = next(len(each.rivals) for each in evidence.broadcasts if each.number == first.broadcast)
        if (flips := flips_of(edits)) > allowed:
            why = f"the card {first.card} went back {flips} times to where it could be watched before"
            found.append(Violation(FLIPPED, first.channel, first.broadcast, why))
    return found


def _by_card(edits: Iterable[Edit]) -> list[list[Edit]]:
    cards: dict[tuple[str, str], list[Edit]] = defaultdict(list)
    for each in edits:
        cards[each.channel, each.card].append(each)
    return list(cards.values())


def longest_overtaken(edits: Sequence[Edit]) -> float:
    """Return the longest time that a card showed an earlier move than before, until it showed that again."""
    newest, since, longest = -1, None, 0.0
    for each in edits:
        if each.move < newest:
            since = each.at if since is None else since
            continue
        newest = each.move
        if since is not None:
            longest, since = max(longest, each.at - since), None
    return longest


def longest_of_all(evidence: Evidence) -> float:
    """Return the longest such time of all cards."""
    return max((longest_overtaken(edits) for edits in _by_card(evidence.edits)), default=0.0)


def flips_of(edits: Sequence[Edit]) -> int:
    """Return how often a card led back to an earlier playback URL."""
    seen: list[str] = []
    flips = 0
    for each in edits:
        if each.playback is None or (seen and seen[-1] == each.playback):
            continue
        flips += each.playback in seen
        seen.append(each.playback)
    return flips
