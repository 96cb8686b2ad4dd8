"""The checker of the chaos test finds every violation, and nothing that is allowed."""

from dataclasses import replace

import pytest

from sandbox.slack import Message
from tests.chaos.broadcasts import Broadcast, Move, State
from tests.chaos.checker import all_repetitions, count_expected_after_absences, find_violations
from tests.chaos.evidence import FLIPPED, LATE, MISSING, ORDER, OVERTAKEN, TWICE, UNTRUE, Channel, Evidence
from tests.chaos.observer import Absence, Activity, Edit, Reply, Trouble
from tests.chaos.repetitions import LOST, UNCONFIRMED

MOVES = [
    Move(0, State.OFF, 0),
    Move(1, State.STARTING, 100, session=1),
    Move(2, State.LIVE, 200, session=1),
    Move(3, State.OFF, 300, session=1),
    Move(4, State.LIVE, 310, session=1),
    Move(5, State.ERRORED, 400, session=1),
    Move(6, State.LIVE, 500, session=2),
    Move(7, State.OFF, 600, session=2),
]
KINDS = [("starting", 1), ("live", 2), ("errored", 5), ("back", 6), ("ended", 7)]
RIGHT = [Reply(MOVES[move].began + (50 if kind == "ended" else 5), "C", "1.0", kind, 0, move) for kind, move in KINDS]


def make_evidence(replies: list[Reply], *troubles: Trouble) -> Evidence:
    ends = [move.began for move in MOVES[1:]] + [900.0]
    checks = [(at, move.number) for move, end in zip(MOVES, ends, strict=True) for at in check_times(move.began, end)]
    return Evidence([Broadcast(0, "m", MOVES, checks)], [Channel("C")], replies, troubles, grace=30)


def check_times(began: float, end: float) -> list[float]:
    return [began + 5 + 15 * n for n in range(100) if began + 5 + 15 * n < end - 10]


def kinds_in(replies: list[Reply]) -> set[str]:
    return {each.kind for each in find_violations(make_evidence(replies))}


def test_complete_ordered_announcements_are_no_violation() -> None:
    assert find_violations(make_evidence(RIGHT)) == []


@pytest.mark.parametrize("left_out", range(len(RIGHT)))
def test_each_omitted_announcement_is_missing(left_out: int) -> None:
    assert MISSING in kinds_in([each for n, each in enumerate(RIGHT) if n != left_out])


@pytest.mark.parametrize("repeated", range(len(RIGHT)))
def test_each_repeated_announcement_is_reported(repeated: int) -> None:
    assert TWICE in kinds_in([*RIGHT[: repeated + 1], *RIGHT[repeated:]])


@pytest.mark.parametrize("swapped", range(len(RIGHT) - 1))
def test_each_swapped_pair_is_out_of_order(swapped: int) -> None:
    replies = [*RIGHT]
    replies[swapped], replies[swapped + 1] = replies[swapped + 1], replies[swapped]
    assert ORDER in kinds_in(replies)


@pytest.mark.parametrize("kind", ["starting", "live", "errored", "back", "ended"])
def test_announcement_of_a_state_that_was_not_reached_is_untrue(kind: str) -> None:
    assert UNTRUE in kinds_in([*RIGHT[:2], Reply(305, "C", "1.0", kind, 0, 3), *RIGHT[2:]])


LOUD = [replace(each, loud=each.kind in ("live", "errored", "ended")) for each in RIGHT]


def kinds_in_loud_channel(replies: list[Reply]) -> set[str]:
    evidence = make_evidence(replies)
    evidence.channels = [Channel("C", loud=True)]
    return {each.kind for each in find_violations(evidence)}


@pytest.mark.parametrize("number", range(len(LOUD)))
def test_loud_channel_gets_exactly_the_three_loud_kinds(number: int) -> None:
    assert kinds_in_loud_channel(LOUD) == set()

    wrong = replace(LOUD[number], loud=not LOUD[number].loud)
    assert UNTRUE in kinds_in_loud_channel([*LOUD[:number], wrong, *LOUD[number + 1 :]])


def test_end_without_an_announced_beginning_is_not_broadcast() -> None:
    """Its beginning was dropped as too old; only the thread gets the end."""
    assert UNTRUE not in kinds_in_loud_channel([replace(LOUD[-1], loud=False)])
    assert UNTRUE in kinds_in_loud_channel([LOUD[-1]])


def test_end_is_broadcast_when_its_card_was_deleted_and_replaced() -> None:
    replies = [*LOUD[:-1], replace(LOUD[-1], thread="2.0")]
    evidence, unasked = (
        loud_where_deleted("1.0", replies),
        loud_where_deleted("1.0", [*replies[:-1], replace(replies[-1], loud=False)]),
    )
    assert find_violations(evidence) == []
    assert kinds_of(unasked) == {UNTRUE}
    assert UNTRUE in kinds_of(loud_where_deleted("2.0", replies))
    ended_before = replace(LOUD[-1], at=640.0)
    assert UNTRUE in kinds_of(loud_where_deleted("1.0", [*LOUD[:-1], ended_before, replies[-1]]))


def under_the_next_sessions_name(evidence: Evidence) -> Evidence:
    ended, live = evidence.replies
    evidence.replies = [replace(ended, move=live.move), live]
    return evidence


def test_end_found_with_the_next_session_has_that_sessions_name() -> None:
    """Also where the beginning of the next session was too old to be announced."""
    assert kinds_of(under_the_next_sessions_name(after_an_outage(105.0))) == set()
    assert UNTRUE in kinds_of(under_the_next_sessions_name(after_an_outage(105.0, others=400.0)))
    assert UNTRUE in kinds_of(under_the_next_sessions_name(after_an_outage(105.0, ended_at=700.0)))
    assert UNTRUE in kinds_of(under_the_next_sessions_name(after_an_outage()))


def loud_where_deleted(card: str, replies: list[Reply]) -> Evidence:
    evidence = make_evidence(replies)
    evidence.channels, evidence.deleted = [Channel("C", loud=True)], {card}
    return evidence


def after_an_outage(
    *checks: float, ended_at: float = 820.0, others: float | None = None, killed_at: float = 115.0
) -> Evidence:
    """Live from 100 on; the bot sees it at these times, and is then killed. It is well again from 800 on, when the
    next session is live, and announces the end of the first, without its beginning."""
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 100, session=1), Move(2, State.OFF, 300, session=1)]
    moves.append(Move(3, State.LIVE, 500, session=2))
    seen = [(at, 1) for at in checks] + [(at, 3) for at in (800.0, 815.0, 830.0)]
    replies = [
        Reply(ended_at, "C", "50.0", "ended", 0, 1),
        Reply(ended_at + 5, "C", "815.0", "live", 0, 3),
    ]
    evidence = Evidence(
        [Broadcast(0, "m", moves, seen)], [Channel("C")], replies, [Trouble(killed_at, killed_at + 1)], grace=30
    )
    if others is not None:
        evidence.broadcasts = [*evidence.broadcasts, Broadcast(1, "n", MOVES[:1], [(others, 0)])]
    return evidence


def kinds_of(evidence: Evidence) -> set[str]:
    return {each.kind for each in find_violations(evidence)}


def test_end_alone_is_allowed_after_ten_minutes_of_outage() -> None:
    assert kinds_of(after_an_outage(105.0)) == set()
    assert kinds_of(after_an_outage(105.0, others=790.0)) == set()


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param(after_an_outage(105.0, 290.0), id="working in between"),
        pytest.param(after_an_outage(105.0, others=400.0), id="working in between, with another broadcast"),
        pytest.param(after_an_outage(105.0, killed_at=230.0), id="survived after the check"),
        pytest.param(after_an_outage(), id="never checked"),
        pytest.param(after_an_outage(105.0, ended_at=700.0), id="within ten minutes"),
    ],
)
def test_end_alone_is_a_violation_when_a_bot_could_post_within_ten_minutes(evidence: Evidence) -> None:
    assert ORDER in kinds_of(evidence)


def kinds_when_announced_late(
    *replies: Reply, shown: tuple[tuple[float, int], ...], elsewhere: float | None = None
) -> set[str]:
    """Return the violations in a loud channel where the error of move 5 and the end were announced late.

    Its card showed these moves at these times; the end was announced elsewhere then.
    """
    evidence = make_evidence([*LOUD[:2], *replies])
    evidence.channels = [Channel("C", loud=True)]
    evidence.edits = [Edit(at, "C", "1.0", 0, move, None) for at, move in shown]
    if elsewhere is not None:
        evidence.replies = [*evidence.replies, Reply(elsewhere, "B", "1.0", "ended", 0, 7)]
    return {each.kind for each in find_violations(evidence)} - {MISSING}


def test_error_that_was_over_by_then_is_not_broadcast() -> None:
    error, ended = replace(LOUD[2], at=750.0), replace(LOUD[4], at=760.0)
    quiet, the_end = replace(error, loud=False), ((650.0, 7),)
    assert kinds_when_announced_late(quiet, ended, shown=the_end) == set()
    assert kinds_when_announced_late(error, ended, shown=the_end) == set(), "the bot need not have known it yet"
    assert kinds_when_announced_late(error, ended, shown=the_end, elsewhere=740.0) == set()
    assert kinds_when_announced_late(error, ended, shown=the_end, elsewhere=660.0) == {UNTRUE}
    assert kinds_when_announced_late(quiet, ended, shown=the_end, elsewhere=660.0) == set()
    assert kinds_when_announced_late(quiet, ended, shown=((750.5, 7),)) == {UNTRUE}, "the card showed it afterwards"
    assert kinds_when_announced_late(quiet, shown=the_end) == {UNTRUE}, "the end was never announced"
    assert kinds_when_announced_late(replace(quiet, at=520.0), ended, shown=((510.0, 6),)) == set()
    assert kinds_when_announced_late(replace(quiet, at=520.0), ended, shown=((410.0, 5),)) == {UNTRUE}
    assert kinds_when_announced_late(replace(quiet, at=520.0), ended, shown=((510.0, 6), (515.0, 5))) == {UNTRUE}
    assert kinds_when_announced_late(quiet, replace(ended, loud=False), shown=the_end) == {UNTRUE}


@pytest.mark.parametrize(
    ("reply", "shown", "kinds"),
    [
        pytest.param(Reply(750.0, "C", "1.0", "live", 0, 6), 650.0, set(), id="over"),
        pytest.param(Reply(620.0, "C", "1.0", "live", 0, 6), 615.0, {UNTRUE}, id="off air, and not over"),
        pytest.param(Reply(640.0, "C", "1.0", "live", 0, 6), 650.0, {UNTRUE}, id="over, and not shown"),
        pytest.param(Reply(590.0, "C", "1.0", "live", 0, 2), 650.0, {UNTRUE}, id="live again"),
        pytest.param(Reply(590.0, "C", "1.0", "live", 0, 2, loud=True), 650.0, set(), id="live again, and broadcast"),
    ],
)
def test_live_announcement_is_broadcast_until_a_card_shows_the_end(reply: Reply, shown: float, kinds: set[str]) -> None:
    """Neither an error nor a pause in between changes that."""
    evidence = make_evidence([LOUD[0], reply, replace(LOUD[4], at=760.0)])
    evidence.channels = [Channel("C", loud=True)]
    evidence.edits = [Edit(510.0, "C", "1.0", 0, 6, None), Edit(shown, "C", "1.0", 0, 7, None)]
    assert {each.kind for each in find_violations(evidence)} - {MISSING} == kinds


def kinds_after_an_unrecorded_post(
    *, live_at: float = 108.0, loud: bool = False, killed_at: float = 115.0, named_before: bool = False, **how: float
) -> set[str]:
    """Return the violations of a loud channel with "is live" just before the kill, and the end after the outage.

    `named_before`: the end of the session before was found with this one, and has its name.
    """
    evidence = after_an_outage(105.0, killed_at=killed_at, **how)
    ended, live_again = evidence.replies
    evidence.replies = [Reply(live_at, "C", "50.0", "live", 0, 1, loud=True), replace(ended, loud=loud)]
    evidence.replies = [*evidence.replies, replace(live_again, loud=True)]
    if named_before:
        evidence.broadcasts[0].moves[0] = Move(0, State.LIVE, 0)
        earlier = [Reply(5.0, "C", "4.0", "live", 0, 0, loud=True), Reply(106.0, "C", "4.0", "ended", 0, 1, loud=True)]
        evidence.replies = [*earlier, *evidence.replies]
    evidence.channels = [Channel("C", loud=True)]
    return kinds_of(evidence)


def test_end_may_skip_the_channel_when_the_bot_died_before_recording_its_beginning() -> None:
    """A bot that survived, or recovered within ten minutes, would have known of it."""
    assert kinds_after_an_unrecorded_post() == kinds_after_an_unrecorded_post(loud=True) == set()
    assert kinds_after_an_unrecorded_post(killed_at=230.0) == {UNTRUE}
    assert kinds_after_an_unrecorded_post(others=400.0) == {UNTRUE}
    assert kinds_after_an_unrecorded_post(ended_at=700.0) == {UNTRUE}
    assert kinds_after_an_unrecorded_post(live_at=750.0) == {UNTRUE}


def test_the_same_holds_when_the_end_before_has_the_name_of_that_beginning() -> None:
    assert kinds_after_an_unrecorded_post(named_before=True) == set()
    assert kinds_after_an_unrecorded_post(named_before=True, killed_at=230.0) == {UNTRUE}
    assert kinds_after_an_unrecorded_post(named_before=True, others=400.0) == {UNTRUE}
    assert kinds_after_an_unrecorded_post(named_before=True, ended_at=705.0) == {UNTRUE}


def kinds_after_an_unrecorded_thread(
    *kinds: str, killed_at: float = 115.0, others: float | None = None, live: tuple[float, ...] = (), session: int = 2
) -> set[str]:
    """Return the violations where a thread got these replies just before a kill, and no end.

    The error of move 1 is over at 300, or the livestream live from 790 to 820, which the bot checks at `live`. The
    bot works again from 800 on, and "is live" is announced in the next thread, of that session.
    """
    moves = [Move(0, State.OFF, 0), Move(1, State.ERRORED, 100, session=1)]
    moves += [Move(2, State.LIVE, 790, session=1)] if live else []
    moves += [Move(len(moves), State.OFF, 820 if live else 300, session=1)]
    off, next_live = moves[-1].number, Move(len(moves), State.LIVE, 1_000, session=session)
    checks = [(105.0, 1), *((at, 2) for at in live), *((at, off) for at in (825.0, 840.0, 856.0, 870.0))]
    checks += [(at, next_live.number) for at in (1_005.0, 1_020.0)]
    replies = [Reply(108.0 + n, "C", "106.0", kind, 0, 1) for n, kind in enumerate(kinds)]
    replies.append(Reply(1_010, "C", "1007.0", "live", 0, next_live.number))
    evidence = Evidence(
        [Broadcast(0, "m", [*moves, next_live], checks)],
        [Channel("C")],
        replies,
        [Trouble(killed_at, killed_at + 1)],
        grace=30,
    )
    if others is not None:
        evidence.broadcasts = [*evidence.broadcasts, Broadcast(1, "n", MOVES[:1], [(others, 0)])]
    return kinds_of(evidence)


def test_thread_may_lack_an_end_when_the_bot_died_before_recording_any_of_it() -> None:
    """Not if the bot survived, worked again within ten minutes, or knew that it was live, or in the same session."""
    assert kinds_after_an_unrecorded_thread("errored") == set()
    assert kinds_after_an_unrecorded_thread("errored", killed_at=230.0) == {ORDER, MISSING}
    assert kinds_after_an_unrecorded_thread("errored", others=400.0) == {ORDER, MISSING}
    assert kinds_after_an_unrecorded_thread("errored", live=(800.0, 810.0)) == {ORDER, MISSING}
    assert kinds_after_an_unrecorded_thread("errored", session=1) == {ORDER, MISSING}
    assert ORDER in kinds_after_an_unrecorded_thread("live")
    assert ORDER in kinds_after_an_unrecorded_thread("errored", "back")


def test_end_within_the_grace_period_is_untrue() -> None:
    assert UNTRUE in kinds_in([*RIGHT[:4], replace(RIGHT[4], at=615.0)])


def test_episode_in_two_threads_is_out_of_order() -> None:
    assert ORDER in kinds_in([*RIGHT[:4], replace(RIGHT[4], thread="2.0")])


def test_state_seen_by_a_killed_bot_may_be_missing() -> None:
    killed = Trouble(95, 205)
    assert not [each for each in find_violations(make_evidence(RIGHT[1:], killed)) if each.kind == MISSING]


def test_announcement_in_a_quiet_channel_is_a_violation() -> None:
    evidence = make_evidence(RIGHT)
    evidence.channels = [Channel("C", quiet=True)]
    assert len(find_violations(evidence)) == len(RIGHT)


def with_a_repetition(at: float, *troubles: Trouble, unconfirmed: tuple[str, ...] = ()) -> Evidence:
    """Return evidence in which the first announcement appears again, under the same ID."""
    replies = [replace(each, message_id=str(n)) for n, each in enumerate(RIGHT)]
    evidence = make_evidence([replies[0], replace(replies[0], at=at), *replies[1:]], *troubles)
    evidence.unconfirmed = unconfirmed
    return evidence


def test_repetition_is_allowed_only_when_the_first_post_may_be_unknown() -> None:
    """The response did not arrive, or the bot died before it recorded the post."""
    unconfirmed, killed = with_a_repetition(140, unconfirmed=("0",)), with_a_repetition(140, Trouble(106, 120))
    assert find_violations(unconfirmed) == []
    assert [each.reason for each in all_repetitions(unconfirmed)] == [UNCONFIRMED]
    assert not [each for each in find_violations(killed) if each.kind == TWICE]
    assert [each.reason for each in all_repetitions(killed)] == [LOST]

    assert TWICE in {each.kind for each in find_violations(with_a_repetition(140))}
    assert TWICE in {each.kind for each in find_violations(with_a_repetition(140, unconfirmed=("1",)))}
    assert TWICE in {each.kind for each in find_violations(with_a_repetition(140, Trouble(150, 160)))}


@pytest.mark.parametrize(("copies", "kinds"), [(4, set()), (5, {TWICE})])
def test_fifth_copy_of_an_unconfirmed_post_is_a_violation(copies: int, kinds: set[str]) -> None:
    replies = [replace(each, message_id=str(n)) for n, each in enumerate(RIGHT)]
    evidence = make_evidence(
        sorted([*replies, *(replace(replies[0], at=110.0 + n) for n in range(copies - 1))], key=_at)
    )
    evidence.unconfirmed = ["0"]
    assert {each.kind for each in find_violations(evidence)} == kinds


def _at(reply: Reply) -> float:
    return reply.at


def card(ts: str, message_id: str | None = None) -> Message:
    return Message("C", ts, "bot", "Show 0.1 is starting", client_msg_id=message_id)


def test_threads_of_a_repeated_unconfirmed_card_count_as_one() -> None:
    replies = [replace(each, thread="2.0") for each in RIGHT[1:]]
    evidence = make_evidence([RIGHT[0], *replies])
    evidence.cards, evidence.unconfirmed = [card("1.0", "x"), card("2.0", "x")], ["x"]
    assert find_violations(evidence) == []

    evidence.unconfirmed = []
    assert {each.kind for each in find_violations(evidence)} == {TWICE}


def kinds_after_a_lookup(*asked: tuple[float, float], checks: tuple[float, ...] = (105.0,)) -> set[str]:
    """Return the violations where nothing was announced of what was live from 100 to 120, which a list confirmed."""
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 100, session=1), Move(2, State.OFF, 120, session=1)]
    broadcast = Broadcast(0, "m", moves, [(at, 1) for at in checks], [(115.0, 1)], asked=list(asked))
    return kinds_of(Evidence([broadcast], [Channel("C")], [], [], grace=30))


def test_lookup_for_a_person_is_no_check() -> None:
    assert kinds_after_a_lookup((101.0, 107.0)) == set()
    assert kinds_after_a_lookup((101.0, 104.0)) == kinds_after_a_lookup((106.0, 109.0)) == {MISSING}
    assert kinds_after_a_lookup((101.0, 107.0), checks=(105.0, 110.0)) == {MISSING}


NEXT_RUN = Move(8, State.LIVE, 700, session=3)


def with_two_sessions(ended_at: float) -> Evidence:
    """Return evidence of the end of the first, and the start of the next at 705, each in its thread."""
    replies = [*RIGHT[:4], replace(RIGHT[4], at=ended_at), Reply(705, "C", "700.0", "live", 0, 8)]
    evidence = make_evidence(sorted(replies, key=lambda each: each.at))
    evidence.broadcasts = [replace(evidence.broadcasts[0], moves=[*MOVES, NEXT_RUN])]
    return evidence


def test_ends_of_two_sessions_under_one_name_need_two_threads() -> None:
    first, live, last = (
        Reply(at, "C", "1.0", kind, 0, 6) for at, kind in ((507.0, "ended"), (510.0, "live"), (900.0, "ended"))
    )
    of_the_next = [replace(live, thread="510.0"), replace(last, thread="510.0")]
    assert TWICE not in kinds_in([*RIGHT[:3], first, *of_the_next])
    assert TWICE in kinds_in([*RIGHT[:3], first, *of_the_next, replace(last, at=901.0, thread="510.0")])


def kinds_under_the_name_of(*renamed: Move, replies: int) -> set[str]:
    """Return the violations where move 2 was seen live, and "is live" has the name of a later move."""
    moves = [*MOVES[:3], *renamed]
    evidence = make_evidence([RIGHT[0], Reply(260.0, "C", "1.0", "live", 0, replies)])
    evidence.broadcasts = [Broadcast(0, "m", moves, [(at, 2) for at in check_times(200.0, 250.0)])]
    return {each.kind for each in find_violations(evidence)}


def test_renamed_livestream_may_be_announced_under_its_new_name() -> None:
    """Not if it was off air in between."""
    assert kinds_under_the_name_of(Move(3, State.LIVE, 250, session=1), replies=3) == set()
    off, live_again = Move(3, State.OFF, 250, session=1), Move(4, State.LIVE, 255, session=1)
    assert kinds_under_the_name_of(off, live_again, replies=4) == {MISSING}


def test_end_before_the_next_start_is_in_order() -> None:
    assert find_violations(with_two_sessions(ended_at=650.0)) == []


def test_end_after_the_next_start_is_out_of_order() -> None:
    assert {each.kind for each in find_violations(with_two_sessions(ended_at=710.0))} == {ORDER}


def with_an_unannounced_session(state: State, pause: float, last_checked_at: float | None) -> Evidence:
    """Three sessions, the second of them unannounced.

    Before it the livestream was off air for `pause` seconds, and was last checked that far into the pause.
    """
    begins = [100.0, 600.0, 600 + pause, 1_500.0, 1_900.0]
    states = [State.LIVE, State.OFF, state, State.LIVE, State.OFF]
    moves = [Move(0, State.OFF, 0)]
    moves += [Move(n, *each) for n, each in enumerate(zip(states, begins, [1, 1, 2, 3, 3], strict=True), start=1)]
    checks = [(at, n) for n in (1, 3, 4, 5) for at in check_times(moves[n].began, moves[n].began + 300)]
    checks += [] if last_checked_at is None else [(600 + last_checked_at, 2)]
    replies = [Reply(105, "C", "1.0", "live", 0, 1), Reply(1_950, "C", "1.0", "ended", 0, 5)]
    return Evidence([Broadcast(0, "m", moves, sorted(checks))], [Channel("C")], replies, [], grace=30)


@pytest.mark.parametrize("last_checked_at", [3.0, None])
@pytest.mark.parametrize("state", [State.LIVE, State.ERRORED])
def test_session_after_more_than_a_grace_period_must_be_announced(state: State, last_checked_at: float | None) -> None:
    """Also when no check saw the end of the session before it."""
    assert MISSING in {each.kind for each in find_violations(with_an_unannounced_session(state, 45, last_checked_at))}


@pytest.mark.parametrize("last_checked_at", [3.0, None])
def test_session_within_the_grace_period_belongs_to_the_same_episode(last_checked_at: float | None) -> None:
    whys = [each.why for each in find_violations(with_an_unannounced_session(State.LIVE, 30, last_checked_at))]
    assert not [why for why in whys if "move 3" in why]


def test_announcement_after_half_an_hour_is_late() -> None:
    assert kinds_in([*RIGHT[:4], replace(RIGHT[4], at=2_390.0)]) == set()
    assert kinds_in([*RIGHT[:4], replace(RIGHT[4], at=2_410.0)]) == {LATE}


@pytest.mark.parametrize(("seconds", "kinds"), [(255.0, set()), (265.0, {LATE})])
def test_bot_that_has_just_started_gets_some_minutes_to_announce(seconds: float, kinds: set[str]) -> None:
    """No bot had worked for more than half an hour before that."""
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 100, session=1)]
    checks = [(105.0, 1), *((2_000.0 + 15 * n, 1) for n in range(40))]
    late = Reply(2_000 + seconds, "C", "2001.0", "live", 0, 1)
    evidence = Evidence([Broadcast(0, "m", moves, checks)], [Channel("C")], [late], [Trouble(115, 116)], grace=30)
    assert kinds_of(evidence) == kinds


def with_an_absence(replies: list[Reply], *activities: float) -> Evidence:
    """Everything is announced elsewhere; the bot was not in B from 190 to 250."""
    evidence = make_evidence([*RIGHT, *(replace(each, channel="B") for each in replies)])
    evidence.channels = [Channel("C"), Channel("B", removes_bot=True)]
    evidence.absences = [Absence("B", 190, 250)]
    evidence.activities = [Activity(at, "B", 0) for at in activities]
    return evidence


@pytest.mark.parametrize(("activities", "expected"), [((), [0]), ((255.0,), [0]), ((255.0, 350.0), [0, 2, 3, 4])])
def test_announcements_outside_an_absence_are_required(activities: tuple[float, ...], expected: list[int]) -> None:
    """They are required again once the bot has been active for a while after the invitation."""
    assert find_violations(with_an_absence([RIGHT[n] for n in expected], *activities)) == []
    for left_out in expected:
        replies = [RIGHT[n] for n in expected if n != left_out]
        assert MISSING in {each.kind for each in find_violations(with_an_absence(replies, *activities))}
    assert count_expected_after_absences(with_an_absence([], *activities)) == len(expected)


def kinds_after_absences(
    replies: list[Reply], *absences: tuple[float, float], calms: tuple[float, ...] = ()
) -> list[str]:
    """Return the violations in B, where the bot was absent at times; elsewhere all is correct."""
    evidence = make_evidence([*RIGHT, *(replace(each, channel="B") for each in replies)])
    evidence.channels = [Channel("C"), Channel("B", removes_bot=True)]
    evidence.absences = [Absence("B", *each) for each in absences]
    evidence.calms = calms
    return [each.kind for each in find_violations(evidence) if each.channel == "B"]


def test_outdated_announcement_after_a_return_is_untrue() -> None:
    late_live, late_error = replace(RIGHT[1], at=460.0), replace(RIGHT[2], at=460.0)
    assert kinds_after_absences([RIGHT[0], late_live], (150, 450)) == [UNTRUE]
    assert kinds_after_absences([RIGHT[0], late_error], (150, 450)) == []
    assert UNTRUE not in kinds_after_absences([RIGHT[0], late_live], (150, 250)), (
        "nothing newer was there on the return"
    )


def test_change_that_was_over_on_the_return_may_be_missing() -> None:
    rest = [replace(each, at=each.at) for each in RIGHT[2:]]
    assert MISSING not in kinds_after_absences([RIGHT[0], *rest], (206, 450))
    assert MISSING in kinds_after_absences([RIGHT[0], *rest])


def kinds_after_a_late_return(
    *checks: float,
    away: tuple[float, float] = (220.0, 250.0),
    is_over: bool = True,
    kinds: tuple[str, str] = ("live", "ended"),
) -> list[str]:
    """Return the violations in B, where only the second was announced.

    Elsewhere the first was announced at 207, just before the bot was killed. It works again from 470 on, or at
    `checks`.
    """
    states = [{"live": State.LIVE, "ended": State.OFF}[kind] for kind in kinds]
    moves = [Move(0, State.OFF, 0), Move(1, states[0], 160, session=1), Move(2, states[1], 400, session=2)]
    seen = [(205.0, 1), *((at, 1) for at in checks), *((at, 2) for at in (470.0, 485.0, 505.0))]
    replies = [Reply(207, "C", "1.0", kinds[0], 0, 1)]
    replies += [Reply(at, channel, "2.0", kinds[1], 0, 2) for at, channel in ((506.0, "C"), (507.0, "B")) if is_over]
    evidence = Evidence([Broadcast(0, "m", moves, seen)], [], replies, [Trouble(215, 216)], grace=30)
    evidence.channels, evidence.absences = [Channel("C"), Channel("B", removes_bot=True)], [Absence("B", *away)]
    return [each.kind for each in find_violations(evidence) if each.channel == "B"]


def test_change_that_was_over_before_a_bot_could_notice_the_return_may_be_missing() -> None:
    assert kinds_after_a_late_return() == []
    assert kinds_after_a_late_return(255.0) == [MISSING], "a bot was working"
    assert kinds_after_a_late_return(395.0, away=(220.0, 390.0)) == [MISSING], "it was working when it was invited"
    assert kinds_after_a_late_return(away=(290.0, 320.0)) == [MISSING], "it could post before it was removed"
    assert kinds_after_a_late_return(is_over=False) == [MISSING]
    assert kinds_after_a_late_return(kinds=("ended", "live")) == [MISSING]


def kinds_for_a_dropped_end(
    *kinds: tuple[str, int], away: float = 391.0, unconfirmed: tuple[str, ...] = ("x",)
) -> list[str]:
    """Return what is missing in B, where "is starting" was announced in time under the ID x, and its end was not.

    Elsewhere these were announced after "is starting", and the end at 300. The bot left at `away`.
    """
    states = {"live": State.LIVE, "errored": State.ERRORED}
    moves = [Move(0, State.OFF, 0), Move(1, State.STARTING, 100, session=1)]
    moves += [Move(number, states[kind], 110.0 * number, session=1) for kind, number in kinds]
    moves.append(Move(len(moves), State.OFF, 250, session=1))
    starting = Reply(105, "C", "1.0", "starting", 0, 1)
    replies = [starting, *(Reply(110.0 * number + 5, "C", "1.0", kind, 0, number) for kind, number in kinds)]
    replies.append(Reply(300, "C", "1.0", "ended", 0, moves[-1].number))
    replies.append(replace(starting, channel="B", message_id="x"))
    evidence = Evidence(
        [Broadcast(0, "m", moves, [])], [Channel("C"), Channel("B", removes_bot=True)], replies, [], grace=30
    )
    evidence.absences, evidence.unconfirmed = [Absence("B", away, away + 150)], unconfirmed
    return [each.why for each in find_violations(evidence) if (each.channel, each.kind) == ("B", MISSING)]


def test_end_behind_an_unconfirmed_beginning_may_be_dropped_by_an_absence() -> None:
    assert kinds_for_a_dropped_end() == []
    assert kinds_for_a_dropped_end(unconfirmed=()) != []
    assert kinds_for_a_dropped_end(away=555.0) == []
    assert kinds_for_a_dropped_end(away=565.0) != []
    assert any("ended" in why for why in kinds_for_a_dropped_end(("live", 2)))


def kinds_after_a_kill(
    *checks: float, kinds: tuple[tuple[str, int, float], ...], killed_at: float = 215.0, card_at: float | None = None
) -> list[str]:
    """Return the violations in B, where these were announced.

    Elsewhere "is live" was announced at 207, just before the bot was killed; the card in B was posted at
    `card_at`. The livestream was live from 200 to 400, which the bot saw at 205; it works again from 830 on.
    """
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 200, session=1), Move(2, State.OFF, 400, session=1)]
    seen = [(205.0, 1), *((at, 1) for at in checks), *((at, 2) for at in (830.0, 845.0, 865.0, 880.0))]
    elsewhere = [Reply(207, "C", "1.0", "live", 0, 1), Reply(866, "C", "1.0", "ended", 0, 2)]
    here = [Reply(at, "B", "1.0", kind, 0, move) for kind, move, at in kinds]
    evidence = Evidence([Broadcast(0, "m", moves, seen)], [], [*elsewhere, *here], [], grace=30)
    evidence.troubles = [Trouble(killed_at, killed_at + 1)]
    evidence.channels = [Channel("C"), Channel("B", removes_bot=True)]
    if card_at is not None:
        evidence.edits = [Edit(card_at, "B", str(card_at), 0, 1, None)]
    return [each.kind for each in find_violations(evidence) if each.channel == "B"]


def test_after_a_kill_the_other_channels_must_get_at_least_the_end() -> None:
    """If the bot recovered within ten minutes, they must get the beginning as well.

    A channel without a card by then needs nothing.
    """
    ended = ("ended", 2, 866.0)
    assert kinds_after_a_kill(kinds=(ended,)) == kinds_after_a_kill(kinds=()) == []
    assert kinds_after_a_kill(kinds=(), card_at=208.0) == [MISSING, MISSING]
    assert kinds_after_a_kill(390.0, kinds=(ended,)) == [MISSING]
    assert kinds_after_a_kill(390.0, kinds=()) == [MISSING, MISSING]
    assert kinds_after_a_kill(kinds=(ended,), killed_at=340.0) == [MISSING]
    assert kinds_after_a_kill(kinds=(("live", 1, 850.0),)) == [MISSING]


def test_last_announcement_in_a_calm_period_must_show_the_current_state() -> None:
    away = (90.0, 195.0)
    live = replace(RIGHT[1], at=203.0)
    moves = [*MOVES[:3], Move(3, State.LIVE, 900, session=1)]
    for replies, kinds in (([live], []), ([], [MISSING])):
        evidence = make_evidence([RIGHT[0], RIGHT[1], *(replace(each, channel="B") for each in replies)])
        evidence.broadcasts = [Broadcast(0, "m", moves, [])]
        evidence.channels = [Channel("C"), Channel("B", removes_bot=True)]
        evidence.absences, evidence.calms = [Absence("B", *away)], [1_000.0]
        assert [each.kind for each in find_violations(evidence) if each.channel == "B"] == kinds


def test_new_follow_may_repeat_an_announcement_in_a_new_thread() -> None:
    again = Reply(230, "C", "220.0", "live", 0, 2)
    for replies, kinds in (([*RIGHT[:2], again], set()), ([*RIGHT[:2], replace(again, thread="1.0")], {TWICE})):
        evidence = make_evidence(replies)
        evidence.channels = [Channel("C", unfollows=True)]
        assert {each.kind for each in find_violations(evidence)} == kinds


def shown(*edits: tuple[float, int, str | None], rivals: int = 0) -> set[str]:
    evidence = make_evidence(RIGHT)
    evidence.broadcasts[0].rivals = ["https://example.com/b"] * rivals
    evidence.edits = [Edit(at, "C", "1.0", 0, move, playback) for at, move, playback in edits]
    return {each.kind for each in find_violations(evidence)}


def test_older_edit_may_overtake_a_newer_one_only_for_a_while() -> None:
    assert shown((200, 2, None), (650, 7, None), (660, 2, None), (700, 7, None)) == set()
    assert shown((200, 2, None), (650, 7, None), (660, 2, None), (2_500, 7, None)) == {OVERTAKEN}


def test_card_may_flip_between_livestreams_once_per_second_livestream() -> None:
    there_and_back = [(210.0, 2, "a"), (220.0, 2, "b"), (230.0, 2, "a")]
    assert shown(*there_and_back) == {FLIPPED}
    assert shown(*there_and_back, rivals=1) == set()
    assert shown(*there_and_back, (240.0, 2, "b"), rivals=1) == {FLIPPED}
    assert shown((210, 2, "a"), (220, 2, "b"), (230, 2, None), (240, 2, "c")) == set()


def test_next_session_without_a_pause_may_be_the_same_episode() -> None:
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 100, session=1), Move(2, State.LIVE, 300, session=2)]
    moves.append(Move(3, State.OFF, 500, session=2))
    checks = [(at, n) for n, began in ((1, 100.0), (2, 300.0), (3, 500.0)) for at in check_times(began, began + 200)]
    live, ended = Reply(105, "C", "1.0", "live", 0, 1), Reply(550, "C", "1.0", "ended", 0, 3)
    between = [Reply(310, "C", "1.0", "ended", 0, 2), Reply(312, "C", "311.0", "live", 0, 2)]
    for replies in ([live, ended], [live, *between, replace(ended, thread="311.0")]):
        evidence = Evidence([Broadcast(0, "m", moves, checks)], [Channel("C")], replies, [], grace=30)
        assert find_violations(evidence) == []


def kinds_with_a_second_livestream(*, rivals: tuple[str, ...], first: str = "live") -> set[str]:
    """Return the violations where "back" led to a second livestream, and the next session was noticed after that."""
    moves = [
        Move(0, State.OFF, 0),
        Move(1, State.LIVE, 100, session=1),
        Move(2, State.ERRORED, 200, session=1),
        Move(3, State.OFF, 240, session=1),
        Move(4, State.LIVE, 300, session=2),
        Move(5, State.OFF, 400, session=2),
    ]
    ends = [each.began for each in moves[1:]] + [500.0]
    checks = [(at, each.number) for each, end in zip(moves, ends, strict=True) for at in check_times(each.began, end)]
    replies = [
        Reply(105, "C", "104.0", first, 0, 1),
        Reply(225, "C", "104.0", "errored", 0, 2),
        Reply(335, "C", "104.0", "back", 0, 4, text="Watch: https://example.com/second"),
        Reply(350, "C", "104.0", "ended", 0, 4),
        Reply(356, "C", "355.0", "live", 0, 4),
        Reply(440, "C", "355.0", "ended", 0, 5),
    ]
    broadcast = Broadcast(0, "m", moves, checks, rivals=list(rivals))
    return kinds_of(Evidence([broadcast], [Channel("C")], replies, [], grace=30))


def test_next_session_may_be_noticed_after_a_second_livestream() -> None:
    assert kinds_with_a_second_livestream(rivals=("https://example.com/second",)) == set()
    assert kinds_with_a_second_livestream(rivals=()) == {UNTRUE}
    assert kinds_with_a_second_livestream(rivals=("https://example.com/other",)) == {UNTRUE}


@pytest.mark.parametrize(("checked_at", "kinds"), [(119.0, set()), (117.0, {UNTRUE}), (None, {UNTRUE})])
def test_state_that_ends_during_the_check_may_have_the_next_name(checked_at: float | None, kinds: set[str]) -> None:
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 100, session=1), Move(2, State.OFF, 120, session=1)]
    checks = [] if checked_at is None else [(checked_at, 1)]
    replies = [Reply(125, "C", "124.0", "live", 0, 2), Reply(180, "C", "124.0", "ended", 0, 2)]
    assert kinds_of(Evidence([Broadcast(0, "m", moves, checks)], [Channel("C")], replies, [], grace=30)) == kinds


def kinds_where_removed_before_posting(
    *, away: tuple[float, float] | None = (400.0, 450.0), killed: bool = True
) -> list[str]:
    """Return the violations in B, which got "ended" and not "live"; bots were killed every 100 seconds until 610."""
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 200, session=1), Move(2, State.OFF, 300, session=1)]
    seen = [(205.0, 1), *((at, 2) for at in (305.0, 500.0, 600.0, 615.0, 640.0, 655.0))]
    replies = [Reply(207, "C", "206.0", "live", 0, 1)]
    replies += [Reply(at, channel, "206.0", "ended", 0, 2) for at, channel in ((506.0, "C"), (660.0, "B"))]
    times = (210.0, 310.0, 410.0, 510.0, 610.0, 700.0) if killed else (210.0, 700.0)
    evidence = Evidence([Broadcast(0, "m", moves, seen)], [], replies, [Trouble(at, at + 1) for at in times], grace=30)
    evidence.channels = [Channel("C"), Channel("B", removes_bot=True)]
    evidence.absences = [Absence("B", *away)] if away else []
    return [each.kind for each in find_violations(evidence) if each.channel == "B"]


def test_change_that_was_over_before_a_bot_could_post_it_there_may_be_missing() -> None:
    assert kinds_where_removed_before_posting() == []
    assert MISSING in kinds_where_removed_before_posting(away=None), "it was never removed"
    assert MISSING in kinds_where_removed_before_posting(killed=False), "a bot could post it before or after that"


def kinds_behind_an_unconfirmed_card(
    *,
    unconfirmed: tuple[str, ...] = ("card",),
    confirmed: float = 1_250.0,
    killed_until: float = 900.0,
    posted: float = 220.0,
    live_at: float = 320.0,
    started: bool = True,
) -> list[str]:
    """Return the violations in B, which got nothing of the livestream but its card.

    Elsewhere it was starting at 310, and then live for 100 seconds.
    """
    moves = [Move(0, State.OFF, 0), Move(1, State.STARTING, 300, session=1), Move(2, State.LIVE, live_at, session=1)]
    moves.append(Move(3, State.OFF, live_at + 100, session=1))
    seen = [(305.0, 1), (live_at + 5, 2), *((live_at + 105 + 15 * n, 3) for n in range(70))]
    replies = [Reply(310, "C", "308.0", "starting", 0, 1)] if started else []
    replies += [Reply(live_at + 10, "C", "308.0", "live", 0, 2), Reply(live_at + 140, "C", "308.0", "ended", 0, 3)]
    troubles = [Trouble(at, at + 1) for at in range(260, 1_400, 50) if at < killed_until]
    evidence = Evidence([Broadcast(0, "m", moves, seen)], [], replies, troubles, grace=30)
    evidence.channels = [Channel("C"), Channel("B", removes_bot=True)]
    evidence.cards = [Message("B", str(posted), "bot", "Show 0.0", client_msg_id="card")]
    evidence.edits = [Edit(at, "B", str(posted), 0, 0, None) for at in (posted, confirmed)]
    evidence.unconfirmed = unconfirmed
    return [each.kind for each in find_violations(evidence) if each.channel == "B"]


def test_changes_that_were_over_when_an_earlier_card_was_confirmed_may_be_missing() -> None:
    assert kinds_behind_an_unconfirmed_card() == []
    assert MISSING in kinds_behind_an_unconfirmed_card(unconfirmed=())
    assert MISSING in kinds_behind_an_unconfirmed_card(confirmed=900.0), "they were not too old"
    assert MISSING in kinds_behind_an_unconfirmed_card(killed_until=700.0), "a bot could post the card again"
    assert kinds_behind_an_unconfirmed_card(posted=380.0) == [], "in its next try, after the other channel"
    assert MISSING in kinds_behind_an_unconfirmed_card(posted=395.0), "it was posted later than in its next try"


def test_change_behind_one_that_was_too_old_may_be_missing() -> None:
    assert kinds_behind_an_unconfirmed_card(live_at=750.0) == []
    assert MISSING in kinds_behind_an_unconfirmed_card(live_at=750.0, started=False), "nothing was too old"


def kinds_where_nothing_was_heard(
    *, kind: str = "errored", others: float | None = None, ended_at: float = 1_000.0, in_b: tuple[Reply, ...] = ()
) -> list[str]:
    """Return the violations in B, which has the card, and only "live" of the next session in it.

    Elsewhere an episode began with this kind at 207, just before bots were killed every 100 seconds, and ended.
    """
    state = {"errored": State.ERRORED, "live": State.LIVE}[kind]
    moves = [Move(0, State.OFF, 0), Move(1, state, 190, session=1), Move(2, State.OFF, 300, session=1)]
    moves.append(Move(3, State.LIVE, 1_200, session=2))
    checks = [(205.0, 1), (305.0, 2), (950.0, 2), *((1_205.0 + 15 * n, 3) for n in range(10))]
    replies = [Reply(207, "C", "206.0", kind, 0, 1), Reply(ended_at, "C", "206.0", "ended", 0, 2), *in_b]
    replies += [Reply(1_210, channel, "1209.0", "live", 0, 3) for channel in ("C", "B")]
    troubles = [Trouble(at, at + 1) for at in range(210, 1_100, 100)]
    broadcasts = [Broadcast(0, "m", moves, checks)]
    if others is not None:
        broadcasts.append(Broadcast(1, "n", MOVES[:1], [(others, 0)]))
        troubles = [each for each in troubles if not others <= each.began < others + 130]
    evidence = Evidence(broadcasts, [Channel("C"), Channel("B", removes_bot=True)], replies, troubles, grace=30)
    evidence.absences = [Absence("B", 10, 20)]
    evidence.activities = [Activity(100, "B", 0)]
    evidence.edits = [Edit(at, "B", "500.0", 0, move, None) for at, move in ((500.0, 1), (1_100.0, 2))]
    return [each.kind for each in find_violations(evidence) if each.channel == "B"]


def test_failure_of_which_a_channel_heard_nothing_needs_no_end() -> None:
    assert kinds_where_nothing_was_heard() == []
    assert MISSING in kinds_where_nothing_was_heard(kind="live"), "the card was there and said that it was live"
    assert MISSING in kinds_where_nothing_was_heard(others=450.0), "a bot could post within ten minutes"
    assert MISSING in kinds_where_nothing_was_heard(others=850.0), "a bot could post before the end"
    assert MISSING in kinds_where_nothing_was_heard(ended_at=780.0), "it was not too old"
    assert MISSING in kinds_where_nothing_was_heard(in_b=(Reply(208, "B", "500.0", "errored", 0, 1),))


def kinds_after_an_absence(
    *, away: tuple[float, float] = (320.0, 400.0), live_at: float = 410.0, end: bool = True, others: float | None = None
) -> list[str]:
    """Return the violations in B, which got "live" late; elsewhere it was live at 207 and ended at 340."""
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 190, session=1), Move(2, State.OFF, 300, session=1)]
    checks = [(205.0, 1), (305.0, 2), (335.0, 2), *((live_at + 15 * n, 2) for n in range(10))]
    replies = [Reply(207, "C", "206.0", "live", 0, 1), Reply(340, "C", "206.0", "ended", 0, 2)]
    replies.append(Reply(live_at, "B", "208.0", "live", 0, 1))
    replies += [Reply(live_at + 5, "B", "208.0", "ended", 0, 2)] if end else []
    evidence = Evidence([Broadcast(0, "m", moves, checks)], [], replies, [], grace=30)
    if others is not None:
        evidence.broadcasts = [*evidence.broadcasts, Broadcast(1, "n", MOVES[:1], [(others, 0)])]
    evidence.troubles = [Trouble(at, at + 1) for at in (210.0, 310.0, 395.0)]
    evidence.channels, evidence.absences = [Channel("C"), Channel("B", removes_bot=True)], [Absence("B", *away)]
    return [each.kind for each in find_violations(evidence) if each.channel == "B"]


def test_changes_may_be_announced_in_order_after_an_absence_that_no_bot_could_notice() -> None:
    assert kinds_after_an_absence() == []
    assert kinds_after_an_absence(away=(320.0, 800.0), live_at=805.0, others=500.0) == [UNTRUE], "a bot was refused"
    assert kinds_after_an_absence(away=(320.0, 810.0), live_at=815.0) == [UNTRUE], "it was too old"
    assert UNTRUE in kinds_after_an_absence(end=False), "what was newer did not follow"


def kinds_without_the_error(*, error: bool = True, back_at: float = 900.0, others: float | None = None) -> set[str]:
    """Return the violations where "back" follows "live"; bots were killed every 100 seconds until 850."""
    state = State.ERRORED if error else State.OFF
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 100, session=1), Move(2, state, 200, session=1)]
    moves.append(Move(3, State.LIVE, 400, session=1))
    checks = [(105.0, 1), (205.0, 2), (405.0, 3), (805.0, 3), *((back_at + 15 * n, 3) for n in range(10))]
    replies = [Reply(110, "C", "108.0", "live", 0, 1), Reply(back_at + 5, "C", "108.0", "back", 0, 3)]
    troubles = [Trouble(at, at + 1) for at in range(210, 850, 100)]
    broadcasts = [Broadcast(0, "m", moves, checks)]
    if others is not None:
        broadcasts.append(Broadcast(1, "n", MOVES[:1], [(others, 0)]))
        troubles = [each for each in troubles if not others <= each.began < others + 130]
    return kinds_of(Evidence(broadcasts, [Channel("C")], replies, troubles, grace=30))


def test_recovery_may_follow_an_error_that_was_too_old() -> None:
    """Slack may have taken the error without an answer; the bot cannot know, and announces the recovery."""
    assert kinds_without_the_error() == set()
    assert ORDER in kinds_without_the_error(error=False), "there was no error"
    assert ORDER in kinds_without_the_error(back_at=700.0), "the error was not too old"
    assert ORDER in kinds_without_the_error(others=450.0), "a bot could post the error"


def kinds_without_the_start(*, live: bool = True, errored_at: float = 900.0, others: float | None = None) -> set[str]:
    """Return the violations where "back" follows "errored" alone; bots were killed every 100 seconds until 850."""
    first = State.LIVE if live else State.STARTING
    moves = [Move(0, State.OFF, 0), Move(1, first, 100, session=1), Move(2, State.ERRORED, 200, session=1)]
    moves.append(Move(3, State.LIVE, errored_at + 40, session=1))
    checks = [(105.0, 1), (205.0, 2), *((errored_at + at, 2) for at in (-20.0, -5.0, 10.0))]
    checks += [(errored_at + 45 + 15 * n, 3) for n in range(10)]
    thread = str(errored_at - 1)
    replies = [Reply(errored_at, "C", thread, "errored", 0, 2), Reply(errored_at + 90, "C", thread, "back", 0, 3)]
    troubles = [Trouble(at, at + 1) for at in range(110, 850, 100)]
    broadcasts = [Broadcast(0, "m", moves, checks)]
    if others is not None:
        broadcasts.append(Broadcast(1, "n", MOVES[:1], [(others, 0)]))
        troubles = [each for each in troubles if not others <= each.began < others + 130]
    return kinds_of(Evidence(broadcasts, [Channel("C")], replies, troubles, grace=30))


def test_recovery_may_follow_an_error_whose_livestream_was_too_old_to_be_announced() -> None:
    assert kinds_without_the_start() == set()
    assert ORDER in kinds_without_the_start(live=False), "it was never live"
    assert ORDER in kinds_without_the_start(errored_at=600.0), "it was not too old"
    assert ORDER in kinds_without_the_start(others=450.0), "a bot could post it"


def kinds_where_the_end_before_is_late(
    *, away: tuple[float, float] | None = (400.0, 450.0), killed: bool = True
) -> list[str]:
    """Return the violations in B, which got the end of one episode late.

    It never got "starting" of the next, but the "errored" that followed.
    """
    moves = [Move(0, State.OFF, 0), Move(1, State.LIVE, 100, session=1), Move(2, State.OFF, 140, session=1)]
    moves += [Move(3, State.STARTING, 200, session=2), Move(4, State.ERRORED, 300, session=2)]
    seen = [(105.0, 1), (145.0, 2), (180.0, 2), (205.0, 3)]
    seen += [(at, 4) for at in (305.0, 500.0, 600.0, 615.0, 640.0, 655.0, 670.0)]
    replies = [Reply(107, channel, "106.0", "live", 0, 1) for channel in ("B", "C")]
    replies += [Reply(185, "C", "106.0", "ended", 0, 2), Reply(207, "C", "206.0", "starting", 0, 3)]
    replies += [Reply(506, "C", "206.0", "errored", 0, 4), Reply(650, "B", "106.0", "ended", 0, 2)]
    replies.append(Reply(660, "B", "651.0", "errored", 0, 4))
    times = (182.0, 210.0, 310.0, 410.0, 510.0, 610.0, 700.0) if killed else (182.0, 700.0)
    evidence = Evidence([Broadcast(0, "m", moves, seen)], [], replies, [Trouble(at, at + 1) for at in times], grace=30)
    evidence.channels = [Channel("C"), Channel("B", removes_bot=True)]
    evidence.absences = [Absence("B", *away)] if away else []
    return [each.kind for each in find_violations(evidence) if each.channel == "B"]


def test_what_waited_behind_a_late_end_until_it_was_over_may_be_missing() -> None:
    assert kinds_where_the_end_before_is_late() == []
    assert MISSING in kinds_where_the_end_before_is_late(away=None), "it was never removed"
    assert MISSING in kinds_where_the_end_before_is_late(killed=False), "a bot could post it before or after that"
