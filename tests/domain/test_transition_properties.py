"""Properties of an episode that hold for any observations, in any order, by any clock."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.episode import Change, ChangeKind, Episode, Phase, card_key
from bot.domain.observation import CheckFailed, CheckResult, Observation, Status
from bot.domain.transitions import advance, initial, pending_until

T0 = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
GRACE = timedelta(seconds=60)
GONE = Observation(Status.NOT_BROADCASTING)

# What may be announced after what, within one episode.
LEGAL: dict[ChangeKind | None, set[ChangeKind]] = {
    None: {ChangeKind.STARTING, ChangeKind.LIVE, ChangeKind.ERRORED},
    ChangeKind.STARTING: {ChangeKind.LIVE, ChangeKind.ERRORED, ChangeKind.ENDED},
    ChangeKind.LIVE: {ChangeKind.ERRORED, ChangeKind.ENDED},
    ChangeKind.ERRORED: {ChangeKind.LIVE, ChangeKind.BACK, ChangeKind.ENDED},
    ChangeKind.BACK: {ChangeKind.ERRORED, ChangeKind.ENDED},
    ChangeKind.ENDED: set(),
}

Check = tuple[datetime, CheckResult]


def moments(*seconds: float) -> st.SearchStrategy[datetime | None]:
    """Return a strategy for no time, one of these, or any within some hours."""
    anywhen = st.integers(-4_000, 20_000)
    return st.none() | (st.sampled_from(seconds) | anywhen).map(lambda second: T0 + timedelta(seconds=second))


failed_checks = st.builds(CheckFailed, st.just("It is down."))
unknown_statuses = st.builds(Observation, st.just(Status.UNKNOWN), st.none() | st.just("PAUSED"))
texts = st.none() | st.sampled_from(["Keynote", "Rehearsal"])
observations = st.builds(
    Observation,
    status=st.sampled_from(Status),
    raw_status=texts,
    name=texts,
    playback_url=texts,
    session_started_at=moments(0, 0.5, 30, 300, 3_600),
    session_stopped_at=moments(60, 301),
    error_reason=texts,
)
# Hints come at once or twice, sweeps after seconds or minutes; clocks are set by seconds or hours.
steps = (st.sampled_from([0, 1, 15, 30, 59, 60, 61, 300, 900, 3_600, -1, -60, -3_600]) | st.integers(-100, 100)).map(
    lambda seconds: timedelta(seconds=seconds)
)


def _timed(history: list[tuple[timedelta, CheckResult]]) -> list[Check]:
    now, timed = T0, []
    for step, observation in history:
        now += step
        timed.append((now, observation))
    return timed


def checks(observations: st.SearchStrategy[CheckResult], *, min_size: int = 0) -> st.SearchStrategy[list[Check]]:
    """Return a strategy for checks of one meeting, by a clock that may jump."""
    return st.lists(st.tuples(steps, observations), min_size=min_size, max_size=25).map(_timed)


LIVE, ERRORED, UNKNOWN = Observation(Status.LIVE), Observation(Status.ERRORED), Observation(Status.UNKNOWN)
OTHER_SESSION = Observation(Status.LIVE, session_started_at=T0 + timedelta(days=1))
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# Rare by chance alone: an end, a recovered error, an unseen end, a clock set back in a drop.
scenes: st.SearchStrategy[list[tuple[timedelta, CheckResult]]] = st.sampled_from(
    [
        [(MINUTE, GONE), (MINUTE, GONE)],
        [(MINUTE, ERRORED), (MINUTE, LIVE)],
        [(MINUTE, LIVE), (2 * MINUTE, OTHER_SESSION)],
        [(MINUTE, LIVE), (MINUTE, GONE), (-HOUR, UNKNOWN)],
    ]
)
anything = (
    st.lists(st.tuples(steps, observations | failed_checks).map(lambda check: [check]) | scenes, max_size=15)
    .map(lambda parts: [check for part in parts for check in part])
    .map(_timed)
)


def announce_all(history: list[Check], episode: Episode | None = None) -> tuple[list[Episode], list[Change]]:
    """Return the episode before and after each check, and everything that was announced."""
    episodes = [episode or Episode.waiting(T0)]
    announced: list[Change] = []
    for now, observation in history:
        episode, changes = advance(episodes[-1], observation, now, GRACE)
        episodes.append(episode)
        announced += changes
    return episodes, announced


@settings(deadline=None)
@given(anything)
def test_each_change_is_announced_once_in_a_legal_order(history: list[Check]) -> None:
    """Changes are numbered without a gap, in a legal order, and none follows the end of its episode."""
    _, announced = announce_all(history)

    by_episode: dict[int, list[Change]] = {}
    for change in announced:
        by_episode.setdefault(change.episode, []).append(change)
    assert [change for changes in by_episode.values() for change in changes] == announced
    assert list(by_episode) == list(range(1, len(by_episode) + 1))
    for changes in by_episode.values():
        assert [change.seq for change in changes] == list(range(1, len(changes) + 1))
        kinds = [change.kind for change in changes]
        assert all(after in LEGAL[before] for before, after in pairwise([None, *kinds]))
        assert kinds.count(ChangeKind.LIVE) <= 1
        assert ChangeKind.BACK not in kinds or ChangeKind.LIVE in kinds[: kinds.index(ChangeKind.BACK)]
    assert all(changes[-1].kind is ChangeKind.ENDED for changes in list(by_episode.values())[:-1])


@settings(deadline=None)
@given(anything)
def test_state_agrees_with_the_announcements(history: list[Check]) -> None:
    """The episode counts its changes and knows the last; its number grows by one, and only after an end."""
    for (now, observation), (before, after) in zip(history, pairwise(announce_all(history)[0]), strict=True):
        changes = advance(before, observation, now, GRACE)[1]

        assert after.number - before.number in (0, 1)
        if after.number > before.number:
            assert before.phase is Phase.ENDED or changes[0].kind is ChangeKind.ENDED
        of_after = [change for change in changes if change.episode == after.number]
        assert after.seq == len(of_after) + (before.seq if after.number == before.number else 0)
        previous = None if after.number > before.number else before.last_announced
        assert after.last_announced == (of_after[-1].kind if of_after else previous)
        assert (
            (after.phase is Phase.ENDED) == (after.last_announced is ChangeKind.ENDED) == (after.ended_at is not None)
        )


@settings(deadline=None)
@given(anything)
def test_durations_are_never_negative(history: list[Check]) -> None:
    """Whatever the clocks do, no duration is negative."""
    episodes, announced = announce_all(history)

    assert all(change.duration is None or change.duration >= timedelta(0) for change in announced)
    assert all(episode.duration is None or episode.duration >= timedelta(0) for episode in episodes)


@settings(deadline=None)
@given(anything, st.booleans())
def test_json_round_trip_at_each_step(history: list[Check], follow_late: bool) -> None:
    """The episode and its changes survive JSON unchanged, at each step."""
    first = initial(history[0][1], history[0][0]) if follow_late and history else None

    episodes, announced = announce_all(history, first)

    assert [Episode.from_dict(json.loads(json.dumps(episode.to_dict()))) for episode in episodes] == episodes
    assert [Change.from_dict(json.loads(json.dumps(change.to_dict()))) for change in announced] == announced


@settings(deadline=None)
@given(anything.filter(bool))
def test_repeated_observation_changes_nothing(history: list[Check]) -> None:
    """The same observation at the same time changes only the count of failures, so checks may be repeated."""
    once = announce_all(history)[0][-1]
    now, observation = history[-1]

    again, changes = advance(once, observation, now, GRACE)

    assert changes == ()
    assert replace(again, failed_checks=0) == replace(once, failed_checks=0)


@settings(deadline=None)
@given(anything, checks(failed_checks | unknown_statuses, min_size=1))
def test_failed_and_unknown_checks_change_nothing(history: list[Check], no_news: list[Check]) -> None:
    """Failed checks and unknown statuses never begin, end or move an episode."""
    before = announce_all(history)[0][-1]

    episodes, announced = announce_all(no_news, before)

    assert announced == []
    assert _without_check_data(episodes[-1]) == _without_check_data(before)


def _without_check_data(episode: Episode) -> Episode:
    return replace(episode, checked_at=None, failed_checks=0, raw_status=None)


@settings(deadline=None)
@given(
    st.lists(st.tuples(steps, observations, st.lists(failed_checks | unknown_statuses, max_size=3)), max_size=25),
)
def test_failed_and_unknown_checks_do_not_affect_grace_periods(
    history: list[tuple[timedelta, Observation, list[CheckResult]]],
) -> None:
    """The same changes are announced with and without such checks in between."""
    plain = _timed([(step, observation) for step, observation, _ in history])
    mixed = [
        check
        for (now, observation), (_, _, between) in zip(plain, history, strict=True)
        for check in [*((now, observation) for observation in between), (now, observation)]
    ]

    assert announce_all(mixed)[1] == announce_all(plain)[1]


@settings(deadline=None)
@given(anything, st.lists(steps), moments(0, 3_600))
def test_livestream_that_is_always_live_never_ends(
    history: list[Check], times: list[timedelta], started: datetime | None
) -> None:
    """Whatever the clock does, a session that is always seen live does not end; only *back* is announced."""
    observation = Observation(Status.LIVE, session_started_at=started)
    before = announce_all([*history, (T0, observation)])[0][-1]

    episodes, announced = announce_all(_timed([(step, observation) for step in times]), before)

    assert [change.kind for change in announced] in (
        [],
        [ChangeKind.BACK] if before.last_announced is ChangeKind.ERRORED else [],
    )
    assert {(episode.number, episode.phase) for episode in episodes} == {(before.number, Phase.LIVE)}


interruptions = st.tuples(
    st.integers(0, 1_000),
    st.lists(
        st.sampled_from([GONE, Observation(Status.STARTING), Observation(Status.UNKNOWN), CheckFailed("")]), min_size=1
    ),
    st.integers(0, 59),
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(interruptions))
def test_short_interruptions_are_silent(history: list[tuple[int, list[CheckResult], int, bool]]) -> None:
    """Interruptions shorter than the grace period announce nothing and leave the card unchanged."""
    first, now, session = initial(Observation(Status.LIVE, session_started_at=T0), T0), T0, T0
    checks: list[Check] = []
    for live_for, seen, gone_for, same_session in history:
        checks.append((now := now + timedelta(seconds=live_for), Observation(Status.LIVE, session_started_at=session)))
        for number, observation in enumerate(seen, 1):
            checks.append((now + timedelta(seconds=gone_for * number / len(seen)), observation))
        now += timedelta(seconds=gone_for)
        session = session if same_session else now
        checks.append((now, Observation(Status.LIVE, session_started_at=session)))

    episodes, announced = announce_all(checks, first)

    assert announced == []
    assert card_key(episodes[-1]) == card_key(first)


errors = st.tuples(
    st.integers(15, 1_000),
    st.lists(st.sampled_from([ERRORED, ERRORED, Observation(Status.UNKNOWN), CheckFailed("")]), min_size=1),
    st.integers(0, 14),
)


@settings(deadline=None)
@given(st.lists(errors))
def test_short_errors_are_silent(history: list[tuple[int, list[CheckResult], int]]) -> None:
    """Errors shorter than their grace period, with as much time live between them, announce nothing."""
    first, now = initial(Observation(Status.LIVE, session_started_at=T0), T0), T0
    checks: list[Check] = []
    for live_for, seen, broken_for in history:
        checks.append((now := now + timedelta(seconds=live_for), Observation(Status.LIVE, session_started_at=T0)))
        for number, observation in enumerate(seen, 1):
            checks.append((now + timedelta(seconds=broken_for * number / len(seen)), observation))
        checks.append((now := now + timedelta(seconds=broken_for), Observation(Status.LIVE, session_started_at=T0)))

    episodes, announced = announce_all(checks, first)

    assert announced == []
    assert card_key(episodes[-1]) == card_key(first)


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.sampled_from([LIVE, ERRORED, UNKNOWN, CheckFailed("")]), min_size=1, max_size=8),
    st.sampled_from([(LIVE, Phase.LIVE), (ERRORED, Phase.ERRORED), (GONE, Phase.ENDED)]),
)
def test_flapping_announces_few_changes_and_the_final_state(
    every: int, pattern: list[CheckResult], end: tuple[CheckResult, Phase]
) -> None:
    """An hour of any pattern of live and errors announces a handful of changes; the last is the final state."""
    first, hour = initial(LIVE, T0), 3_600 // every
    checks: list[Check] = [(T0 + timedelta(seconds=every * n), pattern[n % len(pattern)]) for n in range(hour)]

    episodes, announced = announce_all(checks, first)
    calm = [(T0 + timedelta(hours=1, seconds=15 * n), end[0]) for n in range(70)]
    last_episodes, last = announce_all(calm, episodes[-1])

    assert len(announced) <= 14
    assert last_episodes[-1].phase is end[1]
    truth = {Phase.LIVE: (ChangeKind.LIVE, ChangeKind.BACK), Phase.ERRORED: (ChangeKind.ERRORED,)}
    assert last_episodes[-1].last_announced in truth.get(end[1], (ChangeKind.ENDED,))
    assert len(last) <= 1


@settings(deadline=None)
@given(anything)
def test_pending_change_is_announced_when_due(history: list[Check]) -> None:
    """An unchanged observation at that time announces the change, or ends what never began; an earlier one does not."""
    episode = announce_all(history)[0][-1]
    then = pending_until(episode, GRACE)
    same = {Phase.LIVE: LIVE, Phase.ERRORED: ERRORED, Phase.INTERRUPTED: GONE}
    if then is None:
        return

    before = advance(episode, same[episode.phase], then - timedelta(seconds=1), GRACE)
    after = advance(episode, same[episode.phase], then, GRACE)

    assert before[1] == ()
    assert [change.kind for change in after[1]] or after[0].phase is Phase.WAITING


@settings(deadline=None)
@given(anything, steps, st.lists(st.integers(1, 59), max_size=3), st.integers(60, 5_000))
def test_off_air_for_the_grace_period_is_the_end(
    history: list[Check], step: timedelta, between: list[int], later: int
) -> None:
    """Off air for the grace period, confirmed by one more check, ends the episode, even if a clock was set back."""
    now = (history[-1][0] if history else T0) + step
    gone: list[Check] = [
        (now + timedelta(seconds=seconds), GONE) for seconds in [0, *sorted(between), later, later + 15]
    ]

    episodes, announced = announce_all([*history, *gone])

    assert episodes[-1].phase in (Phase.WAITING, Phase.ENDED)
    assert (episodes[-1].phase is Phase.WAITING) == (episodes[-1].last_announced is None)
    assert not announced or announced[-1].kind is ChangeKind.ENDED


@settings(deadline=None)
@given(anything)
def test_end_needs_more_than_one_check(history: list[Check]) -> None:
    """No episode ends when it is first seen off air, unless the observation begins the next session."""
    for (now, observation), (before, after) in zip(history, pairwise(announce_all(history)[0]), strict=True):
        ended = any(change.kind is ChangeKind.ENDED for change in advance(before, observation, now, GRACE)[1])

        if ended and after.number == before.number:
            assert isinstance(observation, Observation)
            assert observation.status is Status.NOT_BROADCASTING
            assert before.phase is Phase.INTERRUPTED
            assert now - before.phase_since >= GRACE
            seen, again = before.off_air_seen_at, before.off_air_again_at
            assert seen is not None
            watched = now - seen <= GRACE + timedelta(seconds=5)
            assert watched if again is None else now - again >= timedelta(seconds=15)
        elif ended:
            assert isinstance(observation, Observation)
            assert observation.status in (Status.STARTING, Status.LIVE, Status.ERRORED)


@settings(deadline=None)
@given(anything, st.lists(texts, min_size=1))
def test_texts_do_not_affect_announcements(history: list[Check], words: list[str | None]) -> None:
    """Names, URLs and unknown statuses change what the card shows, never what is announced or when."""
    other: list[Check] = [
        (now, replace(seen, name=word, playback_url=word, raw_status=word) if isinstance(seen, Observation) else seen)
        for (now, seen), word in zip(history, cycle(words), strict=False)
    ]

    assert [_essence(change) for change in announce_all(other)[1]] == [
        _essence(change) for change in announce_all(history)[1]
    ]


def _essence(change: Change) -> Change:
    return replace(change, name=None, playback_url=None)
