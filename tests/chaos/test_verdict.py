"""The judge of the chaos finds what is wrong, and nothing else."""

from dataclasses import replace

import pytest

from tests.chaos.broadcasts import Broadcast, Move, State
from tests.chaos.verdict import (
    LATE,
    MISSING,
    ORDER,
    TWICE,
    UNTRUE,
    Channel,
    Evidence,
    demanded_after_absence,
    judged,
)
from tests.chaos.witness import Absence, Sign, Told, Trouble

MOVES = [
    Move(0, State.OFF, 0),
    Move(1, State.STARTING, 100, run=1),
    Move(2, State.LIVE, 200, run=1),
    Move(3, State.OFF, 300, run=1),
    Move(4, State.LIVE, 310, run=1),
    Move(5, State.ERRORED, 400, run=1),
    Move(6, State.LIVE, 500, run=2),
    Move(7, State.OFF, 600, run=2),
]
KINDS = [("starting", 1), ("live", 2), ("errored", 5), ("back", 6), ("ended", 7)]
RIGHT = [Told(MOVES[move].began + (50 if kind == "ended" else 5), "C", "1.0", kind, 0, move) for kind, move in KINDS]


def evidence(told: list[Told], *troubles: Trouble) -> Evidence:
    ends = [move.began for move in MOVES[1:]] + [900.0]
    looks = [(at, move.number) for move, end in zip(MOVES, ends, strict=True) for at in _looks(move.began, end)]
    return Evidence([Broadcast(0, "m", MOVES, looks)], [Channel("C")], told, troubles, grace=30)


def _looks(began: float, end: float) -> list[float]:
    return [began + 5 + 15 * n for n in range(100) if began + 5 + 15 * n < end - 10]


def whats(told: list[Told]) -> set[str]:
    return {each.what for each in judged(evidence(told))}


def test_nothing_is_wrong() -> None:
    """What was told of everything, once, in order, is right; the short drop is in no sentence."""
    assert judged(evidence(RIGHT)) == []


@pytest.mark.parametrize("left_out", range(len(RIGHT)))
def test_missing(left_out: int) -> None:
    """Whichever is left out is missed."""
    assert MISSING in whats([each for n, each in enumerate(RIGHT) if n != left_out])


@pytest.mark.parametrize("repeated", range(len(RIGHT)))
def test_twice(repeated: int) -> None:
    """Whichever comes once more is found."""
    assert TWICE in whats([*RIGHT[: repeated + 1], *RIGHT[repeated:]])


@pytest.mark.parametrize("swapped", range(len(RIGHT) - 1))
def test_out_of_order(swapped: int) -> None:
    """Any two that change places are found."""
    told = [*RIGHT]
    told[swapped], told[swapped + 1] = told[swapped + 1], told[swapped]
    assert ORDER in whats(told)


@pytest.mark.parametrize("kind", ["starting", "live", "errored", "back", "ended"])
def test_untrue(kind: str) -> None:
    """What was not so then is found: here, of the time of the short drop, anything."""
    assert UNTRUE in whats([*RIGHT[:2], Told(305, "C", "1.0", kind, 0, 3), *RIGHT[2:]])


def test_told_before_it_was_so() -> None:
    """The end within the grace time is untrue."""
    assert UNTRUE in whats([*RIGHT[:4], replace(RIGHT[4], at=615.0)])


def test_in_another_thread() -> None:
    """One run has one thread."""
    assert ORDER in whats([*RIGHT[:4], replace(RIGHT[4], thread="2.0")])


def test_what_was_lost_with_the_bot() -> None:
    """What Cloudflare told a bot that was then killed need not be known."""
    killed = Trouble(95, 205)
    assert not [each for each in judged(evidence(RIGHT[1:], killed)) if each.what == MISSING]


def test_a_quiet_channel() -> None:
    """Nothing is told there."""
    asked = evidence(RIGHT)
    asked.channels = [Channel("C", quiet=True)]
    assert len(judged(asked)) == len(RIGHT)


def test_repetitions_are_counted_apart() -> None:
    """Where Slack takes the same twice, what has the same ID counts once."""
    told = [replace(each, message_id=str(n)) for n, each in enumerate(RIGHT)]
    asked = evidence([told[0], *told])
    asked.repeats = True
    assert judged(asked) == []


NEXT_RUN = Move(8, State.LIVE, 700, run=3)


def of_two_runs(ended_at: float) -> Evidence:
    """The end of the one, and the beginning of the next at 705, each in its thread."""
    told = [*RIGHT[:4], replace(RIGHT[4], at=ended_at), Told(705, "C", "700.0", "live", 0, 8)]
    asked = evidence(sorted(told, key=lambda each: each.at))
    asked.broadcasts = [replace(asked.broadcasts[0], moves=[*MOVES, NEXT_RUN])]
    return asked


def test_one_run_after_the_other() -> None:
    """The end of a run is told before the next one begins."""
    assert judged(of_two_runs(ended_at=650.0)) == []


def test_the_end_after_the_next_beginning() -> None:
    """Each thread is in order, and the threads are not."""
    assert {each.what for each in judged(of_two_runs(ended_at=710.0))} == {ORDER}


def of_a_run_between(state: State, pause: float, looked_at: float | None) -> Evidence:
    """Three runs, the second of which is told nothing of; before it the livestream was off the air for so long, and was
    looked at so far into that."""
    begins = [100.0, 600.0, 600 + pause, 1_500.0, 1_900.0]
    states = [State.LIVE, State.OFF, state, State.LIVE, State.OFF]
    moves = [Move(0, State.OFF, 0)]
    moves += [Move(n, *each) for n, each in enumerate(zip(states, begins, [1, 1, 2, 3, 3], strict=True), start=1)]
    looks = [(at, n) for n in (1, 3, 4, 5) for at in _looks(moves[n].began, moves[n].began + 300)]
    looks += [] if looked_at is None else [(600 + looked_at, 2)]
    told = [Told(105, "C", "1.0", "live", 0, 1), Told(1_950, "C", "1.0", "ended", 0, 5)]
    return Evidence([Broadcast(0, "m", moves, sorted(looks))], [Channel("C")], told, [], grace=30)


@pytest.mark.parametrize("looked_at", [3.0, None])
@pytest.mark.parametrize("state", [State.LIVE, State.ERRORED])
def test_a_whole_run_is_missing(state: State, looked_at: float | None) -> None:
    """Of one that began longer than a grace time after the one before something has to be told, also where nobody saw
    the end of that."""
    assert MISSING in {each.what for each in judged(of_a_run_between(state, 45, looked_at))}


@pytest.mark.parametrize("looked_at", [3.0, None])
def test_a_run_that_nobody_can_tell_from_the_one_before(looked_at: float | None) -> None:
    """Within the grace time it is the same broadcast, whatever Cloudflare calls it."""
    whys = [each.why for each in judged(of_a_run_between(State.LIVE, 30, looked_at))]
    assert not [why for why in whys if "move 3" in why]


def test_late() -> None:
    """Half an hour after the change, what is told is late."""
    assert whats([*RIGHT[:4], replace(RIGHT[4], at=2_390.0)]) == set()
    assert whats([*RIGHT[:4], replace(RIGHT[4], at=2_410.0)]) == {LATE}


def with_closing(told: list[Told], *signs: float) -> Evidence:
    """Everything is told elsewhere; from 190 to 250 the bot was away from where this is told."""
    asked = evidence([*RIGHT, *(replace(each, channel="B") for each in told)])
    asked.channels = [Channel("C"), Channel("B", closes=True)]
    asked.absences = [Absence("B", 190, 250)]
    asked.signs = [Sign(at, "B", 0) for at in signs]
    return asked


@pytest.mark.parametrize(("signs", "owed"), [((), [0]), ((255.0,), [0]), ((255.0, 350.0), [0, 2, 3, 4])])
def test_where_the_bot_was_sent_away(signs: tuple[float, ...], owed: list[int]) -> None:
    """It owes what was recorded before, and again when it has been seen at work a while after the invitation."""
    assert judged(with_closing([RIGHT[n] for n in owed], *signs)) == []
    for left_out in owed:
        told = [RIGHT[n] for n in owed if n != left_out]
        assert MISSING in {each.what for each in judged(with_closing(told, *signs))}
    assert demanded_after_absence(with_closing([], *signs)) == len(owed)
