"""What a channel missed from which the bot was removed now and then, and what it did not. Pure.

A change is recorded for all channels at once, except for those that the bot may not post in. From Slack alone, the time
of that is unknown: after the change, and before the first announcement. If the bot was in a channel all that time, that
channel must get the announcement as well, at once or when the bot is invited again.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.broadcasts import Broadcast
from tests.chaos.observer import Absence, Activity, Reply

AFTERMATH_SECONDS = 45.0
"""Sandbox seconds after an invitation in which an earlier rejection may still be taken for a response."""


@dataclass(frozen=True, slots=True)
class Presence:
    """When the bot was certainly in a channel, as far as one broadcast is concerned."""

    away: tuple[tuple[float, float], ...] = ()

    def throughout(self, began: float, ended: float) -> bool:
        """Return whether it was there all that time."""
        return not any(left < ended and began < back for left, back in self.away)


def presence_of(channel: str, broadcast: int, absences: Iterable[Absence], activities: Sequence[Activity]) -> Presence:
    """Return its presence, which begins again when it edits or posts: an invitation may have been missed."""
    seen = [each.at for each in activities if (each.channel, each.broadcast) == (channel, broadcast)]
    return Presence(
        tuple(
            (each.began, min((at for at in seen if at >= each.ended + AFTERMATH_SECONDS), default=math.inf))
            for each in absences
            if each.channel == channel
        )
    )


def expected_replies(elsewhere: Iterable[Reply], broadcast: Broadcast, there: Presence) -> list[Reply]:
    """Return the announcements in channels that get all, which are expected where the bot was `there`."""
    first: dict[tuple[str, int], Reply] = {}
    for each in sorted(elsewhere, key=lambda each: each.at):
        if each.broadcast == broadcast.number and each.move < len(broadcast.moves):
            first.setdefault((each.kind, each.move), each)
    return [each for each in first.values() if there.throughout(broadcast.moves[each.move].began, each.at)]
