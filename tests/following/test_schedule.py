"""How soon a meeting is checked again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.episode import ChangeKind, Episode, Phase
from bot.following.schedule import ListFreshness, WebhookTrust, next_check_in

NOW = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
GRACE = timedelta(seconds=60)


def episode(phase: Phase, age: float = 0) -> Episode:
    """In this phase for so many seconds, and that has been announced."""
    told = {Phase.LIVE: ChangeKind.LIVE, Phase.ERRORED: ChangeKind.ERRORED}.get(phase)
    return replace(Episode.waiting(NOW - timedelta(seconds=age)), phase=phase, last_announced=told)


@pytest.mark.parametrize(
    ("phase", "age", "seconds"),
    [
        (Phase.LIVE, 0, 15),
        (Phase.LIVE, 100_000, 15),
        (Phase.STARTING, 0, 15),
        (Phase.STARTING, 900, 15),
        (Phase.STARTING, 1800, 30),
        (Phase.STARTING, 100_000, 60),
        (Phase.ERRORED, 0, 15),
        (Phase.ERRORED, 100_000, 60),
        (Phase.WAITING, 0, 60),
        (Phase.WAITING, 3600, 60),
        (Phase.WAITING, 3 * 3600, 180),
        (Phase.ENDED, 100_000, 300),
    ],
)
def test_without_webhooks(phase: Phase, age: float, seconds: float) -> None:
    """Meetings on air are checked often, idle ones rarely, and those idle for hours even more rarely."""
    assert next_check_in(episode(phase, age), NOW, grace=GRACE) == seconds


@pytest.mark.parametrize(
    ("phase", "seconds"), [(Phase.LIVE, 30), (Phase.STARTING, 15), (Phase.WAITING, 300), (Phase.ENDED, 300)]
)
def test_with_webhooks(phase: Phase, seconds: float) -> None:
    """Checks are only a safety net, except for what webhooks do not report."""
    assert next_check_in(episode(phase), NOW, grace=GRACE, webhooks=True) == seconds


@pytest.mark.parametrize(
    ("phase", "seconds"),
    [(Phase.LIVE, 60), (Phase.STARTING, 60), (Phase.ERRORED, 60), (Phase.WAITING, 60), (Phase.ENDED, 60)],
)
def test_with_sweeps(phase: Phase, seconds: float) -> None:
    """Meetings that lists show are checked less often."""
    seen = replace(episode(phase), session_started_at=NOW, checked_at=NOW, last_seen_live=NOW)

    assert next_check_in(seen, NOW, grace=GRACE, lists=True) == seconds


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize(("age", "seconds"), [(0, 15), (5, 10), (14.5, 0.5), (15, 15), (-3600, 15)])
def test_error_is_checked_when_it_is_to_be_announced(lists: bool, age: float, seconds: float) -> None:
    """The check that announces an error is due when the error has lasted, whatever lists show."""
    broken = replace(
        episode(Phase.ERRORED, age), last_announced=ChangeKind.LIVE, unstable_since=NOW - timedelta(seconds=age)
    )

    assert next_check_in(broken, NOW, grace=GRACE, lists=lists) == seconds


@pytest.mark.parametrize(
    ("relapses", "age", "seconds"), [(0, 0, 60), (0, 45, 15), (0, 59.5, 0.5), (0, 60, 60), (1, 100, 20), (9, 890, 10)]
)
def test_return_is_checked_when_it_is_to_be_announced(relapses: int, age: float, seconds: float) -> None:
    """The check that announces that it is back comes when it has been live for long enough."""
    seen = replace(episode(Phase.LIVE, age), session_started_at=NOW, checked_at=NOW, last_seen_live=NOW)
    back = replace(seen, last_announced=ChangeKind.ERRORED, relapses=relapses)

    assert next_check_in(back, NOW, grace=GRACE, lists=True) == seconds


@pytest.mark.parametrize(("run", "seen_live"), [(None, NOW), (NOW, NOW - 5 * GRACE)])
def test_a_run_that_is_not_known(run: datetime | None, seen_live: datetime) -> None:
    """Lists do not show sessions, so a live meeting with an unknown session is checked again."""
    seen = replace(episode(Phase.LIVE), session_started_at=run, checked_at=NOW, last_seen_live=seen_live)

    assert next_check_in(seen, NOW, grace=GRACE, lists=True) == 15


@pytest.mark.parametrize(("age", "seconds"), [(0, 60), (45, 15), (59.5, 0.5), (60, 15), (-3600, 15)])
def test_interrupted_with_sweeps(age: float, seconds: float) -> None:
    """One check finds the end; lists show whether the livestream returns before that."""
    assert next_check_in(episode(Phase.INTERRUPTED, age), NOW, grace=GRACE, lists=True) == seconds


@pytest.mark.parametrize(("grace", "seconds"), [(300, 300), (301, 300), (3600, 300)])
def test_interrupted_with_sweeps_and_a_long_grace_time(grace: float, seconds: float) -> None:
    """Checks are a safety net for what lists report."""
    assert next_check_in(episode(Phase.INTERRUPTED), NOW, grace=timedelta(seconds=grace), lists=True) == seconds


@pytest.mark.parametrize(("age", "seconds"), [(0, 15), (45, 15), (50, 10), (59.5, 0.5), (60, 15), (-3600, 15)])
@pytest.mark.parametrize("webhooks", [True, False])
def test_interrupted(age: float, seconds: float, webhooks: bool) -> None:
    """The check that finds the end comes when the grace period is over, and not before."""
    jitter = 0.0 if seconds == 15 else 1.0
    assert next_check_in(episode(Phase.INTERRUPTED, age), NOW, grace=GRACE, webhooks=webhooks, jitter=jitter) == seconds


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 300), (7, 300), (100_000, 300)]
)
def test_failures(failures: int, seconds: float) -> None:
    """A meeting whose checks fail is checked ever less often."""
    assert next_check_in(episode(Phase.LIVE), NOW, grace=GRACE, failures=failures) == seconds
    assert next_check_in(episode(Phase.INTERRUPTED, 50), NOW, grace=GRACE, failures=failures) == seconds


def test_a_failure_hastens_nothing() -> None:
    """A meeting with a long interval is not checked more often for it."""
    assert next_check_in(episode(Phase.WAITING, 100_000), NOW, grace=GRACE, failures=1) == 300


@given(st.sampled_from(Phase), st.floats(-1e6, 1e8), st.booleans(), st.booleans(), st.integers(0, 20), st.floats(0, 1))
def test_bounds(phase: Phase, age: float, webhooks: bool, lists: bool, failures: int, jitter: float) -> None:
    """Never at once, never later than five minutes, whatever the clock does; jitter takes off a tenth at most."""
    look = partial(
        next_check_in, episode(phase, age), NOW, grace=GRACE, webhooks=webhooks, lists=lists, failures=failures
    )
    usual = look()
    seconds = look(jitter=jitter)

    assert 0 < seconds <= 300
    assert 0.9 * usual <= seconds + 1e-9
    assert seconds <= usual


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Phase.WAITING, Phase.LIVE),
        (Phase.ERRORED, Phase.LIVE),
        (Phase.LIVE, Phase.INTERRUPTED),
        (Phase.LIVE, Phase.ENDED),
    ],
)
def test_webhooks_are_believed(before: Phase, after: Phase) -> None:
    """Once a change came with one, until one comes without."""
    webhooks = WebhookTrust()
    trusted = [webhooks.trusted]

    for received in (True, False):
        webhooks.record(before, after, received=received)
        trusted.append(webhooks.trusted)

    assert trusted == [False, True, False]


@pytest.mark.parametrize("received", [True, False])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Phase.LIVE, Phase.LIVE),
        (Phase.LIVE, Phase.ERRORED),
        (Phase.WAITING, Phase.STARTING),
        (Phase.ENDED, Phase.ENDED),
    ],
)
def test_what_webhooks_do_not_tell(before: Phase, after: Phase, received: bool) -> None:
    """It says nothing about them."""
    webhooks = WebhookTrust()
    webhooks.trusted = not received

    webhooks.record(before, after, received=received)

    assert webhooks.trusted is not received


def test_sweeps_are_believed_for_a_while() -> None:
    """From one that showed all, until they no longer come, or show less."""
    lists = ListFreshness()
    assert not lists.is_fresh(1000)

    lists.record(1000, is_complete=True)
    assert [lists.is_fresh(now) for now in (1000, 1089, 1090, 900)] == [True, True, False, False]
    lists.record(1010, is_complete=False)
    assert not lists.is_fresh(1010)
