"""How long it took until a change was told. Pure."""

from tests.chaos.broadcasts import Broadcast, State
from tests.chaos.observer import Told

LATEST_SECONDS = 1_800.0
"""Sandbox seconds, far more than any trouble and the patience after it: what is told later counts as wrong."""

TELLS = {
    State.STARTING: ("starting",),
    State.LIVE: ("live", "back"),
    State.ERRORED: ("errored",),
    State.OFF: ("ended",),
}
"""The sentences for a state."""


def silence(told: Told, broadcast: Broadcast) -> float:
    """Sandbox seconds from the change that is told; 0 where it is told by the name of a later one."""
    if told.move >= len(broadcast.moves):
        return 0.0
    move = broadcast.moves[told.move]
    return told.at - move.began if told.kind in TELLS[move.state] else 0.0
