"""The interval until a meeting's next check, and whether webhooks and lists are trusted to show changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.episode import ChangeKind, Episode, Phase
from bot.following.schedule import ListFreshness, WebhookTrust, next_check_in

NOW = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
GRACE = timedelta(seconds=60)
CERTAIN: dict[str, Any] = {"session_started_at": NOW, "checked_at": NOW, "last_seen_live": NOW}
"""Fields of a live episode whose session is known."""


def episode(phase: Phase, age: float = 0, **fields: Any) -> Episode:
    """Return an episode that has been in this phase for some seconds, which has been announced."""
    announced = {Phase.LIVE: ChangeKind.LIVE, Phase.ERRORED: ChangeKind.ERRORED}.get(phase)
    waiting = Episode.waiting(NOW - timedelta(seconds=age))
    return replace(waiting, phase=phase, **{"last_announced": announced, **fields})


def error(age: float) -> Episode:
    """Return an episode with an error that is not announced yet."""
    since = NOW - timedelta(seconds=age)
    return episode(Phase.ERRORED, age, last_announced=ChangeKind.LIVE, unstable_since=since)


def recovery(age: float, relapses: int = 0) -> Episode:
    """Return a live episode whose recovery is not announced yet."""
    return episode(Phase.LIVE, age, **CERTAIN, last_announced=ChangeKind.ERRORED, relapses=relapses)


@pytest.mark.parametrize(
    ("phase", "age", "seconds", "with_webhooks", "with_lists"),
    [
        # Meetings on air are checked often, idle ones rarely, and those idle for hours even more rarely. With webhooks,
        # checks are a safety net, except for what webhooks do not report: starts and errors.
        (Phase.LIVE, 0, 15, 30, 60),
        (Phase.LIVE, 100_000, 15, 30, 60),
        (Phase.STARTING, 0, 15, 15, 60),
        (Phase.STARTING, 900, 15, 15, 60),
        (Phase.STARTING, 1_800, 30, 30, 60),
        (Phase.STARTING, 100_000, 60, 60, 60),
        (Phase.ERRORED, 0, 15, 15, 60),
        (Phase.ERRORED, 100_000, 60, 60, 60),
        (Phase.WAITING, 0, 60, 300, 60),
        (Phase.WAITING, 3_600, 60, 300, 60),
        (Phase.WAITING, 3 * 3_600, 180, 300, 180),
        (Phase.ENDED, 0, 60, 300, 60),
        (Phase.ENDED, 100_000, 300, 300, 300),
        # The check that finds the end is due when the grace period is over. With lists, which show whether the
        # livestream is back, it is the only one.
        (Phase.INTERRUPTED, 0, 15, 15, 60),
        (Phase.INTERRUPTED, 45, 15, 15, 15),
        (Phase.INTERRUPTED, 50, 10, 10, 10),
        (Phase.INTERRUPTED, 59.5, 0.5, 0.5, 0.5),
        (Phase.INTERRUPTED, 60, 15, 15, 15),
        (Phase.INTERRUPTED, -3_600, 15, 15, 15),
    ],
)
def test_interval_depends_on_phase_and_age(
    phase: Phase, age: float, seconds: float, with_webhooks: float, with_lists: float
) -> None:
    seen = episode(phase, age, **CERTAIN)

    assert next_check_in(seen, NOW, grace=GRACE) == seconds
    assert next_check_in(seen, NOW, grace=GRACE, webhooks=True) == with_webhooks
    assert next_check_in(seen, NOW, grace=GRACE, lists=True) == with_lists


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize(
    ("seen", "seconds"),
    [
        *[(error(age), seconds) for age, seconds in [(0, 15), (5, 10), (14.5, 0.5), (15, 15), (-3_600, 15)]],
        (recovery(59.5), 0.5),
        (recovery(45), 15),
        (recovery(890, relapses=9), 10),
    ],
)
def test_pending_change_is_checked_when_it_is_due(seen: Episode, seconds: float, lists: bool) -> None:
    assert next_check_in(seen, NOW, grace=GRACE, lists=lists) == seconds


@pytest.mark.parametrize(("relapses", "age", "seconds"), [(0, 0, 60), (0, 60, 60), (1, 100, 20)])
def test_recovery_needs_no_other_check_with_lists(relapses: int, age: float, seconds: float) -> None:
    assert next_check_in(recovery(age, relapses), NOW, grace=GRACE, lists=True) == seconds


@pytest.mark.parametrize(("session", "seen_live"), [(None, NOW), (NOW, NOW - 5 * GRACE)])
def test_live_meeting_in_an_unknown_session_is_checked_despite_lists(
    session: datetime | None, seen_live: datetime
) -> None:
    """Lists do not show sessions."""
    seen = replace(episode(Phase.LIVE, **CERTAIN), session_started_at=session, last_seen_live=seen_live)

    assert next_check_in(seen, NOW, grace=GRACE, lists=True) == 15


@pytest.mark.parametrize("grace", [300, 301, 3_600])
def test_long_grace_period_has_a_check_every_five_minutes(grace: float) -> None:
    assert next_check_in(episode(Phase.INTERRUPTED), NOW, grace=timedelta(seconds=grace), lists=True) == 300


@pytest.mark.parametrize(("age", "seconds"), [(50, 10), (59.5, 0.5)])
@pytest.mark.parametrize("webhooks", [True, False])
def test_check_at_the_end_of_the_grace_period_has_no_jitter(age: float, seconds: float, webhooks: bool) -> None:
    seen = episode(Phase.INTERRUPTED, age)

    assert next_check_in(seen, NOW, grace=GRACE, webhooks=webhooks, jitter=1.0) == seconds


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 15), (2, 30), (3, 60), (4, 120), (5, 240), (6, 300), (7, 300), (100_000, 300)]
)
def test_failed_checks_are_repeated_with_backoff(failures: int, seconds: float) -> None:
    assert next_check_in(episode(Phase.LIVE), NOW, grace=GRACE, failures=failures) == seconds
    assert next_check_in(episode(Phase.INTERRUPTED, 50), NOW, grace=GRACE, failures=failures) == seconds


def test_failed_check_does_not_hasten_the_next() -> None:
    assert next_check_in(episode(Phase.WAITING, 100_000), NOW, grace=GRACE, failures=1) == 300


@given(st.sampled_from(Phase), st.floats(-1e6, 1e8), st.booleans(), st.booleans(), st.integers(0, 20), st.floats(0, 1))
def test_interval_is_positive_and_at_most_five_minutes(
    phase: Phase, age: float, webhooks: bool, lists: bool, failures: int, jitter: float
) -> None:
    """Whatever the clock does; jitter shortens it by a tenth at most."""
    interval = partial(
        next_check_in, episode(phase, age), NOW, grace=GRACE, webhooks=webhooks, lists=lists, failures=failures
    )
    usual = interval()
    seconds = interval(jitter=jitter)

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
def test_webhooks_are_trusted_from_a_change_with_one_to_a_change_without(before: Phase, after: Phase) -> None:
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
def test_trust_ignores_what_webhooks_do_not_report(before: Phase, after: Phase, received: bool) -> None:
    webhooks = WebhookTrust()
    webhooks.trusted = not received

    webhooks.record(before, after, received=received)

    assert webhooks.trusted is not received


def test_lists_are_fresh_for_a_while_after_a_complete_one() -> None:
    lists = ListFreshness()
    assert not lists.is_fresh(1000)

    lists.record(1000, is_complete=True)
    assert [lists.is_fresh(now) for now in (1000, 1089, 1090, 900)] == [True, True, False, False]
    lists.record(1010, is_complete=False)
    assert not lists.is_fresh(1010)
