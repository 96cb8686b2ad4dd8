"""The judge of the chaos finds what is wrong, and nothing else."""

from dataclasses import replace

import pytest

from sandbox.slack import Message
from tests.chaos.broadcasts import Broadcast, Move, State
from tests.chaos.checker import all_repetitions, demanded_after_absence, judged
from tests.chaos.evidence import FLIPPED, LATE, MISSING, ORDER, OVERTAKEN, TWICE, UNTRUE, Channel, Evidence
from tests.chaos.observer import Absence, Edit, Sign, Told, Trouble
from tests.chaos.repetitions import LOST, UNCONFIRMED

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


LOUD = [replace(each, loud=each.kind in ("live", "errored", "ended")) for each in RIGHT]


def whats_in_loud_channel(told: list[Told]) -> set[str]:
    heard = evidence(told)
    heard.channels = [Channel("C", loud=True)]
    return {each.what for each in judged(heard)}


@pytest.mark.parametrize("number", range(len(LOUD)))
def test_where_it_is_posted(number: int) -> None:
    """In a loud channel each of the three loud kinds is in the channel too, and nothing else is."""
    assert whats_in_loud_channel(LOUD) == set()

    wrong = replace(LOUD[number], loud=not LOUD[number].loud)
    assert UNTRUE in whats_in_loud_channel([*LOUD[:number], wrong, *LOUD[number + 1 :]])


def test_an_end_without_a_beginning_pings_no_channel() -> None:
    """Where the beginning was dropped as too late, the channel does not hear of the end; the thread does."""
    assert UNTRUE not in whats_in_loud_channel([replace(LOUD[-1], loud=False)])
    assert UNTRUE in whats_in_loud_channel([LOUD[-1]])


def test_an_end_in_the_thread_of_another_card() -> None:
    """The channel that knew of the beginning hears of the end, also where the card of that was deleted since."""
    told = [*LOUD[:-1], replace(LOUD[-1], thread="2.0")]
    asked, unasked = (
        loud_where_deleted("1.0", told),
        loud_where_deleted("1.0", [*told[:-1], replace(told[-1], loud=False)]),
    )
    assert judged(asked) == []
    assert whats_of(unasked) == {UNTRUE}
    assert UNTRUE in whats_of(loud_where_deleted("2.0", told))
    ended_before = replace(LOUD[-1], at=640.0)
    assert UNTRUE in whats_of(loud_where_deleted("1.0", [*LOUD[:-1], ended_before, told[-1]]))


def by_the_name_of_the_next_run(asked: Evidence) -> Evidence:
    ended, live = asked.told
    asked.told = [replace(ended, move=live.move), live]
    return asked


def test_an_end_that_the_next_run_brought_to_light() -> None:
    """It bears the name that the next run has, also where its beginning was too late to be told; else it is untrue."""
    assert whats_of(by_the_name_of_the_next_run(after_an_outage(105.0))) == set()
    assert UNTRUE in whats_of(by_the_name_of_the_next_run(after_an_outage(105.0, others=400.0)))
    assert UNTRUE in whats_of(by_the_name_of_the_next_run(after_an_outage(105.0, ended_at=700.0)))
    assert UNTRUE in whats_of(by_the_name_of_the_next_run(after_an_outage()))


def loud_where_deleted(card: str, told: list[Told]) -> Evidence:
    asked = evidence(told)
    asked.channels, asked.deleted = [Channel("C", loud=True)], {card}
    return asked


def after_an_outage(
    *looks: float, ended_at: float = 820.0, others: float | None = None, killed_at: float = 115.0
) -> Evidence:
    """Live from 100 on; the bot sees it at these times, and is then killed. It is well again from 800 on, when the
    next run is live, and tells the end of the first, of which it had told nothing."""
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 100, run=1), Move(2, State.OFF, 300, run=1)]
    moves.append(Move(3, State.LIVE, 500, run=2))
    seen = [(at, 1) for at in looks] + [(at, 3) for at in (800.0, 815.0, 830.0)]
    told = [Told(ended_at, "C", "50.0", "ended", 0, 1), Told(ended_at + 5, "C", "815.0", "live", 0, 3)]
    asked = Evidence(
        [Broadcast(0, "m", moves, seen)], [Channel("C")], told, [Trouble(killed_at, killed_at + 1)], grace=30
    )
    if others is not None:
        asked.broadcasts = [*asked.broadcasts, Broadcast(1, "n", MOVES[:1], [(others, 0)])]
    return asked


def whats_of(asked: Evidence) -> set[str]:
    return {each.what for each in judged(asked)}


def test_an_end_whose_beginning_was_too_late() -> None:
    """Where the bot was down for more than ten minutes, "is live" of what has ended is not told; the end is."""
    assert whats_of(after_an_outage(105.0)) == set()
    assert whats_of(after_an_outage(105.0, others=790.0)) == set()


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(after_an_outage(105.0, 290.0), id="well in between"),
        pytest.param(after_an_outage(105.0, others=400.0), id="well in between, with another broadcast"),
        pytest.param(after_an_outage(105.0, killed_at=230.0), id="lived on after it saw it"),
        pytest.param(after_an_outage(), id="seen by nobody"),
        pytest.param(after_an_outage(105.0, ended_at=700.0), id="within ten minutes"),
    ],
)
def test_an_end_whose_beginning_was_not_too_late(asked: Evidence) -> None:
    """An end without its beginning is found, where the bot was well in the ten minutes from when it saw that."""
    assert ORDER in whats_of(asked)


def told_when_it_was_over(
    *told: Told, shown: tuple[tuple[float, int], ...], elsewhere: float | None = None
) -> set[str]:
    """What is wrong in a loud channel where the error of move 5 and the end were told late, and all before in time;
    its card showed these moves at these times, and the end was told elsewhere then."""
    asked = evidence([*LOUD[:2], *told])
    asked.channels = [Channel("C", loud=True)]
    asked.edits = [Edit(at, "C", "1.0", 0, move, None) for at, move in shown]
    if elsewhere is not None:
        asked.told = [*asked.told, Told(elsewhere, "B", "1.0", "ended", 0, 7)]
    return {each.what for each in judged(asked)} - {MISSING}


def test_what_was_over_when_it_was_told_pings_no_channel() -> None:
    """An error of what has ended, or is live again, as its card shows by then, is in the thread only."""
    error, ended = replace(LOUD[2], at=750.0), replace(LOUD[4], at=760.0)
    quiet, the_end = replace(error, loud=False), ((650.0, 7),)
    assert told_when_it_was_over(quiet, ended, shown=the_end) == set()
    assert told_when_it_was_over(error, ended, shown=the_end) == set(), "the bot need not have known it yet"
    assert told_when_it_was_over(error, ended, shown=the_end, elsewhere=740.0) == set()
    assert told_when_it_was_over(error, ended, shown=the_end, elsewhere=660.0) == {UNTRUE}
    assert told_when_it_was_over(quiet, ended, shown=the_end, elsewhere=660.0) == set()
    assert told_when_it_was_over(quiet, ended, shown=((750.5, 7),)) == {UNTRUE}, "the card showed it afterwards"
    assert told_when_it_was_over(quiet, shown=the_end) == {UNTRUE}, "it was never told to have ended"
    assert told_when_it_was_over(replace(quiet, at=520.0), ended, shown=((510.0, 6),)) == set()
    assert told_when_it_was_over(replace(quiet, at=520.0), ended, shown=((410.0, 5),)) == {UNTRUE}
    assert told_when_it_was_over(replace(quiet, at=520.0), ended, shown=((510.0, 6), (515.0, 5))) == {UNTRUE}
    assert told_when_it_was_over(quiet, replace(ended, loud=False), shown=the_end) == {UNTRUE}


@pytest.mark.parametrize(
    ("told", "shown", "whats"),
    [
        pytest.param(Told(750.0, "C", "1.0", "live", 0, 6), 650.0, set(), id="over"),
        pytest.param(Told(620.0, "C", "1.0", "live", 0, 6), 615.0, {UNTRUE}, id="off the air, and not over"),
        pytest.param(Told(640.0, "C", "1.0", "live", 0, 6), 650.0, {UNTRUE}, id="over, and not shown"),
        pytest.param(Told(590.0, "C", "1.0", "live", 0, 2), 650.0, {UNTRUE}, id="live again"),
        pytest.param(Told(590.0, "C", "1.0", "live", 0, 2, loud=True), 650.0, set(), id="live again, and told so"),
    ],
)
def test_what_is_live_pings_the_channel_until_it_has_ended(told: Told, shown: float, whats: set[str]) -> None:
    """Neither an error in between nor a pause takes the ping away; the end does, once a card shows it."""
    asked = evidence([LOUD[0], told, replace(LOUD[4], at=760.0)])
    asked.channels = [Channel("C", loud=True)]
    asked.edits = [Edit(510.0, "C", "1.0", 0, 6, None), Edit(shown, "C", "1.0", 0, 7, None)]
    assert {each.what for each in judged(asked)} - {MISSING} == whats


def told_unawares(*, live_at: float = 108.0, loud: bool = False, killed_at: float = 115.0, **how: float) -> set[str]:
    """What is wrong in a loud channel where "is live" was told just before the kill, and the end after the outage."""
    asked = after_an_outage(105.0, killed_at=killed_at, **how)
    ended, live_again = asked.told
    asked.told = [Told(live_at, "C", "50.0", "live", 0, 1, loud=True), replace(ended, loud=loud)]
    asked.told = [*asked.told, replace(live_again, loud=True)]
    asked.channels = [Channel("C", loud=True)]
    return whats_of(asked)


def test_the_end_of_what_was_told_unawares() -> None:
    """The bot that died before it wrote down that "is live" was told may not know, and then pings nobody of the end.

    It knows where it lived on, or was well within ten minutes, and so could have told it again.
    """
    assert told_unawares() == told_unawares(loud=True) == set()
    assert told_unawares(killed_at=230.0) == {UNTRUE}
    assert told_unawares(others=400.0) == {UNTRUE}
    assert told_unawares(ended_at=700.0) == {UNTRUE}
    assert told_unawares(live_at=750.0) == {UNTRUE}


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


def of_a_repetition(at: float, *troubles: Trouble, unconfirmed: tuple[str, ...] = ()) -> Evidence:
    """What was told of the start is there again, under the same ID."""
    told = [replace(each, message_id=str(n)) for n, each in enumerate(RIGHT)]
    asked = evidence([told[0], replace(told[0], at=at), *told[1:]], *troubles)
    asked.unconfirmed = unconfirmed
    return asked


def test_a_repetition_has_a_reason() -> None:
    """The bot may post again what it had no answer to, or died before it wrote down; else it is there twice."""
    unconfirmed, killed = of_a_repetition(140, unconfirmed=("0",)), of_a_repetition(140, Trouble(106, 120))
    assert judged(unconfirmed) == []
    assert [each.reason for each in all_repetitions(unconfirmed)] == [UNCONFIRMED]
    assert not [each for each in judged(killed) if each.what == TWICE]
    assert [each.reason for each in all_repetitions(killed)] == [LOST]

    assert TWICE in {each.what for each in judged(of_a_repetition(140))}
    assert TWICE in {each.what for each in judged(of_a_repetition(140, unconfirmed=("1",)))}
    assert TWICE in {each.what for each in judged(of_a_repetition(140, Trouble(150, 160)))}


@pytest.mark.parametrize(("copies", "whats"), [(4, set()), (5, {TWICE})])
def test_too_many_copies(copies: int, whats: set[str]) -> None:
    """A post without an answer is repeated, and not again and again."""
    told = [replace(each, message_id=str(n)) for n, each in enumerate(RIGHT)]
    asked = evidence(sorted([*told, *(replace(told[0], at=110.0 + n) for n in range(copies - 1))], key=_at))
    asked.unconfirmed = ["0"]
    assert {each.what for each in judged(asked)} == whats


def _at(told: Told) -> float:
    return told.at


def card(ts: str, message_id: str | None = None) -> Message:
    return Message("C", ts, "bot", "Show 0.1 is starting", client_msg_id=message_id)


def test_a_card_that_is_there_twice_has_one_thread() -> None:
    """A card that was posted again without an answer goes on in the thread of the second; without need it is twice."""
    told = [replace(each, thread="2.0") for each in RIGHT[1:]]
    asked = evidence([RIGHT[0], *told])
    asked.cards, asked.unconfirmed = [card("1.0", "x"), card("2.0", "x")], ["x"]
    assert judged(asked) == []

    asked.unconfirmed = []
    assert {each.what for each in judged(asked)} == {TWICE}


NEXT_RUN = Move(8, State.LIVE, 700, run=3)


def of_two_runs(ended_at: float) -> Evidence:
    """The end of the one, and the beginning of the next at 705, each in its thread."""
    told = [*RIGHT[:4], replace(RIGHT[4], at=ended_at), Told(705, "C", "700.0", "live", 0, 8)]
    asked = evidence(sorted(told, key=lambda each: each.at))
    asked.broadcasts = [replace(asked.broadcasts[0], moves=[*MOVES, NEXT_RUN])]
    return asked


def test_the_ends_of_two_runs_by_one_name() -> None:
    """The end that the next run brought to light bears its name, as the end of that does; in one thread it is twice."""
    first, live, last = (
        Told(at, "C", "1.0", kind, 0, 6) for at, kind in ((507.0, "ended"), (510.0, "live"), (900.0, "ended"))
    )
    of_the_next = [replace(live, thread="510.0"), replace(last, thread="510.0")]
    assert TWICE not in whats([*RIGHT[:3], first, *of_the_next])
    assert TWICE in whats([*RIGHT[:3], first, *of_the_next, replace(last, at=901.0, thread="510.0")])


def told_by_the_name_of(*renamed: Move, told: int) -> set[str]:
    """What is wrong where move 2 was seen live, and "is live" bears the name of a later move."""
    moves = [*MOVES[:3], *renamed]
    asked = evidence([RIGHT[0], Told(260.0, "C", "1.0", "live", 0, told)])
    asked.broadcasts = [Broadcast(0, "m", moves, [(at, 2) for at in _looks(200.0, 250.0)])]
    return {each.what for each in judged(asked)}


def test_told_by_a_later_name() -> None:
    """What was renamed before it could be told is told by its new name; what was off the air in between is missing."""
    assert told_by_the_name_of(Move(3, State.LIVE, 250, run=1), told=3) == set()
    off, live_again = Move(3, State.OFF, 250, run=1), Move(4, State.LIVE, 255, run=1)
    assert told_by_the_name_of(off, live_again, told=4) == {MISSING}


def test_one_run_after_the_other() -> None:
    """The end of a run is told before the next one begins."""
    assert judged(of_two_runs(ended_at=650.0)) == []


def test_the_end_after_the_next_beginning() -> None:
    """Each thread is in order, and the threads are not."""
    assert {each.what for each in judged(of_two_runs(ended_at=710.0))} == {ORDER}


def of_a_run_between(state: State, pause: float, last_checked_at: float | None) -> Evidence:
    """Three runs, the second of which is told nothing of; before it the livestream was off the air for so long, and was
    looked at so far into that."""
    begins = [100.0, 600.0, 600 + pause, 1_500.0, 1_900.0]
    states = [State.LIVE, State.OFF, state, State.LIVE, State.OFF]
    moves = [Move(0, State.OFF, 0)]
    moves += [Move(n, *each) for n, each in enumerate(zip(states, begins, [1, 1, 2, 3, 3], strict=True), start=1)]
    looks = [(at, n) for n in (1, 3, 4, 5) for at in _looks(moves[n].began, moves[n].began + 300)]
    looks += [] if last_checked_at is None else [(600 + last_checked_at, 2)]
    told = [Told(105, "C", "1.0", "live", 0, 1), Told(1_950, "C", "1.0", "ended", 0, 5)]
    return Evidence([Broadcast(0, "m", moves, sorted(looks))], [Channel("C")], told, [], grace=30)


@pytest.mark.parametrize("last_checked_at", [3.0, None])
@pytest.mark.parametrize("state", [State.LIVE, State.ERRORED])
def test_a_whole_run_is_missing(state: State, last_checked_at: float | None) -> None:
    """Of one that began longer than a grace time after the one before something has to be told, also where nobody saw
    the end of that."""
    assert MISSING in {each.what for each in judged(of_a_run_between(state, 45, last_checked_at))}


@pytest.mark.parametrize("last_checked_at", [3.0, None])
def test_a_run_that_nobody_can_tell_from_the_one_before(last_checked_at: float | None) -> None:
    """Within the grace time it is the same broadcast, whatever Cloudflare calls it."""
    whys = [each.why for each in judged(of_a_run_between(State.LIVE, 30, last_checked_at))]
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


def came_back(told: list[Told], *absences: tuple[float, float], calms: tuple[float, ...] = ()) -> list[str]:
    """What is wrong with what was told in B, where the bot was away at times; elsewhere all is right."""
    asked = evidence([*RIGHT, *(replace(each, channel="B") for each in told)])
    asked.channels = [Channel("C"), Channel("B", closes=True)]
    asked.absences = [Absence("B", *each) for each in absences]
    asked.calms = calms
    return [each.what for each in judged(asked) if each.channel == "B"]


def test_what_is_over_is_not_told_after_a_return() -> None:
    """Away from before it was live until after the error: "is live" is untrue by then, "has an error" is not."""
    late_live, late_error = replace(RIGHT[1], at=460.0), replace(RIGHT[2], at=460.0)
    assert came_back([RIGHT[0], late_live], (150, 450)) == [UNTRUE]
    assert came_back([RIGHT[0], late_error], (150, 450)) == []
    assert UNTRUE not in came_back([RIGHT[0], late_live], (150, 250)), "nothing newer was there on the return"


def test_what_was_over_on_the_return_is_not_missed() -> None:
    """It was sent away just after "is live" was told elsewhere; on the return that was over."""
    rest = [replace(each, at=each.at) for each in RIGHT[2:]]
    assert MISSING not in came_back([RIGHT[0], *rest], (206, 450))
    assert MISSING in came_back([RIGHT[0], *rest])


def never_live(*kinds: tuple[str, int], away: float = 391.0, unconfirmed: tuple[str, ...] = ("x",)) -> list[str]:
    """What is wrong in B, where "is starting" was told in time under the ID x, and the end of it was not told.

    Elsewhere these were told after "is starting", and the end at 300. The bot was sent away at `away`.
    """
    states = {"live": State.LIVE, "errored": State.ERRORED}
    moves = [Move(0, State.OFF, 0), Move(1, State.STARTING, 100, run=1)]
    moves += [Move(number, states[kind], 110.0 * number, run=1) for kind, number in kinds]
    moves.append(Move(len(moves), State.OFF, 250, run=1))
    starting = Told(105, "C", "1.0", "starting", 0, 1)
    told = [starting, *(Told(110.0 * number + 5, "C", "1.0", kind, 0, number) for kind, number in kinds)]
    told.append(Told(300, "C", "1.0", "ended", 0, moves[-1].number))
    told.append(replace(starting, channel="B", message_id="x"))
    asked = Evidence([Broadcast(0, "m", moves, [])], [Channel("C"), Channel("B", closes=True)], told, [], grace=30)
    asked.absences, asked.unconfirmed = [Absence("B", away, away + 150)], unconfirmed
    return [each.why for each in judged(asked) if (each.channel, each.what) == ("B", MISSING)]


def test_the_end_of_what_the_bot_does_not_know_to_be_told() -> None:
    """It waited behind a beginning without an answer when the bot was sent away, which then knows of no beginning."""
    assert never_live() == []
    assert never_live(unconfirmed=()) != []
    assert never_live(away=555.0) == []
    assert never_live(away=565.0) != []
    assert any("ended" in why for why in never_live(("live", 2)))


def of_a_kill(
    *looks: float, kinds: tuple[tuple[str, int, float], ...], killed_at: float = 215.0, card_at: float | None = None
) -> list[str]:
    """What is wrong in B, where these were told; elsewhere "is live" was told at 207, just before the bot was killed.
    The card in B was posted then.

    It was live from 200 to 400, and the bot saw that at 205; from 830 on it is well.
    """
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 200, run=1), Move(2, State.OFF, 400, run=1)]
    seen = [(205.0, 1), *((at, 1) for at in looks), *((at, 2) for at in (830.0, 845.0, 865.0, 880.0))]
    elsewhere = [Told(207, "C", "1.0", "live", 0, 1), Told(866, "C", "1.0", "ended", 0, 2)]
    here = [Told(at, "B", "1.0", kind, 0, move) for kind, move, at in kinds]
    asked = Evidence([Broadcast(0, "m", moves, seen)], [], [*elsewhere, *here], [], grace=30)
    asked.troubles = [Trouble(killed_at, killed_at + 1)]
    asked.channels = [Channel("C"), Channel("B", closes=True)]
    if card_at is not None:
        asked.edits = [Edit(card_at, "B", str(card_at), 0, 1, None)]
    return [each.what for each in judged(asked) if each.channel == "B"]


def test_what_was_told_elsewhere_and_was_too_late_here() -> None:
    """Killed before it had told all channels, the bot owes the others the end only, if that was over ten minutes ago.

    Without that end, or if it was well again before, it owes the beginning. A channel that has no card of it by then
    is owed nothing.
    """
    ended = ("ended", 2, 866.0)
    assert of_a_kill(kinds=(ended,)) == of_a_kill(kinds=()) == []
    assert of_a_kill(kinds=(), card_at=208.0) == [MISSING, MISSING]
    assert of_a_kill(390.0, kinds=(ended,)) == [MISSING]
    assert of_a_kill(390.0, kinds=()) == [MISSING, MISSING]
    assert of_a_kill(kinds=(ended,), killed_at=340.0) == [MISSING]
    assert of_a_kill(kinds=(("live", 1, 850.0),)) == [MISSING]


def test_silent_at_a_calm() -> None:
    """In a calm the last word is how it is: something is missing where that is an end, or nothing."""
    away = (90.0, 195.0)
    live = replace(RIGHT[1], at=203.0)
    moves = [*MOVES[:3], Move(3, State.LIVE, 900, run=1)]
    for told, whats in (([live], []), ([], [MISSING])):
        asked = evidence([RIGHT[0], RIGHT[1], *(replace(each, channel="B") for each in told)])
        asked.broadcasts = [Broadcast(0, "m", moves, [])]
        asked.channels = [Channel("C"), Channel("B", closes=True)]
        asked.absences, asked.calms = [Absence("B", *away)], [1_000.0]
        assert [each.what for each in judged(asked) if each.channel == "B"] == whats


def test_follow_again_may_say_the_same_in_a_new_thread() -> None:
    """Where meetings are unfollowed and followed again, a new thread may begin as the old one ended; not the same."""
    again = Told(230, "C", "220.0", "live", 0, 2)
    for told, whats in (([*RIGHT[:2], again], set()), ([*RIGHT[:2], replace(again, thread="1.0")], {TWICE})):
        asked = evidence(told)
        asked.channels = [Channel("C", leaves=True)]
        assert {each.what for each in judged(asked)} == whats


def shown(*edits: tuple[float, int, str | None], rivals: int = 0) -> set[str]:
    asked = evidence(RIGHT)
    asked.broadcasts[0].rivals = rivals
    asked.edits = [Edit(at, "C", "1.0", 0, move, playback) for at, move, playback in edits]
    return {each.what for each in judged(asked)}


def test_an_older_edit_overtakes_a_newer_one() -> None:
    """For a while that can happen, for long it may not."""
    assert shown((200, 2, None), (650, 7, None), (660, 2, None), (700, 7, None)) == set()
    assert shown((200, 2, None), (650, 7, None), (660, 2, None), (2_500, 7, None)) == {OVERTAKEN}


def test_a_card_flips_between_two_livestreams() -> None:
    """A card that leads back to where it led before has flipped, once more than there were two at a time."""
    there_and_back = [(210.0, 2, "a"), (220.0, 2, "b"), (230.0, 2, "a")]
    assert shown(*there_and_back) == {FLIPPED}
    assert shown(*there_and_back, rivals=1) == set()
    assert shown(*there_and_back, (240.0, 2, "b"), rivals=1) == {FLIPPED}
    assert shown((210, 2, "a"), (220, 2, "b"), (230, 2, None), (240, 2, "c")) == set()


def test_another_session_without_a_pause_may_be_one_broadcast() -> None:
    """To those who watch nothing has ended, whether the bot says so or not."""
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 100, run=1), Move(2, State.LIVE, 300, run=2)]
    moves.append(Move(3, State.OFF, 500, run=2))
    looks = [(at, n) for n, began in ((1, 100.0), (2, 300.0), (3, 500.0)) for at in _looks(began, began + 200)]
    live, ended = Told(105, "C", "1.0", "live", 0, 1), Told(550, "C", "1.0", "ended", 0, 3)
    between = [Told(310, "C", "1.0", "ended", 0, 2), Told(312, "C", "311.0", "live", 0, 2)]
    for told in ([live, ended], [live, *between, replace(ended, thread="311.0")]):
        asked = Evidence([Broadcast(0, "m", moves, looks)], [Channel("C")], told, [], grace=30)
        assert judged(asked) == []
