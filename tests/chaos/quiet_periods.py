"""How long it took until a change was announced. Pure."""

from tests.chaos.broadcasts import Broadcast, State
from tests.chaos.observer import Reply

MAX_DELAY_SECONDS = 1_800.0
"""Sandbox seconds, far more than any trouble and the retries after it: a later announcement is a violation."""

REPLY_KINDS = {
    State.STARTING: ("starting",),
    State.LIVE: ("live", "back"),
    State.ERRORED: ("errored",),
    State.OFF: ("ended",),
}
"""The announcements for a state."""


def delay_of(reply: Reply, broadcast: Broadcast) -> float:
    """Return the sandbox seconds from the announced change; 0 if it was announced under the name of a later one."""
    if reply.move >= len(broadcast.moves):
        return 0.0
    move = broadcast.moves[reply.move]
    return reply.at - move.began if reply.kind in REPLY_KINDS[move.state] else 0.0
