"""What really happens to the livestreams, move by move, and the record of it.

Each move gives the livestream, and its meeting, a name with the number of the move in it. The bot puts the name in
everything that it announces, so each announcement shows which moment it is about.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from sandbox.realtimekit import AfterEnd, Livestream, RealtimeKit, Shape, Status


class State(StrEnum):
    """The state of a livestream, as the bot has to announce it."""

    OFF = "off"
    STARTING = "starting"
    LIVE = "live"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class Move:
    """A state of a livestream, from `began` in sandbox time until its next move."""

    number: int
    state: State
    began: float
    session: int = 0
    """The number of the meeting's current or last session."""


@dataclass(slots=True)
class Broadcast:
    """One meeting: its moves, and when Cloudflare reported which of them to the bot."""

    number: int
    meeting_id: str
    moves: list[Move] = field(default_factory=list)
    checks: list[tuple[float, int]] = field(default_factory=list)
    """The time of each response, and the number of the move that it was about."""
    listed: list[tuple[float, int]] = field(default_factory=list)
    """The same for lists of all livestreams, which confirm known states; anything new is checked once more."""
    asked: list[tuple[float, float]] = field(default_factory=list)
    """From when to when a person's command may have looked it up, which the bot does not record."""
    rivals: list[str] = field(default_factory=list)
    """The playback URLs of the second livestreams that were on air for a while. Cloudflare names no session of them."""

    @property
    def now(self) -> Move:
        """Return the current move."""
        return self.moves[-1]


_LATE_REASON_CHANCE = 0.5
_STATES = {Status.INVOKED: State.STARTING, Status.LIVE: State.LIVE, Status.ERRORED: State.ERRORED}


class Director:
    """Moves the livestreams, and records the moves."""

    def __init__(self, kit: RealtimeKit, rng: random.Random, meetings: int) -> None:
        self.late_reasons = False
        """Whether the reason of some errors comes later than the error, with `change`."""
        self._kit = kit
        self._rng = rng
        self.broadcasts = [Broadcast(n, self._new(n)) for n in range(meetings)]
        for each in self.broadcasts:
            each.moves.append(Move(0, State.OFF, kit.clock.now()))

    def _new(self, number: int) -> str:
        meeting_id = str(UUID(int=self._rng.getrandbits(128), version=4))
        return self._kit.add_meeting(label(number, 0), meeting_id).id

    def move(self, broadcast: Broadcast, roll: float) -> None:
        """Make one of the possible moves; `roll` between 0 and 1 chooses it."""
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
        """Request the next session."""
        self._record_move(broadcast, self._kit.start)

    def live(self, broadcast: Broadcast) -> None:
        """Go live: again, or in the next session."""
        self._record_move(broadcast, self._kit.go_live)

    def drop(self, broadcast: Broadcast) -> None:
        """Let the encoder lose its connection."""
        self._record_move(broadcast, self._kit.drop)

    def fail(self, broadcast: Broadcast) -> None:
        """Let the session fail."""
        late = self.late_reasons and self._rng.random() < _LATE_REASON_CHANCE
        reason = "" if late else reason_of(len(broadcast.moves))
        self._record_move(broadcast, lambda meeting_id: self._kit.fail(meeting_id, reason))

    def end(self, broadcast: Broadcast) -> None:
        """Let the host end the session."""
        after = self._rng.choice(list(AfterEnd))
        self._record_move(broadcast, lambda meeting_id: self._kit.end(meeting_id, after))

    def change(self, broadcast: Broadcast, roll: float) -> bool:
        """Change a live livestream but not its status, or give an error its reason; return whether it could.

        `roll` between 0 and 1 chooses name, playback URL, session, or the whole livestream.
        """
        if broadcast.now.state is State.ERRORED:
            self.give_reason(broadcast)
        elif broadcast.now.state is State.LIVE:
            changes = [self._rename, self._move_playback, self._restart, self._replace]
            changes[int(roll * len(changes))](broadcast)
        else:
            return False
        return True

    def give_reason(self, broadcast: Broadcast) -> None:
        """Give an error the reason that it may lack."""
        sessions = self._kit.meetings[broadcast.meeting_id].sessions
        if sessions and broadcast.now.state is State.ERRORED and not sessions[-1].err_message:
            self._kit.change_session(broadcast.meeting_id, err_message=reason_of(broadcast.now.number))

    def _rename(self, broadcast: Broadcast) -> None:
        self._record_move(broadcast, lambda _: None)

    def _move_playback(self, broadcast: Broadcast) -> None:
        url = f"https://customer-chaos.cloudflarestream.com/{self._rng.getrandbits(128):032x}/manifest/video.m3u8"
        self._kit.change_livestream(broadcast.meeting_id, playback_url=url)

    def _restart(self, broadcast: Broadcast) -> None:
        self._record_move(broadcast, self._kit.restart)

    def _replace(self, broadcast: Broadcast) -> None:
        self._record_move(broadcast, self._kit.replace_livestream)

    def add_rival(self, broadcast: Broadcast) -> Livestream | None:
        """Put a second livestream of the meeting on air; return None if the first is not live."""
        if broadcast.now.state is not State.LIVE or self._kit.meetings[broadcast.meeting_id].others:
            return None
        # A response with a single livestream would not show that the other one is still on air.
        self._kit.change(broadcast.meeting_id, shape=Shape.LIST)
        rival = self._kit.add_livestream(broadcast.meeting_id, name=label(broadcast.number, broadcast.now.number))
        broadcast.rivals.append(rival.playback_url or "")
        return rival

    def remove_rival(self, broadcast: Broadcast) -> None:
        """Remove the second livestream."""
        self._kit.change(broadcast.meeting_id, others=())

    def playbacks(self, broadcast: Broadcast) -> list[str]:
        """Return where it can be watched now: one URL, or two with two livestreams."""
        found = self._kit.meetings[broadcast.meeting_id].livestreams
        return [each.playback_url for each in found if each.status == Status.LIVE and each.playback_url]

    def _record_move(self, broadcast: Broadcast, act: Callable[[str], object]) -> None:
        """Act and record the move at once, with no response in between."""
        meeting_id, number = broadcast.meeting_id, len(broadcast.moves)
        before = self._session_of(meeting_id)
        act(meeting_id)
        if self._kit.meetings[meeting_id].others:
            self.remove_rival(broadcast)
        session = broadcast.now.session + (self._session_of(meeting_id) != before)
        name = label(broadcast.number, number)
        self._kit.change_livestream(meeting_id, name=name)
        meeting = self._kit.change(meeting_id, title=name)
        status = meeting.livestream.status if meeting.livestream else ""
        state = _STATES.get(Status(status), State.OFF)
        broadcast.moves.append(Move(number, state, self._kit.clock.now(), session))

    def _session_of(self, meeting_id: str) -> str | None:
        sessions = self._kit.meetings[meeting_id].sessions
        return sessions[-1].id if sessions else None


def reason_of(move: int) -> str:
    """Return the reason of an error in this move."""
    return f"fault {move}"


def label(broadcast: int, move: int) -> str:
    """Return the name from this move on."""
    return f"Show {broadcast}.{move}"
