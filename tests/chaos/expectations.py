"""What the bot certainly knows of a broadcast. Pure.

An honest judge may ask for what Cloudflare has told it while it was well, and then confirmed, and what it lived on
after. What was shorter it may have seen or not.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.chaos.broadcasts import Broadcast, Move, State
from tests.chaos.observer import LIVES_ON_SECONDS, Trouble

_REPAIR_SECONDS = 15 * 60.0
_ERROR_GRACE = 15.0
_CONFIRMED_SECONDS = 5.0
"""After a look that showed the end, another answer has to come, so that the look is over and written down."""


class Knowledge:
    """Of one broadcast; `grace` is in sandbox seconds."""

    def __init__(self, broadcast: Broadcast, troubles: Sequence[Trouble], grace: float) -> None:
        self._moves = broadcast.moves
        self._looks = broadcast.looks
        self._listed = broadcast.listed
        self._troubles = troubles
        self._grace = grace

    def looks(self) -> list[tuple[float, int]]:
        """The looks with no trouble in the way: when, and the number of the move that each saw."""
        return self._sure(self._looks)

    def states(self) -> list[Move]:
        """Seen, and confirmed by another look or by a list; off air, and twice a grace time apart, and once more if
        nobody looked for that long; in error, twice an error's grace period apart."""
        looks, confirmed = self._by_state(self.looks()), self._by_state(self._sure(self._listed))
        seen = []
        for first, times in looks.items():
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
        """Whether it was seen so long after the first time, with another answer after that."""
        return any(at - times[0] >= grace and last - at >= _CONFIRMED_SECONDS for at in times)

    def was_live_for(self, move: Move, seconds: float) -> bool:
        """Whether it was certainly seen live for so long by this move, without a pause; in one session or several."""
        first = move.number
        while first > 0 and self._moves[first - 1].state is State.LIVE:
            first -= 1
        times = [at for at, number in self.looks() if first <= number <= move.number]
        return bool(times) and self._lasted(times, times[-1], seconds)

    def may_be_one(self, earlier: Move, later: Move) -> bool:
        """Whether all from the one to the other may be one broadcast to those who watch, whatever Cloudflare calls it.

        A run is another one where it began longer than a grace time after the bot saw, or could have seen, that nothing
        was on air; after an error, longer than one takes to be mended.
        """
        return not any(
            self._is_certainly_next(number)
            for number in range(earlier.number + 1, later.number + 1)
            if self._moves[number].run > self._moves[number - 1].run
        )

    def _is_certainly_next(self, number: int) -> bool:
        began, before = self._moves[number].began, self._moves[number - 1]
        if self._moves[number].state is State.STARTING:
            return False  # which says as little as a pause does; what comes after it has the same run
        if before.state is State.LIVE:
            return False  # on air without a pause, be it in another session or livestream
        off = self._begins(before.number)
        seen = [at for at, which in self._looks if self._begins(which) == off]
        sure = [at for at, which in self.looks() if self._begins(which) == off]
        # What was seen in trouble may be known or not.
        since = min(sure, default=max(seen, default=self._moves[off].began))
        patience = _REPAIR_SECONDS if self._has_failed(before) else self._grace
        return began - since > patience + _CONFIRMED_SECONDS

    def _has_failed(self, move: Move) -> bool:
        """Whether what is off the air, or in error, has been in error since it was live."""
        moves = self._moves[: move.number + 1]
        while moves and moves[-1].state is not State.LIVE:
            if moves.pop().state is State.ERRORED:
                return True
        return False

    def _sure(self, answers: Iterable[tuple[float, int]]) -> list[tuple[float, int]]:
        return [
            (at, number)
            for at, number in answers
            if not any(each.began - LIVES_ON_SECONDS < at < each.ended for each in self._troubles)
        ]

    def _by_state(self, answers: Iterable[tuple[float, int]]) -> dict[int, list[float]]:
        """The times of answers by the first move of the state that they are about."""
        times: dict[int, list[float]] = defaultdict(list)
        for at, number in answers:
            times[self._begins(number)].append(at)
        return times

    def _begins(self, number: int) -> int:
        """The first of the moves in a row in which it was off the air; of any other, the move itself."""
        while number > 0 and self._moves[number].state is self._moves[number - 1].state is State.OFF:
            number -= 1
        return number

    def _lasts(self, number: int) -> int:
        while number + 1 < len(self._moves) and self._moves[number + 1].state is State.OFF:
            number += 1
        return number
