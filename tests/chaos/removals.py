"""What a channel missed from which the bot was sent away now and then, and what it did not. Pure.

What a look has found is recorded for all channels at once, but not for those that the bot may not post in. When that
was nobody knows who only sees Slack: after the change, and before the first channel was told. Where the bot was in a
channel all that time, that channel has to be told, too; at once, or when the bot is invited again.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.broadcasts import Broadcast
from tests.chaos.observer import Absence, Sign, Told

AFTERMATH_SECONDS = 45.0
"""Sandbox seconds after an invitation in which a refusal from before may still be taken for an answer."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """When the bot was certainly in a channel, as far as one broadcast goes."""

    away: tuple[tuple[float, float], ...] = ()

    def throughout(self, began: float, ended: float) -> bool:
        """Whether it was there all that time."""
        return not any(left < ended and began < back for left, back in self.away)


def attendance(channel: str, broadcast: int, absences: Iterable[Absence], signs: Sequence[Sign]) -> Attendance:
    """It is back not when it is invited, of which it may not have heard, but when it is seen to work at a card."""
    seen = [each.at for each in signs if (each.channel, each.broadcast) == (channel, broadcast)]
    return Attendance(
        tuple(
            (each.began, min((at for at in seen if at >= each.ended + AFTERMATH_SECONDS), default=math.inf))
            for each in absences
            if each.channel == channel
        )
    )


def owed(elsewhere: Iterable[Told], broadcast: Broadcast, there: Attendance) -> list[Told]:
    """What was told of the broadcast in a channel that is always open, and is to be told where the bot was `there`."""
    first: dict[tuple[str, int], Told] = {}
    for each in sorted(elsewhere, key=lambda each: each.at):
        if each.broadcast == broadcast.number and each.move < len(broadcast.moves):
            first.setdefault((each.kind, each.move), each)
    return [each for each in first.values() if there.throughout(broadcast.moves[each.move].began, each.at)]
