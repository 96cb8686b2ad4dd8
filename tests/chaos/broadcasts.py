"""What really happens to the livestreams, move by move, and the book that is kept of it.

Each move gives the livestream, and its meeting, a name with the number of the move in it. The bot says the name with
all that it tells, so each of its sentences says of which moment it is.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from bot.sandbox.realtimekit import AfterEnd, RealtimeKit, Status


class State(StrEnum):
    """How a livestream is, as the bot is to tell it."""

    OFF = "off"
    STARTING = "starting"
    LIVE = "live"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class Move:
    """From `began` on, in sandbox time, a livestream was so, until its next move."""

    number: int
    state: State
    began: float
    run: int = 0
    """Which of the meeting's runs it is, or was last."""


@dataclass(slots=True)
class Broadcast:
    """One meeting: its moves, and when Cloudflare has told the bot of which of them."""

    number: int
    meeting_id: str
    moves: list[Move] = field(default_factory=list)
    looks: list[tuple[float, int]] = field(default_factory=list)
    """The time of an answer, and the number of the move that it was about."""
    listed: list[tuple[float, int]] = field(default_factory=list)
    """The same of lists of all livestreams, which confirm what is known: of what is not, the bot asks once more."""

    @property
    def now(self) -> Move:
        """How it is."""
        return self.moves[-1]


_STATES = {Status.INVOKED: State.STARTING, Status.LIVE: State.LIVE, Status.ERRORED: State.ERRORED}


class Director:
    """Moves the livestreams, and writes it down."""

    def __init__(self, kit: RealtimeKit, dice: random.Random, meetings: int) -> None:
        self._kit = kit
        self._dice = dice
        self.broadcasts = [Broadcast(n, self._new(n)) for n in range(meetings)]
        for each in self.broadcasts:
            each.moves.append(Move(0, State.OFF, kit.clock.now()))

    def _new(self, number: int) -> str:
        meeting_id = str(UUID(int=self._dice.getrandbits(128), version=4))
        return self._kit.add_meeting(label(number, 0), meeting_id).id

    def move(self, broadcast: Broadcast, roll: float) -> None:
        """Let one of the things happen that can happen to it now; `roll` between 0 and 1 says which."""
        kit, meeting = self._kit, self._kit.meetings[broadcast.meeting_id]
        if meeting.running and broadcast.now.state is State.OFF:
            moves = [self.live, self.live, self.live, self.end]
        elif broadcast.now.state is State.STARTING:
            moves = [self.live, self.live, self.live, self.end, self.fail]
        elif broadcast.now.state is State.LIVE:
            moves = [self.drop, self.drop, self.fail, self.end]
        elif kit.meetings[broadcast.meeting_id].sessions and broadcast.now.state is State.ERRORED:
            moves = [self.end, self.end, self.live, self.start]
        else:
            moves = [self.start, self.live]
        moves[int(roll * len(moves))](broadcast)

    def start(self, broadcast: Broadcast) -> None:
        """The next run is asked for."""
        self._moved(broadcast, self._kit.start)

    def live(self, broadcast: Broadcast) -> None:
        """On air: again, or in the next run."""
        self._moved(broadcast, self._kit.go_live)

    def drop(self, broadcast: Broadcast) -> None:
        """The encoder loses its connection."""
        self._moved(broadcast, self._kit.drop)

    def fail(self, broadcast: Broadcast) -> None:
        """The run breaks."""
        reason = f"fault {len(broadcast.moves)}"
        self._moved(broadcast, lambda meeting_id: self._kit.fail(meeting_id, reason))

    def end(self, broadcast: Broadcast) -> None:
        """The host ends the run."""
        after = self._dice.choice(list(AfterEnd))
        self._moved(broadcast, lambda meeting_id: self._kit.end(meeting_id, after))

    def _moved(self, broadcast: Broadcast, act: Callable[[str], object]) -> None:
        """In one go: nobody is answered in between."""
        meeting_id, number = broadcast.meeting_id, len(broadcast.moves)
        act(meeting_id)
        name = label(broadcast.number, number)
        self._kit.change_livestream(meeting_id, name=name)
        meeting = self._kit.change(meeting_id, title=name)
        status = meeting.livestream.status if meeting.livestream else ""
        state = _STATES.get(Status(status), State.OFF)
        broadcast.moves.append(Move(number, state, self._kit.clock.now(), len(meeting.sessions)))


def label(broadcast: int, move: int) -> str:
    """What it is called from this move on."""
    return f"Show {broadcast}.{move}"
