"""What holds for an episode whatever is seen, in whatever order, by whatever clock."""

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

# What may be told after what, within one episode.
LEGAL: dict[ChangeKind | None, set[ChangeKind]] = {
    None: {ChangeKind.STARTING, ChangeKind.LIVE, ChangeKind.ERRORED},
    ChangeKind.STARTING: {ChangeKind.LIVE, ChangeKind.ERRORED, ChangeKind.ENDED},
    ChangeKind.LIVE: {ChangeKind.ERRORED, ChangeKind.ENDED},
    ChangeKind.ERRORED: {ChangeKind.LIVE, ChangeKind.BACK, ChangeKind.ENDED},
    ChangeKind.BACK: {ChangeKind.ERRORED, ChangeKind.ENDED},
    ChangeKind.ENDED: set(),
}

Look = tuple[datetime, CheckResult]


def moments(*seconds: float) -> st.SearchStrategy[datetime | None]:
    """No time, one of these, or any within some hours."""
    anywhen = st.integers(-4_000, 20_000)
    return st.none() | (st.sampled_from(seconds) | anywhen).map(lambda second: T0 + timedelta(seconds=second))


silences = st.builds(CheckFailed, st.just("It is down."))
puzzles = st.builds(Observation, st.just(Status.UNKNOWN), st.none() | st.just("PAUSED"))
texts = st.none() | st.sampled_from(["Keynote", "Rehearsal"])
sightings = st.builds(
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


def _timed(history: list[tuple[timedelta, CheckResult]]) -> list[Look]:
    now, timed = T0, []
    for step, observation in history:
        now += step
        timed.append((now, observation))
    return timed


def looks(observations: st.SearchStrategy[CheckResult], *, least: int = 0) -> st.SearchStrategy[list[Look]]:
    """Looks at one meeting, by a clock that may jump."""
    return st.lists(st.tuples(steps, observations), min_size=least, max_size=25).map(_timed)


LIVE, ERRORED, UNKNOWN = Observation(Status.LIVE), Observation(Status.ERRORED), Observation(Status.UNKNOWN)
OTHER_RUN = Observation(Status.LIVE, session_started_at=T0 + timedelta(days=1))
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# What chance alone rarely puts together: an end, a mended error, an end that nobody saw, a clock set back in a drop.
scenes: st.SearchStrategy[list[tuple[timedelta, CheckResult]]] = st.sampled_from(
    [
        [(MINUTE, GONE), (MINUTE, GONE)],
        [(MINUTE, ERRORED), (MINUTE, LIVE)],
        [(MINUTE, LIVE), (2 * MINUTE, OTHER_RUN)],
        [(MINUTE, LIVE), (MINUTE, GONE), (-HOUR, UNKNOWN)],
    ]
)
anything = (
    st.lists(st.tuples(steps, sightings | silences).map(lambda look: [look]) | scenes, max_size=15)
    .map(lambda parts: [look for part in parts for look in part])
    .map(_timed)
)


def run(history: list[Look], episode: Episode | None = None) -> tuple[list[Episode], list[Change]]:
    """The episode after each look, the first one before them all, and everything that was told."""
    episodes = [episode or Episode.waiting(T0)]
    told: list[Change] = []
    for now, observation in history:
        episode, changes = advance(episodes[-1], observation, now, GRACE)
        episodes.append(episode)
        told += changes
    return episodes, told


@settings(deadline=None)
@given(anything)
def test_each_change_once_and_in_a_legal_order(history: list[Look]) -> None:
    """Each change is told once, numbered without a gap, in a legal order, and nothing after the end of its episode."""
    _, told = run(history)

    by_episode: dict[int, list[Change]] = {}
    for change in told:
        by_episode.setdefault(change.episode, []).append(change)
    assert [change for changes in by_episode.values() for change in changes] == told
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
def test_state_agrees_with_what_is_told(history: list[Look]) -> None:
    """The episode knows how much of it was told and what last; its number grows by one, and only after an end."""
    for (now, observation), (before, after) in zip(history, pairwise(run(history)[0]), strict=True):
        changes = advance(before, observation, now, GRACE)[1]

        assert after.number - before.number in (0, 1)
        if after.number > before.number:
            assert before.phase is Phase.ENDED or changes[0].kind is ChangeKind.ENDED
        of_after = [change for change in changes if change.episode == after.number]
        assert after.seq == len(of_after) + (before.seq if after.number == before.number else 0)
        untold = None if after.number > before.number else before.last_announced
        assert after.last_announced == (of_after[-1].kind if of_after else untold)
        assert (
            (after.phase is Phase.ENDED) == (after.last_announced is ChangeKind.ENDED) == (after.ended_at is not None)
        )


@settings(deadline=None)
@given(anything)
def test_no_negative_duration(history: list[Look]) -> None:
    """Whatever the clocks do, nothing lasted less than no time, and no end lies before its start."""
    episodes, told = run(history)

    assert all(change.duration is None or change.duration >= timedelta(0) for change in told)
    assert all(episode.duration is None or episode.duration >= timedelta(0) for episode in episodes)


@settings(deadline=None)
@given(anything, st.booleans())
def test_json(history: list[Look], follow_late: bool) -> None:
    """The episode and its changes come back from JSON as they were, at each step."""
    first = initial(history[0][1], history[0][0]) if follow_late and history else None

    episodes, told = run(history, first)

    assert [Episode.from_dict(json.loads(json.dumps(episode.to_dict()))) for episode in episodes] == episodes
    assert [Change.from_dict(json.loads(json.dumps(change.to_dict()))) for change in told] == told


@settings(deadline=None)
@given(anything.filter(bool))
def test_the_same_look_again(history: list[Look]) -> None:
    """To see the same again at the same time changes nothing but the count of failures: hints may be repeated."""
    once = run(history)[0][-1]
    now, observation = history[-1]

    again, changes = advance(once, observation, now, GRACE)

    assert changes == ()
    assert replace(again, failed_checks=0) == replace(once, failed_checks=0)


@settings(deadline=None)
@given(anything, looks(silences | puzzles, least=1))
def test_no_news_changes_nothing(history: list[Look], no_news: list[Look]) -> None:
    """Answers that do not come or are not understood never begin, end or move an episode."""
    before = run(history)[0][-1]

    episodes, told = run(no_news, before)

    assert told == []
    assert _unheard(episodes[-1]) == _unheard(before)


def _unheard(episode: Episode) -> Episode:
    return replace(episode, checked_at=None, failed_checks=0, raw_status=None)


@settings(deadline=None)
@given(
    st.lists(st.tuples(steps, sightings, st.lists(silences | puzzles, max_size=3)), max_size=25),
)
def test_no_news_costs_and_gains_no_grace(history: list[tuple[timedelta, Observation, list[CheckResult]]]) -> None:
    """What is told is the same with and without any of them in between."""
    plain = _timed([(step, sighting) for step, sighting, _ in history])
    mixed = [
        look
        for (now, sighting), (_, _, between) in zip(plain, history, strict=True)
        for look in [*((now, observation) for observation in between), (now, sighting)]
    ]

    assert run(mixed)[1] == run(plain)[1]


@settings(deadline=None)
@given(anything, st.lists(steps), moments(0, 3_600))
def test_seen_live_is_never_ended(history: list[Look], times: list[timedelta], started: datetime | None) -> None:
    """What is always seen live in the same run does not end, whatever the clock does; nothing but *back* is told."""
    sighting = Observation(Status.LIVE, session_started_at=started)
    before = run([*history, (T0, sighting)])[0][-1]

    episodes, told = run(_timed([(step, sighting) for step in times]), before)

    assert [change.kind for change in told] in (
        [],
        [ChangeKind.BACK] if before.last_announced is ChangeKind.ERRORED else [],
    )
    assert {(episode.number, episode.phase) for episode in episodes} == {(before.number, Phase.LIVE)}


drops = st.tuples(
    st.integers(0, 1_000),
    st.lists(
        st.sampled_from([GONE, Observation(Status.STARTING), Observation(Status.UNKNOWN), CheckFailed("")]), min_size=1
    ),
    st.integers(0, 59),
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(drops))
def test_short_drops_are_silent(history: list[tuple[int, list[CheckResult], int, bool]]) -> None:
    """Drops shorter than the grace time tell nothing and leave the card as it was, in the same session or another."""
    first, now, session = initial(Observation(Status.LIVE, session_started_at=T0), T0), T0, T0
    looks: list[Look] = []
    for live_for, seen, gone_for, same_session in history:
        looks.append((now := now + timedelta(seconds=live_for), Observation(Status.LIVE, session_started_at=session)))
        for number, observation in enumerate(seen, 1):
            looks.append((now + timedelta(seconds=gone_for * number / len(seen)), observation))
        now += timedelta(seconds=gone_for)
        session = session if same_session else now
        looks.append((now, Observation(Status.LIVE, session_started_at=session)))

    episodes, told = run(looks, first)

    assert told == []
    assert card_key(episodes[-1]) == card_key(first)


errors = st.tuples(
    st.integers(15, 1_000),
    st.lists(st.sampled_from([ERRORED, ERRORED, Observation(Status.UNKNOWN), CheckFailed("")]), min_size=1),
    st.integers(0, 14),
)


@settings(deadline=None)
@given(st.lists(errors))
def test_short_errors_are_silent(history: list[tuple[int, list[CheckResult], int]]) -> None:
    """Errors shorter than their grace period, with as much life between them, tell nothing."""
    first, now = initial(Observation(Status.LIVE, session_started_at=T0), T0), T0
    looks: list[Look] = []
    for live_for, seen, broken_for in history:
        looks.append((now := now + timedelta(seconds=live_for), Observation(Status.LIVE, session_started_at=T0)))
        for number, observation in enumerate(seen, 1):
            looks.append((now + timedelta(seconds=broken_for * number / len(seen)), observation))
        looks.append((now := now + timedelta(seconds=broken_for), Observation(Status.LIVE, session_started_at=T0)))

    episodes, told = run(looks, first)

    assert told == []
    assert card_key(episodes[-1]) == card_key(first)


@settings(deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.sampled_from([LIVE, ERRORED, UNKNOWN, CheckFailed("")]), min_size=1, max_size=8),
    st.sampled_from([(LIVE, Phase.LIVE), (ERRORED, Phase.ERRORED), (GONE, Phase.ENDED)]),
)
def test_flapping_tells_a_handful_and_the_truth_at_the_end(
    every: int, pattern: list[CheckResult], end: tuple[CheckResult, Phase]
) -> None:
    """An hour of any pattern of life and errors tells a handful; what is so in the end is what was told last."""
    first, hour = initial(LIVE, T0), 3_600 // every
    looks: list[Look] = [(T0 + timedelta(seconds=every * n), pattern[n % len(pattern)]) for n in range(hour)]

    episodes, told = run(looks, first)
    calm = [(T0 + timedelta(hours=1, seconds=15 * n), end[0]) for n in range(70)]
    last_episodes, last = run(calm, episodes[-1])

    assert len(told) <= 14
    assert last_episodes[-1].phase is end[1]
    truth = {Phase.LIVE: (ChangeKind.LIVE, ChangeKind.BACK), Phase.ERRORED: (ChangeKind.ERRORED,)}
    assert last_episodes[-1].last_announced in truth.get(end[1], (ChangeKind.ENDED,))
    assert len(last) <= 1


@settings(deadline=None)
@given(anything)
def test_what_is_pending_is_told_when_its_time_comes(history: list[Look]) -> None:
    """The check at that time, if it finds the same, tells something, or ends what never began; none before does."""
    episode = run(history)[0][-1]
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
def test_gone_for_the_grace_time_is_the_end(
    history: list[Look], step: timedelta, between: list[int], later: int
) -> None:
    """Whatever was before, a clock set back included: gone for the grace time, and at one more check, it is over."""
    now = (history[-1][0] if history else T0) + step
    gone: list[Look] = [
        (now + timedelta(seconds=seconds), GONE) for seconds in [0, *sorted(between), later, later + 15]
    ]

    episodes, told = run([*history, *gone])

    assert episodes[-1].phase in (Phase.WAITING, Phase.ENDED)
    assert (episodes[-1].phase is Phase.WAITING) == (episodes[-1].last_announced is None)
    assert not told or told[-1].kind is ChangeKind.ENDED


@settings(deadline=None)
@given(anything)
def test_an_end_is_seen(history: list[Look]) -> None:
    """Nothing ends at its first sight off the air, unless what is seen is the sign of life of the next run."""
    for (now, observation), (before, after) in zip(history, pairwise(run(history)[0]), strict=True):
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
def test_words_decide_nothing(history: list[Look], words: list[str | None]) -> None:
    """Names, URLs and words that are not known change what is shown, never what is told or when."""
    other: list[Look] = [
        (now, replace(seen, name=word, playback_url=word, raw_status=word) if isinstance(seen, Observation) else seen)
        for (now, seen), word in zip(history, cycle(words), strict=False)
    ]

    assert [_essence(change) for change in run(other)[1]] == [_essence(change) for change in run(history)[1]]


def _essence(change: Change) -> Change:
    return replace(change, name=None, playback_url=None)
