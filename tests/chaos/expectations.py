"""What the bot certainly knows of a broadcast. Pure.

The checker expects what Cloudflare reported while the bot worked, what was then confirmed, and what the bot survived.
The bot may have seen shorter states or not.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.chaos.broadcasts import Broadcast, Move, State
from tests.chaos.observer import MIN_SURVIVAL_SECONDS, Trouble

_REPAIR_SECONDS = 15 * 60.0
_ERROR_GRACE = 15.0
_CONFIRMED_SECONDS = 5.0
"""After a check that showed the end, another response has to come, so that the check is finished and recorded."""


class Expectations:
    """For one broadcast; `grace` is in sandbox seconds."""

    def __init__(self, broadcast: Broadcast, troubles: Sequence[Trouble], grace: float) -> None:
        self._moves = broadcast.moves
        self._checks = broadcast.checks
        self._listed = broadcast.listed
        self._asked = broadcast.asked
        self._troubles = troubles
        self._grace = grace

    def responses(self) -> list[tuple[float, int]]:
        """Return the responses that no trouble affected: the time, and the number of the move that each was about."""
        return self._sure(self._checks)

    def checks(self) -> list[tuple[float, int]]:
        """Return those that the bot has certainly recorded: a lookup for a person's command is no check."""
        return [
            (at, number)
            for at, number in self.responses()
            if not any(began <= at <= ended for began, ended in self._asked)
        ]

    def states(self) -> list[Move]:
        """Return the states that were seen for long enough.

        Confirmed by another check or by a list; off air twice a grace period apart, and once more after a gap
        that long; in error twice an error's grace period apart.
        """
        checks, confirmed = self._by_state(self.checks()), self._by_state(self._sure(self._listed))
        seen = []
        for first, times in checks.items():
            move, last = self._moves[first], max([*times, *confirmed[first]])
            if move.state is State.OFF:
                seen += [self._moves[self._lasts(first)]] if self._is_over(times, last) else []
            elif move.state is State.ERRORED:
                seen += [move] if self._lasted(times, last, min(self._grace, _ERROR_GRACE)) else []
            else:
                seen += [move] if last > times[0] else []
        return seen

    def _is_over(self, times: Sequence[float], last: float) -> bool:
        again = [at for at, before in zip(times[1:], times, strict=False) if at - before > self._grace]
        since = max(self._grace, again[0] - times[0] + _ERROR_GRACE) if again else self._grace
        return self._lasted(times, last, since)

    @staticmethod
    def _lasted(times: Sequence[float], last: float, grace: float) -> bool:
        """Return whether it was seen that long after the first time, with another response after that."""
        return any(at - times[0] >= grace and last - at >= _CONFIRMED_SECONDS for at in times)

    def was_live_for(self, move: Move, seconds: float) -> bool:
        """Return whether it was certainly seen live that long by this move, without a pause in any session."""
        first = move.number
        while first > 0 and self._moves[first - 1].state is State.LIVE:
            first -= 1
        times = [at for at, number in self.checks() if first <= number <= move.number]
        return bool(times) and self._lasted(times, times[-1], seconds)

    def may_be_one(self, earlier: Move, later: Move) -> bool:
        """Return whether all moves between the two may be one episode to viewers, whatever Cloudflare reports.

        A session begins another episode if it began longer than a grace period after the bot saw, or could
        have seen, that nothing was on air; after an error, longer than its recovery may take.
        """
        return not any(
            self._is_certainly_next(number)
            for number in range(earlier.number + 1, later.number + 1)
            if self._moves[number].session > self._moves[number - 1].session
        )

    def _is_certainly_next(self, number: int) -> bool:
        began, before = self._moves[number].began, self._moves[number - 1]
        if self._moves[number].state is State.STARTING:
            return False  # which means as little as a pause; what comes after it is in the same session
        if before.state is State.LIVE:
            return False  # on air without a pause, even if in another session or livestream
        off = self._begins(before.number)
        seen = [at for at, seen_number in self._checks if self._begins(seen_number) == off]
        sure = [at for at, seen_number in self.checks() if self._begins(seen_number) == off]
        # What was seen during trouble may be known or not.
        since = min(sure, default=max(seen, default=self._moves[off].began))
        wait = _REPAIR_SECONDS if self._has_failed(before) else self._grace
        return began - since > wait + _CONFIRMED_SECONDS

    def _has_failed(self, move: Move) -> bool:
        """Return whether it has been in error since it was last live."""
        moves = self._moves[: move.number + 1]
        while moves and moves[-1].state is not State.LIVE:
            if moves.pop().state is State.ERRORED:
                return True
        return False

    def _sure(self, answers: Iterable[tuple[float, int]]) -> list[tuple[float, int]]:
        return [
            (at, number)
            for at, number in answers
            if not any(each.began - MIN_SURVIVAL_SECONDS < at < each.ended for each in self._troubles)
        ]

    def _by_state(self, answers: Iterable[tuple[float, int]]) -> dict[int, list[float]]:
        """Return the times of responses by the first move of the state that they are about."""
        times: dict[int, list[float]] = defaultdict(list)
        for at, number in answers:
            times[self._begins(number)].append(at)
        return times

    def _begins(self, number: int) -> int:
        """Return the first of consecutive moves off air; of any other, the move itself."""
        while number > 0 and self._moves[number].state is self._moves[number - 1].state is State.OFF:
            number -= 1
        return number

    def _lasts(self, number: int) -> int:
        while number + 1 < len(self._moves) and self._moves[number + 1].state is State.OFF:
            number += 1
        return number
