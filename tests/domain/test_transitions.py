"""The changes that an episode announces, and what its card shows, for each course of a livestream."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from bot.domain.episode import STALE_AFTER, Change, ChangeKind, Episode, Phase, card_key
from bot.domain.observation import CheckFailed, CheckResult, Observation, Status
from bot.domain.sessions import ERROR_RECOVERY_WINDOW
from bot.domain.transitions import advance, initial

T0 = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
GRACE = timedelta(seconds=60)
STREAM = "https://customer-s4ndb0x.cloudflarestream.com/0123456789abcdef0123456789abcdef/manifest/video.m3u8"

GONE = Observation(Status.NOT_BROADCASTING)
STARTING = Observation(Status.STARTING, "INVOKED")
UNKNOWN = Observation(Status.UNKNOWN, "PAUSED")
SILENCE = CheckFailed("It is down.")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def live(session: float | None = None, **fields: Any) -> Observation:
    """Return LIVE with the start of its session in seconds; None for an unknown session."""
    return Observation(Status.LIVE, "LIVE", session_started_at=None if session is None else at(session), **fields)


def errored(
    session: float | None = None, stopped: float | None = None, reason: str | None = None, **fields: Any
) -> Observation:
    return Observation(
        Status.ERRORED,
        "ERRORED",
        session_started_at=None if session is None else at(session),
        session_stopped_at=None if stopped is None else at(stopped),
        error_reason=reason,
        **fields,
    )


class Timeline:
    """One meeting over many checks."""

    def __init__(self, episode: Episode | None = None) -> None:
        self.episode = episode or Episode.waiting(T0)
        self.changes: list[Change] = []

    def see(self, *checks: tuple[float, CheckResult]) -> "Timeline":
        """Apply these observations at these seconds."""
        for seconds, observation in checks:
            self.episode, changes = advance(self.episode, observation, at(seconds), GRACE)
            self.changes += changes
        return self

    @property
    def announced(self) -> list[tuple[int, ChangeKind]]:
        return [(change.episode, change.kind) for change in self.changes]

    @property
    def phase(self) -> tuple[int, Phase]:
        return self.episode.number, self.episode.phase


def timeline(*checks: tuple[float, CheckResult]) -> Timeline:
    return Timeline().see(*checks)


def test_an_episode_announces_start_live_and_end() -> None:
    announced = timeline((0, GONE), (10, STARTING), (25, live(24)), (300, live(24)), (310, GONE), (370, GONE)).changes

    assert [(change.episode, change.seq, change.kind) for change in announced] == [
        (1, 1, ChangeKind.STARTING),
        (1, 2, ChangeKind.LIVE),
        (1, 3, ChangeKind.ENDED),
    ]


def test_change_has_the_times_when_it_happened_and_was_seen() -> None:
    starting, on_air, ended = timeline((10, STARTING), (25, live(24)), (310, GONE), (375, GONE)).changes

    assert (starting.at, starting.seen_at) == (at(10), at(10))
    assert (on_air.at, on_air.seen_at) == (at(24), at(25))
    assert (ended.at, ended.seen_at) == (at(310), at(375))


def test_changes_carry_the_facts_for_their_sentences() -> None:
    """Live has a name and a playback URL; ended has a duration and no URL."""
    seen = live(20, name="Keynote", playback_url=STREAM)

    on_air, ended = timeline((20, seen), (320, GONE), (380, GONE)).changes

    assert (on_air.name, on_air.playback_url, on_air.duration) == ("Keynote", STREAM, None)
    assert (ended.name, ended.playback_url, ended.duration) == ("Keynote", None, timedelta(seconds=300))


def test_waiting_continues_while_off_air() -> None:
    waited = timeline((0, GONE), (600, GONE))

    assert waited.announced == []
    assert waited.episode == dataclasses.replace(Episode.waiting(T0), checked_at=at(600))


def test_off_air_interrupts_silently() -> None:
    dropped = timeline((0, live(0)), (100, GONE), (159, GONE))

    assert dropped.announced == [(1, ChangeKind.LIVE)]
    assert (dropped.episode.phase, dropped.episode.phase_since) == (Phase.INTERRUPTED, at(100))


@pytest.mark.parametrize("session", [0, 120, None])
def test_return_within_the_grace_period_continues_the_episode(session: float | None) -> None:
    back = timeline((0, live(0)), (100, GONE), (160, live(session)))

    assert back.announced == [(1, ChangeKind.LIVE)]
    assert back.phase == (1, Phase.LIVE)
    assert back.episode.live_since == at(0)


def test_episode_ends_once_after_the_grace_period() -> None:
    """The end is at the time when it was first seen off air."""
    over = timeline((0, live(0)), (100, GONE), (160, GONE), (175, GONE), (900, GONE))

    assert over.announced == [(1, ChangeKind.LIVE), (1, ChangeKind.ENDED)]
    assert over.episode.ended_at == over.changes[-1].at == at(100)
    assert over.episode.duration == over.changes[-1].duration == timedelta(seconds=100)


def test_each_drop_has_its_own_grace_period() -> None:
    assert timeline((0, live(0)), (50, GONE), (90, live(0)), (130, GONE), (170, live(0))).announced == [
        (1, ChangeKind.LIVE)
    ]


@pytest.mark.parametrize(
    ("stopped", "ended"),
    [(85, 85), (80, 80), (100, 100), (79, 100), (101, 100), (None, 100)],
)
def test_plausible_stop_time_of_cloudflare_is_the_end(stopped: float | None, ended: float) -> None:
    """It must lie between the last check that saw it live and the first that did not."""
    gone = dataclasses.replace(GONE, session_stopped_at=None if stopped is None else at(stopped))

    over = timeline((0, live(0)), (80, live(0)), (100, gone), (160, GONE))

    assert over.episode.ended_at == at(ended)


def test_start_that_never_went_live_ends_without_a_duration() -> None:
    over = timeline((0, STARTING), (30, GONE), (89, GONE), (90, dataclasses.replace(GONE, session_stopped_at=at(10))))

    assert over.announced == [(1, ChangeKind.STARTING), (1, ChangeKind.ENDED)]
    assert (over.changes[-1].at, over.changes[-1].duration, over.episode.duration) == (at(30), None, None)


def test_start_that_is_off_air_for_a_moment_is_announced_once() -> None:
    assert timeline((0, STARTING), (30, GONE), (60, STARTING)).phase == (1, Phase.STARTING)
    assert timeline((0, STARTING), (30, GONE), (60, STARTING), (90, live(89))).announced == [
        (1, ChangeKind.STARTING),
        (1, ChangeKind.LIVE),
    ]


def test_starting_before_and_after_an_outage_is_one_start() -> None:
    """Nothing distinguishes two of them."""
    assert timeline((0, STARTING), (30, GONE), (45, SILENCE), (600, STARTING)).announced == [(1, ChangeKind.STARTING)]


def test_long_start_and_live_are_one_episode() -> None:
    assert timeline((0, STARTING), (7_200, live(7_190))).announced == [(1, ChangeKind.STARTING), (1, ChangeKind.LIVE)]


def test_live_since_is_the_first_check_without_a_session_start() -> None:
    assert timeline((30, live()), (60, live())).episode.live_since == at(30)


def test_session_start_may_arrive_later() -> None:
    assert timeline((30, live()), (45, live(20))).episode.live_since == at(20)


def test_later_session_keeps_live_since() -> None:
    assert timeline((30, live()), (45, GONE), (60, live(55))).episode.live_since == at(30)
    assert timeline((30, live(29)), (45, live(28))).episode.live_since == at(29)


def test_session_start_in_the_future_is_ignored() -> None:
    assert timeline((30, live(9_999))).episode.live_since == at(30)


def test_unnoticed_interruption_is_the_same_episode() -> None:
    """Another session began within the grace period after the last check."""
    flapped = timeline((0, live(0)), (100, live(0)), (600, live(160)))

    assert flapped.announced == [(1, ChangeKind.LIVE)]
    assert flapped.episode.session_started_at == at(160)


def test_unseen_end_is_announced_before_the_next_start() -> None:
    restarted = timeline((0, live(0)), (100, live(0)), (600, live(161)))

    assert restarted.announced == [(1, ChangeKind.LIVE), (1, ChangeKind.ENDED), (2, ChangeKind.LIVE)]
    ended, on_air = restarted.changes[1:]
    assert (ended.seq, ended.at, ended.duration) == (2, at(100), timedelta(seconds=100))
    assert (on_air.seq, on_air.at) == (1, at(161))
    assert restarted.phase == (2, Phase.LIVE)


def test_unseen_end_of_an_unknown_session_is_announced() -> None:
    """The next session began well after the last check."""
    assert timeline((0, live()), (600, live(500))).announced == [
        (1, ChangeKind.LIVE),
        (1, ChangeKind.ENDED),
        (2, ChangeKind.LIVE),
    ]


def test_response_without_a_session_start_keeps_the_known_one() -> None:
    seen = timeline((0, live(0)), (600, live()), (1_200, live(0)))

    assert seen.announced == [(1, ChangeKind.LIVE)]
    assert timeline((0, live(0)), (600, live())).episode.session_started_at == at(0)


def test_failed_next_session_is_recognized_by_its_start() -> None:
    assert timeline((0, live(0)), (600, errored(500)), (615, errored(500))).announced == [
        (1, ChangeKind.LIVE),
        (1, ChangeKind.ENDED),
        (2, ChangeKind.ERRORED),
    ]


def test_playback_url_does_not_distinguish_sessions() -> None:
    first, second = live(0, playback_url=STREAM), live(0, playback_url=f"{STREAM}?2")
    later = live(500, playback_url=STREAM)

    assert timeline((0, first), (600, second)).announced == [(1, ChangeKind.LIVE)]
    assert timeline((0, first), (600, later)).phase == (2, Phase.LIVE)


def test_lasting_error_is_announced_once() -> None:
    broken = timeline((0, live(0)), (100, errored(0, 95, "No ingest")), (130, errored(0, 95)), (145, errored(0, 95)))

    assert broken.announced == [(1, ChangeKind.LIVE), (1, ChangeKind.ERRORED)]
    assert broken.changes[-1].error_reason == broken.episode.error_reason == "No ingest"
    assert (broken.changes[-1].at, broken.changes[-1].seen_at) == (at(100), at(130))


@pytest.mark.parametrize(("again", "announced"), [(114, False), (115, True)])
def test_error_is_announced_after_its_grace_period(again: float, announced: bool) -> None:
    """The card shows it at once."""
    broken = timeline((0, live(0)), (100, errored(0)))

    assert broken.phase == (1, Phase.ERRORED)
    assert broken.announced == [(1, ChangeKind.LIVE)]
    assert (broken.see((again, errored(0))).announced[-1] == (1, ChangeKind.ERRORED)) is announced


def test_error_grace_period_is_at_most_the_grace_period() -> None:
    episode, _ = advance(Episode.waiting(T0), live(0), T0, timedelta(seconds=5))
    episode, _ = advance(episode, errored(0), at(10), timedelta(seconds=5))

    assert [change.kind for change in advance(episode, errored(0), at(15), timedelta(seconds=5))[1]] == ["errored"]


def test_short_error_is_silent() -> None:
    seen = timeline((0, live(0)))
    shown = card_key(seen.episode)
    for minute in range(1, 30):
        seen.see((60 * minute, errored(0)), (60 * minute + 14, live(0)), (60 * minute + 30, live(0)))

    assert seen.announced == [(1, ChangeKind.LIVE)]
    assert card_key(seen.episode) == shown


def test_end_has_the_reason_of_the_short_error_before_it() -> None:
    over = timeline((0, live(0)), (95, live(0)), (100, errored(0, reason="No ingest")), (110, GONE), (170, GONE))

    assert over.announced == [(1, ChangeKind.LIVE), (1, ChangeKind.ENDED)]
    assert (over.changes[-1].at, over.changes[-1].error_reason) == (at(95), "No ingest")


def test_short_error_before_any_announcement_returns_to_waiting() -> None:
    waiting = timeline((0, errored(0)), (10, GONE), (70, GONE))

    assert waiting.announced == []
    assert waiting.phase == (1, Phase.WAITING)
    assert waiting.see((300, live(290))).announced == [(1, ChangeKind.LIVE)]
    assert waiting.episode.live_since == at(290)


def test_error_of_the_previous_episode_is_not_announced_while_waiting() -> None:
    over = timeline((0, live(0)), (100, GONE), (160, GONE), (200, errored(190)), (210, GONE), (270, GONE))
    assert over.phase == (2, Phase.WAITING)

    over.see((300, errored(0)), (400, errored()), (500, errored(0)))

    assert over.phase == (2, Phase.WAITING)
    assert len(over.changes) == 2


def test_errors_with_short_recoveries_are_announced_as_one() -> None:
    flapping = timeline((0, live(0)), *[(100 + 5 * n, live(0) if n % 2 else errored(0)) for n in range(4)])
    assert flapping.announced == [(1, ChangeKind.LIVE)]

    flapping.see((120, errored(0)))

    assert flapping.announced[1:] == [(1, ChangeKind.ERRORED)]


def test_error_flapping_with_an_end_or_start_is_announced() -> None:
    for other in (GONE, STARTING):
        broken = timeline((0, live(0)), *[(100 + 10 * n, other if n % 2 else errored(0)) for n in range(3)])

        assert broken.announced[-1] == (1, ChangeKind.ERRORED)


@pytest.mark.parametrize("every", [1, 4, 5, 7, 15, 16])
def test_hour_of_flapping_announces_few_changes_and_the_final_state(every: float) -> None:
    flapping = timeline((0, live(0)))
    second = 0.0
    while second < 3_600:
        second += every
        flapping.see((second, live(0) if round(second / every) % 2 else errored(0)))
    assert len(flapping.changes) <= 10

    for calm in range(1, 70):
        flapping.see((second + 15 * calm, live(0)))

    assert flapping.announced[-1][1] in (ChangeKind.LIVE, ChangeKind.BACK)
    assert flapping.phase == (1, Phase.LIVE)


@pytest.mark.parametrize("live_for", [60, 75, 200])
def test_repeated_relapses_are_announced_ever_more_rarely(live_for: float) -> None:
    """The first of them is announced at once."""
    relapsing, second = timeline((0, live(0))), 0.0
    while second < 4 * 3_600:
        relapsing.see((second + 1, errored(0)), (second + 20, errored(0)))
        second += 20
        relapsing.see(*[(second + step, live(0)) for step in (1, live_for / 2, live_for + 1)])
        second += live_for + 1

    kinds = [kind for _, kind in relapsing.announced]
    assert kinds[:2] == [ChangeKind.LIVE, ChangeKind.ERRORED]
    assert len(kinds) <= 12
    assert relapsing.see(*[(second + 15 * n, live(0)) for n in range(1, 70)]).announced[-1] == (1, ChangeKind.BACK)


def test_errors_hours_apart_are_each_announced_soon() -> None:
    seen = timeline((0, live(0)))
    for hour in range(1, 6):
        start = hour * 3_600
        seen.see((start, errored(0)), (start + 15, errored(0)), (start + 30, live(0)), (start + 90, live(0)))

    assert [change.seen_at for change in seen.changes[1:]] == [
        at(hour * 3_600 + seconds) for hour in range(1, 6) for seconds in (15, 90)
    ]


@pytest.mark.parametrize(("again", "announced"), [(3_059, False), (3_060, True)])
def test_back_is_announced_after_the_grace_period(again: float, announced: bool) -> None:
    """The card shows it at once."""
    back = timeline((0, live(0)), (100, errored(0)), (115, errored(0)), (3_000, live(0)))

    assert back.phase == (1, Phase.LIVE)
    assert back.announced[-1] == (1, ChangeKind.ERRORED)
    assert (back.see((again, live(0))).announced[-1] == (1, ChangeKind.BACK)) is announced


def test_end_before_the_recovery_is_announced_is_when_it_was_seen_gone() -> None:
    over = timeline((0, live(0)), (100, errored(0)), (115, errored(0)), (200, live(0)), (215, GONE), (275, GONE))

    assert over.announced[1:] == [(1, ChangeKind.ERRORED), (1, ChangeKind.ENDED)]
    assert (over.changes[-1].at, over.changes[-1].error_reason) == (at(215), None)


def test_clock_set_back_delays_an_error_by_one_grace_period_at_most() -> None:
    announced = timeline(
        (0, live(0)), (3_600, errored(0)), (5, errored(0)), (20, errored(0)), (30, live(0)), (-3_600, live(0))
    )
    assert announced.announced[-1] == (1, ChangeKind.ERRORED)

    assert announced.see((-3_540, live(0))).announced[-1] == (1, ChangeKind.BACK)


def test_late_reason_is_shown_but_not_announced_again() -> None:
    broken = timeline((0, live(0)), (100, errored(0)), (115, errored(0)), (130, errored(0, reason="No ingest")))

    assert len(broken.changes) == 2
    assert broken.episode.error_reason == "No ingest"


@pytest.mark.parametrize("session", [0, 100 + ERROR_RECOVERY_WINDOW.total_seconds(), None])
def test_live_soon_after_an_error_is_announced_as_back(session: float | None) -> None:
    """In the same session, an unknown one, or one that began within the recovery window."""
    broken = (100, errored(0, reason="No ingest")), (115, errored(0))
    back = timeline((0, live(0)), *broken, (3_000, live(session)), (3_060, live(session)))

    assert back.announced == [(1, ChangeKind.LIVE), (1, ChangeKind.ERRORED), (1, ChangeKind.BACK)]
    assert back.episode.error_reason is None
    assert back.changes[-1].at == at(3_000)


def test_live_after_an_error_and_a_drop_is_announced_as_back() -> None:
    broken = (0, live(0)), (50, errored(0)), (65, errored(0)), (80, GONE)

    assert timeline(*broken, (90, live(0)), (150, live(0))).announced[-1] == (1, ChangeKind.BACK)
    assert timeline(*broken, (90, errored(0))).announced[-1] == (1, ChangeKind.ERRORED)


def test_interruption_after_back_is_silent() -> None:
    broken = (50, errored(0)), (65, errored(0)), (80, live(0)), (140, live(0))
    announced = timeline(
        (0, live(0)), *broken, (150, GONE), (180, live(0)), (200, errored(0)), (215, errored(0))
    ).announced

    assert [kind for _, kind in announced] == [ChangeKind.LIVE, ChangeKind.ERRORED, ChangeKind.BACK, ChangeKind.ERRORED]


def test_first_live_after_an_error_is_announced_as_live_not_back() -> None:
    assert timeline((0, STARTING), (20, errored()), (35, errored()), (60, live(59))).announced == [
        (1, ChangeKind.STARTING),
        (1, ChangeKind.ERRORED),
        (1, ChangeKind.LIVE),
    ]


def test_session_first_seen_errored_is_live_since_its_start() -> None:
    assert timeline((0, errored(-60)), (60, live(-60))).episode.live_since == at(-60)


def test_session_long_after_an_error_is_the_next_episode() -> None:
    """Even if Cloudflare kept reporting ERRORED."""
    late = 101 + ERROR_RECOVERY_WINDOW.total_seconds()

    restarted = timeline((0, live(0)), (90, live(0)), (100, errored(0)), (5_000, errored(0)), (5_001, live(late)))

    assert restarted.announced[-2:] == [(1, ChangeKind.ENDED), (2, ChangeKind.LIVE)]
    assert restarted.changes[-2].duration == timedelta(seconds=90)


def test_start_after_an_error_is_a_recovery_or_the_next_episode() -> None:
    broken = (0, live(0)), (85, errored(0)), (100, errored(0))
    late = 85 + ERROR_RECOVERY_WINDOW.total_seconds()

    assert timeline(*broken, (late - 1, STARTING)).phase == (1, Phase.ERRORED)
    assert timeline(*broken, (500, STARTING), (520, live(519)), (580, live(519))).announced[-1] == (1, ChangeKind.BACK)
    assert timeline(*broken, (late, STARTING)).announced[-2:] == [(1, ChangeKind.ENDED), (2, ChangeKind.STARTING)]


@pytest.mark.parametrize(("stopped", "ended"), [(95, 95), (None, 90)])
def test_time_in_error_is_not_part_of_the_duration(stopped: float | None, ended: float) -> None:
    broken = timeline((0, live(0)), (90, live(0)), (100, errored(0, stopped, "No ingest")), (7_200, GONE))

    assert broken.phase == (1, Phase.INTERRUPTED)
    over = broken.see((7_260, GONE))
    assert over.announced[-1] == (1, ChangeKind.ENDED)
    assert over.changes[-1].duration == timedelta(seconds=ended)
    assert over.changes[-1].error_reason == "No ingest"


def test_error_before_any_live_time_ends_without_a_duration() -> None:
    over = timeline((0, errored()), (15, errored()), (30, GONE), (90, GONE))

    assert over.announced == [(1, ChangeKind.ERRORED), (1, ChangeKind.ENDED)]
    assert over.changes[-1].duration is None


def test_start_while_live_is_a_drop_or_the_next_episode() -> None:
    """Silent within the grace period, and the next episode after it."""
    restarted = timeline((0, live(0)), (100, STARTING), (130, STARTING))

    assert restarted.phase == (1, Phase.INTERRUPTED)
    assert restarted.episode.phase_since == at(100)
    assert timeline((0, live(0)), (100, STARTING), (115, live(114))).announced == [(1, ChangeKind.LIVE)]
    assert restarted.see((160, STARTING)).announced[-2:] == [(1, ChangeKind.ENDED), (2, ChangeKind.STARTING)]


def test_start_does_not_extend_the_grace_period_of_a_drop() -> None:
    assert timeline((0, live(0)), (100, GONE), (130, STARTING), (160, GONE)).announced[-1] == (1, ChangeKind.ENDED)


@pytest.mark.parametrize(
    ("sign", "kind"),
    [
        (STARTING, ChangeKind.STARTING),
        (live(500), ChangeKind.LIVE),
        (live(), ChangeKind.LIVE),
        (errored(500), ChangeKind.ERRORED),
    ],
)
def test_any_sign_of_life_after_the_end_begins_the_next_episode(sign: Observation, kind: ChangeKind) -> None:
    again = timeline((0, live(0)), (100, GONE), (160, GONE), (501, sign), (516, sign))

    assert again.announced[2:] == [(2, kind)]
    assert again.changes[-1].seq == 1
    assert again.episode.error_reason is None


def test_same_session_live_after_its_end_begins_an_episode() -> None:
    """It is live since it was seen again."""
    again = timeline((0, live(0)), (100, GONE), (160, GONE), (600, live(0)), (700, GONE), (760, GONE))

    assert again.announced[2:] == [(2, ChangeKind.LIVE), (2, ChangeKind.ENDED)]
    assert (again.changes[2].at, again.changes[3].duration) == (at(600), timedelta(seconds=100))


@pytest.mark.parametrize("session", [0, -0.5])
def test_same_session_errored_after_its_end_is_silent(session: float) -> None:
    """Even if its start differs a little."""
    over = timeline((0, live(0)), (100, GONE), (160, GONE))

    assert over.see((200, errored(session))).phase == (1, Phase.ENDED)


def test_error_of_an_unknown_session_after_a_known_one_ended_is_silent() -> None:
    over = timeline((0, live(0)), (100, GONE), (160, GONE), (200, errored(0)), (500, errored()), (515, errored()))
    assert over.phase == (1, Phase.ENDED)

    assert over.see((600, errored(590)), (615, errored())).announced[2:] == [(2, ChangeKind.ERRORED)]


@pytest.mark.parametrize(("session_id", "announced"), [("b", [(2, ChangeKind.ERRORED)]), ("a", []), (None, [])])
def test_session_that_failed_before_going_live_is_recognized_by_its_id(
    session_id: str | None, announced: list[tuple[int, ChangeKind]]
) -> None:
    """It has no start."""
    over = timeline((0, live(0, session_id="a")), (100, GONE), (160, GONE))
    failed = errored(session_id=session_id)

    assert over.see((500, failed), (515, failed), (530, failed)).announced[2:] == announced


def test_error_of_a_later_session_of_the_episode_is_silent_after_the_end() -> None:
    later = errored(session_id="b")
    over = timeline((0, live(0, session_id="a")), (100, later), (120, later), (200, GONE), (260, GONE))
    assert over.phase == (1, Phase.ENDED)

    assert over.see((500, later), (520, later)).phase == (1, Phase.ENDED)


def test_error_of_another_session_is_announced_after_a_forgotten_one() -> None:
    again = timeline((0, live(0, session_id="a")), (100, GONE), (160, GONE))
    again.see((500, errored(session_id="b")), (505, GONE), (565, GONE))
    assert again.phase == (2, Phase.WAITING)

    assert again.see((700, errored(session_id="a")), (720, errored(session_id="a"))).announced[2:] == []
    again.see((800, errored(session_id="c")), (815, errored(session_id="c")))
    assert again.announced[2:] == [(2, ChangeKind.ERRORED)]


def test_error_after_the_end_of_an_unknown_session_begins_an_episode() -> None:
    again = timeline((0, live()), (100, GONE), (160, GONE), (500, errored()), (515, errored()))

    assert again.announced[2:] == [(2, ChangeKind.ERRORED)]


@pytest.mark.parametrize("between", [(), ((505, GONE),)])
def test_pending_error_of_the_previous_episode_is_forgotten(between: tuple[tuple[float, CheckResult], ...]) -> None:
    over = timeline((0, live()), (100, GONE), (160, GONE), (500, errored()), *between, (515, errored(0)))

    assert over.phase == (2, Phase.WAITING)
    assert over.see((530, errored(0)), (700, errored(0))).announced == [(1, ChangeKind.LIVE), (1, ChangeKind.ENDED)]
    assert over.see((800, live(790))).announced[2:] == [(2, ChangeKind.LIVE)]


def test_ended_session_is_recognized_on_a_slow_clock() -> None:
    assert timeline((0, live(3_600)), (100, GONE), (160, GONE), (200, errored(3_600))).phase == (1, Phase.ENDED)


def test_ended_episode_is_unchanged_by_later_responses_and_failures() -> None:
    over = timeline((0, live(0, name="Keynote")), (100, GONE), (160, GONE))
    shown = card_key(over.episode)

    over.see((200, dataclasses.replace(GONE, name="Renamed")), (300, UNKNOWN), *[(400, SILENCE)] * STALE_AFTER)

    assert card_key(over.episode) == shown
    assert not over.episode.is_stale
    assert len(over.changes) == 2


@pytest.mark.parametrize(
    ("before", "phase"),
    [
        ((0, GONE), Phase.WAITING),
        ((0, STARTING), Phase.STARTING),
        ((0, live(0)), Phase.LIVE),
        ((0, errored()), Phase.ERRORED),
    ],
)
def test_unknown_status_keeps_the_phase_and_is_shown(before: tuple[float, CheckResult], phase: Phase) -> None:
    puzzled = timeline(before, (600, UNKNOWN), (1_200, UNKNOWN))

    assert puzzled.phase == (1, phase)
    assert puzzled.episode.raw_status == "PAUSED"
    assert puzzled.episode.checked_at == at(1_200)
    assert puzzled.episode.last_seen_live in (None, at(0))


def test_missing_status_is_unknown() -> None:
    """It differs from a known status."""
    assert timeline((0, Observation(Status.UNKNOWN))).episode.raw_status == ""
    assert timeline((0, UNKNOWN), (10, live(0))).episode.raw_status is None


def test_unknown_status_does_not_affect_the_grace_period() -> None:
    gone = timeline((0, live(0)), (100, GONE), (159, UNKNOWN))
    assert gone.phase == (1, Phase.INTERRUPTED)
    assert gone.see((160, GONE)).changes[-1].at == at(100)

    for_long = timeline((0, live(0)), (100, GONE), *[(100 + 15 * n, UNKNOWN) for n in range(1, 15)], (325, GONE))
    assert for_long.phase == (1, Phase.INTERRUPTED)
    assert for_long.see((340, GONE)).changes[-1].at == at(100)


def test_failed_checks_are_only_counted() -> None:
    seen = timeline((0, live(0)))
    before = seen.episode

    seen.see((600, SILENCE), (86_400, SILENCE))

    assert seen.episode == dataclasses.replace(before, failed_checks=2)
    assert seen.see((86_410, live(0))).episode.failed_checks == 0


def test_off_air_before_and_after_an_outage_ended_when_first_seen() -> None:
    over = timeline((0, live(0)), (100, GONE), (115, SILENCE), (900, SILENCE))

    assert over.phase == (1, Phase.INTERRUPTED)
    assert over.see((915, GONE), (929, GONE)).announced == [(1, ChangeKind.LIVE)]
    assert over.see((930, GONE)).changes[-1].at == at(100)


@pytest.mark.parametrize("off_air", [GONE, STARTING])
def test_drops_before_and_after_an_outage_are_no_end(off_air: Observation) -> None:
    back = timeline((0, live(0)), (15, GONE), (30, SILENCE), (3_600, off_air), (3_615, live(0)))

    assert back.announced == [(1, ChangeKind.LIVE)]


def test_start_seen_twice_after_an_outage_begins_the_next_episode() -> None:
    restarted = timeline((0, live(0)), (15, GONE), (30, SILENCE), (3_600, STARTING), (3_615, STARTING))

    assert restarted.announced[1:] == [(1, ChangeKind.ENDED), (2, ChangeKind.STARTING)]


def test_clock_set_forward_while_off_air_ends_nothing() -> None:
    assert timeline((0, live(0)), (15, GONE), (136, GONE), (150, live(0))).announced == [(1, ChangeKind.LIVE)]
    assert timeline((0, live(0)), (15, GONE), (136, GONE), (151, GONE)).announced[-1] == (1, ChangeKind.ENDED)


def test_one_more_check_after_an_outage_confirms_the_end() -> None:
    """Also after another outage, or if the clock is set back."""
    gone = (0, live(0)), (15, GONE), (600, GONE)

    assert timeline(*gone, (1_200, GONE)).announced[-1] == (1, ChangeKind.ENDED)
    assert timeline(*gone, (300, GONE), (315, GONE)).announced[-1] == (1, ChangeKind.ENDED)


def test_off_air_after_an_outage_needs_the_grace_period() -> None:
    """The change says how long no check had seen it live."""
    over = timeline((0, live(0)), (100, SILENCE), (900, SILENCE), (915, GONE))

    assert over.phase == (1, Phase.INTERRUPTED)
    ended = over.see((975, GONE)).changes[-1]
    assert (ended.last_seen_live, ended.at) == (at(0), at(915))


@pytest.mark.parametrize("session", [0, 160, None])
def test_live_after_a_drop_and_an_outage_continues_the_episode(session: float | None) -> None:
    """If its session is the same, began within the grace period, or is unknown."""
    back = timeline((0, live(0)), (100, GONE), (115, SILENCE), (900, live(session)))

    assert back.announced == [(1, ChangeKind.LIVE)]
    assert back.phase == (1, Phase.LIVE)


def test_later_session_after_a_drop_and_an_outage_is_the_next_episode() -> None:
    restarted = timeline((0, live(0)), (100, GONE), (115, SILENCE), (900, live(161)))

    assert restarted.announced[1:] == [(1, ChangeKind.ENDED), (2, ChangeKind.LIVE)]
    assert restarted.changes[1].at == at(100)


@pytest.mark.parametrize("drop", [(), ((100, GONE),)])
def test_unknown_session_after_an_outage_is_decided_when_its_start_is_known(
    drop: tuple[tuple[float, CheckResult], ...],
) -> None:
    outage = (*drop, (115, SILENCE), (900, live()), (915, live()))
    unknown = timeline((0, live(0)), *outage)
    assert unknown.announced == [(1, ChangeKind.LIVE)]
    assert unknown.episode.last_seen_live == at(0)
    assert not unknown.episode.session_is_certain

    same = timeline((0, live(0)), *outage, (930, live(0)))
    assert same.announced == [(1, ChangeKind.LIVE)]
    assert same.episode.last_seen_live == at(930)
    assert same.episode.session_is_certain

    other = timeline((0, live(0)), *outage, (930, live(600)))
    assert other.announced == [(1, ChangeKind.LIVE), (1, ChangeKind.ENDED), (2, ChangeKind.LIVE)]
    assert other.episode.live_since == at(600)


@pytest.mark.parametrize("drop", [(), ((100, GONE),)])
def test_session_is_the_next_one_when_its_start_was_unknown_at_first(
    drop: tuple[tuple[float, CheckResult], ...],
) -> None:
    """On a slow clock the start of a new session is in the future, so only its ID is known."""
    seen = timeline((0, live(0, session_id="a")), *drop, (115, SILENCE), (900, live(session_id="b")))
    assert seen.announced == [(1, ChangeKind.LIVE)]

    seen.see((920, live(890, session_id="b")))
    assert seen.announced[-2:] == [(1, ChangeKind.ENDED), (2, ChangeKind.LIVE)]


def test_unknown_session_soon_after_a_known_one_is_the_same() -> None:
    seen = timeline((0, live(0)), (15, live()), (30, live()), (75, live(60)))

    assert seen.announced == [(1, ChangeKind.LIVE)]
    assert seen.episode.last_seen_live == at(75)


def test_clock_set_back_delays_an_end_by_one_grace_period() -> None:
    delayed = timeline((0, live()), (100, GONE), (-3_500, GONE), (-3_441, GONE))

    assert delayed.phase == (1, Phase.INTERRUPTED)
    ended = delayed.see((-3_440, GONE)).changes[-1]
    assert (ended.kind, ended.duration) == (ChangeKind.ENDED, timedelta(0))


def test_clock_set_back_delays_an_end_with_a_start_by_one_grace_period() -> None:
    delayed = timeline((0, live(0)), (100, STARTING), (-3_500, STARTING), (-3_441, STARTING))

    assert delayed.phase == (1, Phase.INTERRUPTED)
    assert delayed.see((-3_440, STARTING)).phase == (2, Phase.STARTING)


@pytest.mark.parametrize("step", [3_600, -3_600])
def test_clock_change_by_an_hour_while_live_ends_nothing(step: float) -> None:
    assert timeline((0, live(0)), (step, live(0))).announced == [(1, ChangeKind.LIVE)]
    assert timeline((0, live(0)), (15, GONE), (step, live(20))).announced == [(1, ChangeKind.LIVE)]


def test_short_interruption_is_silent_on_a_slow_clock() -> None:
    assert timeline((0, live(3_600)), (15, live(3_600)), (30, live(3_625))).announced == [(1, ChangeKind.LIVE)]


def test_known_session_continues_after_an_outage_on_a_slow_clock() -> None:
    """By the bot's clock, it has not begun yet."""
    assert timeline((0, live(7_200)), (600, live(7_200))).announced == [(1, ChangeKind.LIVE)]
    assert timeline((0, errored(7_200)), (15, errored(7_200)), (3_600, live(7_200))).announced == [
        (1, ChangeKind.ERRORED),
        (1, ChangeKind.LIVE),
    ]


def test_stop_of_a_recovered_session_is_not_its_end() -> None:
    back = timeline((0, live(0)), (100, errored(0, stopped=110)), (105, live(0)), (120, GONE), (180, GONE))

    assert back.episode.ended_at == at(120)


def test_last_known_name_and_url_are_kept() -> None:
    """The next episode inherits the name."""
    seen = timeline((0, live(0, name="Keynote", playback_url=STREAM)), (10, live(0)))
    assert (seen.episode.name, seen.episode.playback_url) == ("Keynote", STREAM)

    seen.see((20, GONE), (80, GONE), (100, STARTING))
    assert (seen.episode.number, seen.episode.name, seen.episode.playback_url) == (2, "Keynote", None)


@pytest.mark.parametrize(
    "observation",
    [GONE, STARTING, live(-600, name="Keynote"), live(), errored(-600, -60, "No ingest"), UNKNOWN, SILENCE],
)
def test_current_state_is_not_announced_on_following(observation: CheckResult) -> None:
    watched, _ = advance(Episode.waiting(T0), observation, T0, timedelta())

    assert initial(observation, T0) == watched
    assert Timeline(watched).see((300, observation), (600, observation)).announced == []


def test_only_changes_after_the_first_observation_are_announced() -> None:
    followed = Timeline(initial(live(-600), T0)).see((10, live(-600)), (20, errored(-600)), (35, errored(-600)))
    followed.see((50, live(-600)), (110, live(-600)))

    assert [(change.seq, change.kind) for change in followed.changes] == [
        (2, ChangeKind.ERRORED),
        (3, ChangeKind.BACK),
    ]


def test_since_depends_on_the_phase() -> None:
    """It is when the livestream went live or ended, or when another phase was first seen."""
    seen = timeline((10, STARTING))
    assert seen.episode.since == at(10)
    assert seen.see((30, live(25))).episode.since == at(25)
    assert seen.see((90, GONE)).episode.since == at(90)
    assert seen.see((150, GONE)).episode.since == at(90)


def test_card_is_not_edited_without_a_visible_change() -> None:
    seen = timeline((0, live(0)))
    shown = card_key(seen.episode)

    assert card_key(seen.see((15, live(0))).episode) == shown
    assert card_key(seen.see((30, GONE), (45, live(0))).episode) == shown
    assert card_key(seen.see(*[(60, SILENCE)] * (STALE_AFTER - 1)).episode) == shown


def _other_cards() -> Iterator[tuple[str, tuple[float, CheckResult]]]:
    yield "interrupted", (10, GONE)
    yield "errored", (10, errored(0))
    yield "renamed", (10, live(0, name="Keynote"))
    yield "elsewhere", (10, live(0, playback_url=STREAM))
    yield "not known", (10, UNKNOWN)
    yield "next episode", (600, live(500))


@pytest.mark.parametrize("check", [pytest.param(check, id=name) for name, check in _other_cards()])
def test_card_is_edited_for_each_visible_change(check: tuple[float, CheckResult]) -> None:
    seen = timeline((0, live(0)))
    shown = card_key(seen.episode)

    assert card_key(seen.see(check).episode) != shown


def test_card_is_edited_when_checks_fail_but_not_for_each() -> None:
    seen = timeline((0, live(0)))
    fresh = card_key(seen.episode)

    stale = card_key(seen.see(*[(60, SILENCE)] * STALE_AFTER).episode)
    assert stale != fresh
    assert card_key(seen.see((90, SILENCE)).episode) == stale
    assert card_key(seen.see((120, live(0))).episode) == fresh
    assert card_key(seen.see(*[(180, SILENCE)] * STALE_AFTER).episode) not in (stale, fresh)


def test_card_without_any_response_shows_the_outage() -> None:
    assert card_key(timeline(*[(60, SILENCE)] * STALE_AFTER).episode) != card_key(Episode.waiting(T0))


def test_card_of_an_ended_episode_depends_on_duration_and_reason() -> None:
    ended = timeline((0, live(0)), (100, GONE), (160, GONE)).episode

    assert card_key(ended) != card_key(dataclasses.replace(ended, live_since=at(10)))
    assert card_key(ended) != card_key(dataclasses.replace(ended, error_reason="No ingest"))


@pytest.mark.parametrize("field", [{"number": 2}, {"phase": Phase.ERRORED}, {"phase_since": at(30)}])
def test_card_of_a_start_depends_on_episode_phase_and_time(field: dict[str, Any]) -> None:
    starting = timeline((0, STARTING)).episode

    assert card_key(dataclasses.replace(starting, **field)) != card_key(starting)


def test_episode_and_changes_survive_json_in_utc() -> None:
    seen = timeline((0, errored(-60, -30, "No ingest")), (10, live(-60, name="Keynote", playback_url=STREAM)))

    fields = json.loads(json.dumps(seen.episode.to_dict()))
    assert fields["phase"] == "live"
    assert fields["last_seen_live"] == "2026-06-03T10:00:10+00:00"
    assert Episode.from_dict(fields) == seen.episode
    assert [Change.from_dict(json.loads(json.dumps(change.to_dict()))) for change in seen.changes] == seen.changes


def test_json_of_another_version_is_read_with_defaults() -> None:
    fields = {"number": 3, "phase": "live", "phase_since": "2026-06-03T12:00:00+02:00", "viewers": 7}

    assert Episode.from_dict(fields) == Episode(3, Phase.LIVE, T0)


def test_json_times_are_in_utc() -> None:
    noon = datetime(2026, 6, 3, 12, 0, tzinfo=timezone(timedelta(hours=2)))

    assert Episode.waiting(noon).to_dict()["phase_since"] == "2026-06-03T10:00:00+00:00"


OTHER_STREAM = "https://customer-s4ndb0x.cloudflarestream.com/fedcba9876543210fedcba9876543210/manifest/video.m3u8"


@pytest.mark.parametrize("off_air", [False, True])
def test_replacement_livestream_clears_the_playback_url(off_air: bool) -> None:
    """A response about the same livestream, or about none, does not."""
    first = live(0, playback_url=STREAM, livestream_id="l1")
    without = [(10, live(0, livestream_id="l1")), (15, GONE), (20, live(0, livestream_id="l1"))]
    between = [(25, dataclasses.replace(GONE, livestream_id="l2"))] if off_air else []

    same = timeline((0, first), *without)
    other = timeline((0, first), *without, *between, (30, live(livestream_id="l2")))
    known = timeline(
        (0, first), (30, live(livestream_id="l2")), (40, live(livestream_id="l2", playback_url=OTHER_STREAM))
    )

    assert same.episode.playback_url == STREAM
    assert (other.phase, other.episode.playback_url) == ((1, Phase.LIVE), None)
    assert known.episode.playback_url == OTHER_STREAM


def test_replacement_livestream_clears_the_error_reason() -> None:
    """An end after it still has it."""
    first = dataclasses.replace(errored(0, reason="No ingest"), livestream_id="l1")
    again, other = (dataclasses.replace(errored(0), livestream_id=each) for each in ("l1", "l2"))
    gone = dataclasses.replace(GONE, livestream_id="l2")

    same = timeline((0, first), (10, again))
    changed = timeline((0, first), (10, other))
    ended = timeline((0, first), (20, first), (30, gone), (95, gone))

    assert same.episode.error_reason == "No ingest"
    assert changed.episode.error_reason is None
    assert (ended.episode.phase, ended.changes[-1].error_reason) == (Phase.ENDED, "No ingest")


def test_livestream_name_does_not_replace_an_unread_title() -> None:
    """It is used only until the meeting has been read once."""
    first = initial(Observation(Status.LIVE, name="all-hands-42", name_is_certain=False), T0)
    read, _ = advance(first, Observation(Status.LIVE, name="All hands"), T0, GRACE)
    unread, _ = advance(read, Observation(Status.LIVE, name="all-hands-42", name_is_certain=False), T0, GRACE)
    without_title, _ = advance(unread, Observation(Status.LIVE, name="all-hands-42"), T0, GRACE)

    names = [first.name, read.name, unread.name, without_title.name]
    assert names == ["all-hands-42", "All hands", "All hands", "all-hands-42"]


def test_session_that_is_known_by_its_id_continues_the_episode() -> None:
    """Cloudflare may correct a session's start, which without the ID would be another session's."""
    first = Observation(Status.LIVE, session_started_at=T0, session_id="s1")
    episode, _ = advance(Episode.waiting(T0), first, T0, GRACE)
    later = T0 + timedelta(hours=1)

    for session_id, number in (("s1", 1), ("s2", 2), (None, 2)):
        corrected = Observation(Status.LIVE, session_started_at=later, session_id=session_id)
        assert advance(episode, corrected, later, GRACE)[0].number == number
