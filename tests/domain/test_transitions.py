"""The changes that an episode announces, and what its card shows, for each course of a livestream.

Courses are written as text: what each check found, and when, in seconds. `live@30` is LIVE in the session that began at
0, `live:20@30` in the one that began at 20, and `live?@30` in an unknown one; `#a` is its ID, `/80` when it stopped,
and `!` a reason. What was announced is written likewise: `ended:100@160` was announced at 160 and happened at 100.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from bot.domain.episode import STALE_AFTER, Change, Episode, Phase, card_key
from bot.domain.observation import CheckFailed, CheckResult, Observation, Status
from bot.domain.transitions import advance, initial

T0 = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
GRACE = timedelta(seconds=60)
STREAM = "https://customer-s4ndb0x.cloudflarestream.com/0123456789abcdef0123456789abcdef/manifest/video.m3u8"
OTHER_STREAM = "https://customer-s4ndb0x.cloudflarestream.com/fedcba9876543210fedcba9876543210/manifest/video.m3u8"

GONE = Observation(Status.NOT_BROADCASTING)
STATUSES = {
    "live": (Status.LIVE, "LIVE"),
    "errored": (Status.ERRORED, "ERRORED"),
    "off": (Status.NOT_BROADCASTING, None),
    "starting": (Status.STARTING, "INVOKED"),
    "unknown": (Status.UNKNOWN, "PAUSED"),
}
CHECK = re.compile(r"([a-z_]+)(\?)?(?::([-.\d]+))?(?:/(\d+))?(?:#(\w))?(!)?@([-.\d]+)")


def at(seconds: float | str) -> datetime:
    return T0 + timedelta(seconds=float(seconds))


def live(session: float = 0, **fields: Any) -> Observation:
    return Observation(Status.LIVE, "LIVE", session_started_at=at(session), **fields)


def parse(check: str, named: Mapping[str, Observation] | None = None) -> tuple[CheckResult, datetime]:
    match = CHECK.fullmatch(check)
    assert match is not None, check
    word, unknown, start, stop, session_id, reason, now = match.groups()
    if word == "failed":
        return CheckFailed("It is down."), at(now)
    if named and word in named:
        return named[word], at(now)
    status, raw_status = STATUSES[word]
    has_session = status in (Status.LIVE, Status.ERRORED) and not unknown
    observation = Observation(
        status,
        raw_status,
        session_started_at=at(start or 0) if has_session else None,
        session_stopped_at=at(stop) if stop else None,
        session_id=session_id,
        error_reason="No ingest" if reason else None,
    )
    return observation, at(now)


class Timeline:
    """One meeting over many checks."""

    def __init__(self, episode: Episode | None = None) -> None:
        self.episode = episode or Episode.waiting(T0)
        self.changes: list[Change] = []

    def see(self, course: str, **named: Observation) -> "Timeline":
        """Apply the observations of this course; the named ones may occur in it."""
        for check in course.split():
            seen, now = parse(check, named)
            self.episode, changes = advance(self.episode, seen, now, GRACE)
            self.changes += changes
        return self

    def __str__(self) -> str:
        """Return what was announced, with a bar between episodes, and the number and phase of the episode reached."""
        words, number = "", 1
        for change in self.changes:
            words += "| " if change.episode != number else ""
            happened = "" if change.at == change.seen_at else f":{seconds(change.at):g}"
            words += f"{change.kind}{happened}@{seconds(change.seen_at):g} "
            number = change.episode
        return f"{words}[{self.episode.number} {self.episode.phase}]"

    @property
    def card(self) -> str:
        return card_key(self.episode)


def timeline(course: str, **named: Observation) -> Timeline:
    return Timeline().see(course, **named)


def seconds(value: Any) -> Any:
    """Return times as seconds since T0, durations as seconds, and other values unchanged."""
    if isinstance(value, datetime):
        return (value - T0).total_seconds()
    return value.total_seconds() if isinstance(value, timedelta) else value


def facts(of: Episode | Change, names: dict[str, Any]) -> dict[str, Any]:
    return {name: seconds(getattr(of, name)) for name in names}


COURSES = {
    # Start and end
    "start, live and end": (
        "off@0 starting@10 live:24@25 live:24@300 off@310 off@370",
        "starting@10 live:24@25 ended:310@370 [1 ended]",
    ),
    "waiting continues while off air": ("off@0 off@600", "[1 waiting]"),
    "an end is announced once": ("live@0 off@100 off@160 off@175 off@900", "live@0 ended:100@160 [1 ended]"),
    "a long start and live": ("starting@0 live:7190@7200", "starting@0 live:7190@7200 [1 live]"),
    "a start that never goes live": ("starting@0 off@30 off@89 off/10@90", "starting@0 ended:30@90 [1 ended]"),
    "a start that is off air for a moment": ("starting@0 off@30 starting@60", "starting@0 [1 starting]"),
    "live after such a start": ("starting@0 off@30 starting@60 live:89@90", "starting@0 live:89@90 [1 live]"),
    "starting before and after an outage is one start": (
        "starting@0 off@30 failed@45 starting@600",
        "starting@0 [1 starting]",
    ),
    "a session start in the future is ignored": ("live:9999@30", "live@30 [1 live]"),
    # The end is Cloudflare's stop time if it lies between the last check that saw it live and the first that did not.
    "a stop between the checks": ("live@0 live@80 off/85@100 off@160", "live@0 ended:85@160 [1 ended]"),
    "a stop at the last live check": ("live@0 live@80 off/80@100 off@160", "live@0 ended:80@160 [1 ended]"),
    "a stop at the first check off air": ("live@0 live@80 off/100@100 off@160", "live@0 ended:100@160 [1 ended]"),
    "a stop before the last live check": ("live@0 live@80 off/79@100 off@160", "live@0 ended:100@160 [1 ended]"),
    "a stop after the first check off air": ("live@0 live@80 off/101@100 off@160", "live@0 ended:100@160 [1 ended]"),
    "no stop time": ("live@0 live@80 off@100 off@160", "live@0 ended:100@160 [1 ended]"),
    # Drops
    "a drop is silent": ("live@0 off@100 off@159", "live@0 [1 interrupted]"),
    "the same session continues within the grace period": ("live@0 off@100 live@160", "live@0 [1 live]"),
    "another session continues within the grace period": ("live@0 off@100 live:120@160", "live@0 [1 live]"),
    "an unknown session continues within the grace period": ("live@0 off@100 live?@160", "live@0 [1 live]"),
    "each drop has its own grace period": ("live@0 off@50 live@90 off@130 live@170", "live@0 [1 live]"),
    "a start while live is a drop": ("live@0 starting@100 starting@130", "live@0 [1 interrupted]"),
    "a short start while live is silent": ("live@0 starting@100 live:114@115", "live@0 [1 live]"),
    "a start that lasts for the grace period is the next episode's": (
        "live@0 starting@100 starting@130 starting@160",
        "live@0 ended:100@160 | starting@160 [2 starting]",
    ),
    "a start does not extend a drop": ("live@0 off@100 starting@130 off@160", "live@0 ended:100@160 [1 ended]"),
    # Sessions
    "another session within the grace period is an unseen drop": ("live@0 live@100 live:160@600", "live@0 [1 live]"),
    "a later session follows an unseen end": (
        "live@0 live@100 live:161@600",
        "live@0 ended:100@600 | live:161@600 [2 live]",
    ),
    "a later session follows the unseen end of an unknown one": (
        "live?@0 live:500@600",
        "live@0 ended:0@600 | live:500@600 [2 live]",
    ),
    "a later session that failed is recognized by its start": (
        "live@0 errored:500@600 errored:500@615",
        "live@0 ended:0@600 | errored:600@615 [2 errored]",
    ),
    "the same session continues after an unknown one": ("live@0 live?@600 live@1200", "live@0 [1 live]"),
    "an unknown session soon after a known one": ("live@0 live?@15 live?@30 live:60@75", "live@0 [1 live]"),
    "a corrected start of the session with this ID": ("live#a@0 live:3600#a@3600", "live@0 [1 live]"),
    "a later start of a session with another ID": (
        "live#a@0 live:3600#b@3600",
        "live@0 ended:0@3600 | live@3600 [2 live]",
    ),
    "a later start of a session without an ID": ("live#a@0 live:3600@3600", "live@0 ended:0@3600 | live@3600 [2 live]"),
    # Errors
    "an error is shown at once": ("live@0 errored@100", "live@0 [1 errored]"),
    "an error is announced once, after its grace period": (
        "live@0 errored@100 errored@114 errored@115 errored@130 errored@145",
        "live@0 errored:100@115 [1 errored]",
    ),
    "a late reason is not announced": ("live@0 errored@9 errored@24 errored!@30", "live@0 errored:9@24 [1 errored]"),
    "an end after a short error": ("live@0 live@95 errored@100 off@110 off@170", "live@0 ended:95@170 [1 ended]"),
    "errors with short recoveries are announced as one": (
        "live@0 errored@100 live@105 errored@110 live@115 errored@120",
        "live@0 errored@120 [1 errored]",
    ),
    "errors with short drops are announced as one": (
        "live@0 errored@100 off@110 errored@120",
        "live@0 errored:100@120 [1 errored]",
    ),
    "errors with short starts are announced as one": (
        "live@0 errored@100 starting@110 errored@120",
        "live@0 errored:100@120 [1 errored]",
    ),
    "a short error before any announcement returns to waiting": ("errored@0 off@10 off@70", "[1 waiting]"),
    "live after such an error": ("errored@0 off@10 off@70 live:290@300", "live:290@300 [1 live]"),
    "an error before any live time ends": (
        "errored?@0 errored?@15 off@30 off@90",
        "errored:0@15 ended:30@90 [1 ended]",
    ),
    "the stop of a recovered session is not its end": (
        "live@0 errored/110@100 live@105 off@120 off@180",
        "live@0 ended:120@180 [1 ended]",
    ),
    # Back
    "a recovery is shown at once": ("live@0 errored@100 errored@115 live@3000", "live@0 errored:100@115 [1 live]"),
    "back is announced after the grace period": (
        "live@0 errored@100 errored@115 live@3000 live@3059 live@3060",
        "live@0 errored:100@115 back:3000@3060 [1 live]",
    ),
    "back in an unknown session": (
        "live@0 errored@100 errored@115 live?@3000 live?@3060",
        "live@0 errored:100@115 back:3000@3060 [1 live]",
    ),
    "back in a session that began within the recovery window": (
        "live@0 errored@100 errored@115 live:1000@3000 live:1000@3060",
        "live@0 errored:100@115 back:3000@3060 [1 live]",
    ),
    "a later session is the next episode's, even if it was reported as errored until then": (
        "live@0 live@90 errored@100 errored@5000 live:1001@5001",
        "live@0 errored:100@5000 ended:90@5001 | live:1001@5001 [2 live]",
    ),
    "back after a drop": (
        "live@0 errored@50 errored@65 off@80 live@90 live@150",
        "live@0 errored:50@65 back:90@150 [1 live]",
    ),
    "an error before and after a drop is announced once": (
        "live@0 errored@50 errored@65 off@80 errored@90",
        "live@0 errored:50@65 [1 errored]",
    ),
    "a drop after back is silent": (
        "live@0 errored@50 errored@65 live@80 live@140 off@150 live@180 errored@200 errored@215",
        "live@0 errored:50@65 back:80@140 errored:200@215 [1 errored]",
    ),
    "live for the first time after an error": (
        "starting@0 errored?@20 errored?@35 live:59@60",
        "starting@0 errored:20@35 live:59@60 [1 live]",
    ),
    "a session first seen errored is live since its start": ("errored:-60@0 live:-60@60", "live:-60@60 [1 live]"),
    "an end before back is when it was seen off air": (
        "live@0 errored@100 errored@115 live@200 off@215 off@275",
        "live@0 errored:100@115 ended:215@275 [1 ended]",
    ),
    "a start within the recovery window is a recovery": (
        "live@0 errored@85 errored@100 starting@984",
        "live@0 errored:85@100 [1 errored]",
    ),
    "back after such a start": (
        "live@0 errored@85 errored@100 starting@500 live:519@520 live:519@580",
        "live@0 errored:85@100 back:520@580 [1 live]",
    ),
    "a start after the recovery window is the next episode's": (
        "live@0 errored@85 errored@100 starting@985",
        "live@0 errored:85@100 ended:0@985 | starting@985 [2 starting]",
    ),
    # After the end
    "a start begins the next episode": (
        "live@0 off@100 off@160 starting@501 starting@516",
        "live@0 ended:100@160 | starting@501 [2 starting]",
    ),
    "another session begins the next episode": (
        "live@0 off@100 off@160 live:500@501 live:500@516",
        "live@0 ended:100@160 | live:500@501 [2 live]",
    ),
    "an unknown session begins the next episode": (
        "live@0 off@100 off@160 live?@501 live?@516",
        "live@0 ended:100@160 | live@501 [2 live]",
    ),
    "the same session is live since it was seen again": (
        "live@0 off@100 off@160 live@600 off@700 off@760",
        "live@0 ended:100@160 | live@600 ended:700@760 [2 ended]",
    ),
    "an error of another session begins the next episode": (
        "live@0 off@100 off@160 errored:500@501 errored:500@516",
        "live@0 ended:100@160 | errored:501@516 [2 errored]",
    ),
    "an error of the same session is silent": ("live@0 off@100 off@160 errored@200", "live@0 ended:100@160 [1 ended]"),
    "even if its start differs a little": ("live@0 off@100 off@160 errored:-0.5@200", "live@0 ended:100@160 [1 ended]"),
    "and on a slow clock": ("live:3600@0 off@100 off@160 errored:3600@200", "live@0 ended:100@160 [1 ended]"),
    "an error of an unknown session after a known one is silent": (
        "live@0 off@100 off@160 errored@200 errored?@500 errored?@515",
        "live@0 ended:100@160 [1 ended]",
    ),
    "an error is announced once its session is known": (
        "live@0 off@100 off@160 errored@200 errored?@500 errored?@515 errored:590@600 errored?@615",
        "live@0 ended:100@160 | errored:600@615 [2 errored]",
    ),
    "an error after an unknown session begins the next episode": (
        "live?@0 off@100 off@160 errored?@500 errored?@515",
        "live@0 ended:100@160 | errored:500@515 [2 errored]",
    ),
    # A session that failed before it went live has no start.
    "an error with another ID begins the next episode": (
        "live#a@0 off@100 off@160 errored?#b@500 errored?#b@515 errored?#b@530",
        "live@0 ended:100@160 | errored:500@515 [2 errored]",
    ),
    "an error with the same ID is silent": (
        "live#a@0 off@100 off@160 errored?#a@500 errored?#a@515 errored?#a@530",
        "live@0 ended:100@160 [1 ended]",
    ),
    "an error without an ID is silent": (
        "live#a@0 off@100 off@160 errored?@500 errored?@515 errored?@530",
        "live@0 ended:100@160 [1 ended]",
    ),
    "an error with the last ID of the episode is silent": (
        "live#a@0 errored?#b@100 errored?#b@120 off@200 off@260 errored?#b@500 errored?#b@520",
        "live@0 errored:100@120 ended:0@260 [1 ended]",
    ),
    "an error of the same session is silent after a forgotten one": (
        "live#a@0 off@100 off@160 errored?#b@500 off@505 off@565 errored?#a@700 errored?#a@720",
        "live@0 ended:100@160 [2 waiting]",
    ),
    "an error of another session is announced after a forgotten one": (
        "live#a@0 off@100 off@160 errored?#b@500 off@505 off@565 errored?#a@700 errored?#c@800 errored?#c@815",
        "live@0 ended:100@160 | errored:800@815 [2 errored]",
    ),
    "an error of the previous episode is silent while waiting": (
        "live@0 off@100 off@160 errored:190@200 off@210 off@270 errored@300 errored?@400 errored@500",
        "live@0 ended:100@160 [2 waiting]",
    ),
    "a pending error is forgotten when it turns out to be the previous episode's": (
        "live?@0 off@100 off@160 errored?@500 errored@515",
        "live@0 ended:100@160 [2 waiting]",
    ),
    "so is one before a drop": (
        "live?@0 off@100 off@160 errored?@500 off@505 errored@515 errored@530 errored@700",
        "live@0 ended:100@160 [2 waiting]",
    ),
    "live after a forgotten error": (
        "live?@0 off@100 off@160 errored?@500 errored@515 errored@530 errored@700 live:790@800",
        "live@0 ended:100@160 | live:790@800 [2 live]",
    ),
    # Unknown statuses
    "an unknown status does not extend a drop": (
        "live@0 off@100 unknown@159 off@160",
        "live@0 ended:100@160 [1 ended]",
    ),
    "an unknown status does not end a drop": ("live@0 off@100 unknown@160", "live@0 [1 interrupted]"),
    "off air after a long unknown status is no end": (
        "live@0 off@100 unknown@115 unknown@170 unknown@225 unknown@280 off@325",
        "live@0 [1 interrupted]",
    ),
    "one more check confirms the end": (
        "live@0 off@100 unknown@115 unknown@170 unknown@225 unknown@280 off@325 off@340",
        "live@0 ended:100@340 [1 ended]",
    ),
    # Outages
    "off air before and after an outage is no end": (
        "live@0 off@15 failed@30 off@3600 live@3615",
        "live@0 [1 live]",
    ),
    "nor is a start after it": ("live@0 off@15 failed@30 starting@3600 live@3615", "live@0 [1 live]"),
    "off air twice after an outage is the end": (
        "live@0 off@100 failed@115 failed@900 off@915 off@929 off@930",
        "live@0 ended:100@930 [1 ended]",
    ),
    "another outage confirms the end": ("live@0 off@15 off@600 off@1200", "live@0 ended:15@1200 [1 ended]"),
    "so does a check on a clock set back": ("live@0 off@15 off@600 off@300 off@315", "live@0 ended:15@315 [1 ended]"),
    "a start seen twice after an outage is the next episode's": (
        "live@0 off@15 failed@30 starting@3600 starting@3615",
        "live@0 ended:15@3615 | starting@3615 [2 starting]",
    ),
    "off air after an outage needs the grace period": (
        "live@0 failed@100 failed@900 off@915",
        "live@0 [1 interrupted]",
    ),
    "the same session after a drop and an outage": ("live@0 off@100 failed@115 live@900", "live@0 [1 live]"),
    "another session that soon followed the drop": ("live@0 off@100 failed@115 live:160@900", "live@0 [1 live]"),
    "an unknown session after a drop and an outage": ("live@0 off@100 failed@115 live?@900", "live@0 [1 live]"),
    "a later session after a drop and an outage": (
        "live@0 off@100 failed@115 live:161@900",
        "live@0 ended:100@900 | live:161@900 [2 live]",
    ),
    # Clocks that jump or disagree
    "a clock set forward in a drop ends nothing": ("live@0 off@15 off@136 live@150", "live@0 [1 live]"),
    "another check on that clock ends it": ("live@0 off@15 off@136 off@151", "live@0 ended:15@151 [1 ended]"),
    "a clock set back delays an end by a grace period": (
        "live?@0 off@100 off@-3500 off@-3441 off@-3440",
        "live@0 ended:0@-3440 [1 ended]",
    ),
    "a clock set back delays an end with a start by a grace period": (
        "live@0 starting@100 starting@-3500 starting@-3441 starting@-3440",
        "live@0 ended:0@-3440 | starting@-3440 [2 starting]",
    ),
    "a clock set back delays an error and back by a grace period each": (
        "live@0 errored@3600 errored@5 errored@20 live@30 live@-3600 live@-3540",
        "live@0 errored:5@20 back:-3600@-3540 [1 live]",
    ),
    "a clock set forward while live": ("live@0 live@3600", "live@0 [1 live]"),
    "a clock set back while live": ("live@0 live@-3600", "live@0 [1 live]"),
    "another session on a clock set forward": ("live@0 off@15 live:20@3600", "live@0 [1 live]"),
    "another session on a clock set back": ("live@0 off@15 live:20@-3600", "live@0 [1 live]"),
    "another session on a slow clock": ("live:3600@0 live:3600@15 live:3625@30", "live@0 [1 live]"),
    "the same session after an outage on a slow clock": ("live:7200@0 live:7200@600", "live@0 [1 live]"),
    "a recovery after an outage on a slow clock": (
        "errored:7200@0 errored:7200@15 live:7200@3600",
        "errored:0@15 live@3600 [1 live]",
    ),
}


@pytest.mark.parametrize(("course", "announced"), COURSES.values(), ids=COURSES)
def test_course_of_a_livestream_announces_its_changes(course: str, announced: str) -> None:
    assert str(timeline(course)) == announced


KEYNOTE = live(20, name="Keynote", playback_url=STREAM)


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        pytest.param("keynote@20", {"name": "Keynote", "playback_url": STREAM, "duration": None}, id="live"),
        pytest.param(
            "keynote@20 off@320 off@380", {"name": "Keynote", "playback_url": None, "duration": 300}, id="end"
        ),
        pytest.param("starting@0 off@30 off@90", {"duration": None}, id="end of a start"),
        pytest.param("errored?@0 errored?@15 off@30 off@90", {"duration": None}, id="end of an error"),
        pytest.param("live@0 failed@100 failed@900 off@915 off@975", {"last_seen_live": 0}, id="end after an outage"),
        pytest.param("live@0 errored!@100 errored@115", {"error_reason": "No ingest"}, id="error"),
        pytest.param("live@0 errored!@100 off@110 off@170", {"error_reason": "No ingest"}, id="end after an error"),
        pytest.param(
            "live@0 live@90 errored!@100 off@7200 off@7260",
            {"error_reason": "No ingest", "duration": 90},
            id="end without the time in error",
        ),
        pytest.param(
            "live@0 live@90 errored/95!@100 off@7200 off@7260",
            {"error_reason": "No ingest", "duration": 95},
            id="end at the stop before the error",
        ),
        pytest.param("live@0 errored!@100 errored@115 live@200 live@260", {"error_reason": None}, id="back"),
        pytest.param(
            "live@0 errored!@100 errored@115 live@200 off@215 off@275",
            {"error_reason": None},
            id="end after a recovery",
        ),
        pytest.param(
            "live?@0 off@100 off@-3500 off@-3440", {"duration": 0}, id="end on a clock set back to before the start"
        ),
    ],
)
def test_change_carries_the_facts_for_its_sentence(course: str, expected: dict[str, Any]) -> None:
    assert facts(timeline(course, keynote=KEYNOTE).changes[-1], expected) == expected


def test_changes_are_numbered_within_their_episode() -> None:
    changes = timeline("starting@10 live@25 live@100 live:161@600").changes

    assert [(change.episode, change.seq) for change in changes] == [(1, 1), (1, 2), (1, 3), (2, 1)]


UNKNOWN_FOR_LONG = {"raw_status": "PAUSED", "checked_at": 1200, "last_seen_live": None}


@pytest.mark.parametrize(
    ("course", "phase", "expected"),
    [
        pytest.param("live@0 off@100 off@160", "ended", {"ended_at": 100, "duration": 100}, id="an end"),
        pytest.param("starting@0 off@30 off@90", "ended", {"duration": None}, id="an end without live time"),
        pytest.param("live@0 off@100 off@159", "interrupted", {"phase_since": 100}, id="a drop"),
        pytest.param("live@0 starting@100 starting@130", "interrupted", {"phase_since": 100}, id="a start while live"),
        pytest.param("live@0 off@100 live:120@160", "live", {"live_since": 0}, id="live again after a drop"),
        pytest.param("live?@30 live?@60", "live", {"live_since": 30}, id="live in an unknown session"),
        pytest.param("live?@30 live:20@45", "live", {"live_since": 20}, id="a session start that arrives later"),
        pytest.param("live?@30 off@45 live:55@60", "live", {"live_since": 30}, id="a session that began later"),
        pytest.param("live:29@30 live:28@45", "live", {"live_since": 29}, id="a corrected session start"),
        pytest.param("live@0 live@100 live:160@600", "live", {"session_started_at": 160}, id="another session"),
        pytest.param("live@0 live?@600", "live", {"session_started_at": 0}, id="an unknown session after a known one"),
        pytest.param("live@0 live?@15 live?@30 live:60@75", "live", {"last_seen_live": 75}, id="one for a moment"),
        pytest.param(
            "live@0 errored@100 errored@115 errored!@130", "errored", {"error_reason": "No ingest"}, id="late"
        ),
        pytest.param("live@0 errored!@100 live@105", "live", {"error_reason": None}, id="a recovery"),
        pytest.param("live@0 errored!@5 off@9 off@70 live:90@99", "live", {"error_reason": None}, id="next episode"),
        pytest.param("off@0 unknown@600 unknown@1200", "waiting", UNKNOWN_FOR_LONG, id="unknown while waiting"),
        pytest.param("starting@0 unknown@600 unknown@1200", "starting", UNKNOWN_FOR_LONG, id="unknown after a start"),
        pytest.param(
            "live@0 unknown@600 unknown@1200",
            "live",
            {**UNKNOWN_FOR_LONG, "last_seen_live": 0},
            id="unknown after live",
        ),
        pytest.param("errored?@0 unknown@600 unknown@1200", "errored", UNKNOWN_FOR_LONG, id="unknown after an error"),
        pytest.param("unknown@0 live@10", "live", {"raw_status": None}, id="a known status again"),
        pytest.param("missing@0", "waiting", {"raw_status": ""}, id="a missing status"),
    ],
)
def test_episode_has_the_facts_for_its_card(course: str, phase: str, expected: dict[str, Any]) -> None:
    episode = timeline(course, missing=Observation(Status.UNKNOWN)).episode

    assert (episode.phase, facts(episode, expected)) == (phase, expected)


def test_waiting_only_notes_the_time_of_the_check() -> None:
    waiting = timeline("off@0 off@600").episode

    assert waiting == dataclasses.replace(Episode.waiting(T0), checked_at=at(600))


def test_failed_checks_are_only_counted() -> None:
    seen = timeline("live@0")
    before = seen.episode

    assert seen.see("failed@600 failed@86400").episode == dataclasses.replace(before, failed_checks=2)
    assert seen.see("live@86410").episode.failed_checks == 0


def test_error_grace_period_is_at_most_the_grace_period() -> None:
    episode = timeline("live@0").episode
    grace = timedelta(seconds=5)
    episode, _ = advance(episode, Observation(Status.ERRORED), at(10), grace)

    assert [change.kind for change in advance(episode, Observation(Status.ERRORED), at(15), grace)[1]] == ["errored"]


def test_short_errors_for_half_an_hour_are_silent() -> None:
    seen = timeline("live@0")
    shown = seen.card
    for start in range(60, 1800, 60):
        seen.see(f"errored@{start} live@{start + 14} live@{start + 30}")

    assert str(seen) == "live@0 [1 live]"
    assert seen.card == shown


@pytest.mark.parametrize("every", [1, 4, 5, 7, 15, 16])
def test_hour_of_flapping_announces_few_changes_and_the_final_state(every: int) -> None:
    flapping = timeline("live@0")
    for number in range(1, 3_600 // every + 1):
        flapping.see(f"{'live' if number % 2 else 'errored'}@{number * every}")
    assert len(flapping.changes) <= 10

    flapping.see(" ".join(f"live@{3_600 + 15 * calm}" for calm in range(1, 70)))

    assert flapping.changes[-1].kind in ("live", "back")
    assert (flapping.episode.number, flapping.episode.phase) == (1, Phase.LIVE)


@pytest.mark.parametrize("live_for", [60, 75, 200])
def test_repeated_relapses_are_announced_ever_more_rarely(live_for: int) -> None:
    """The first of them is announced at once."""
    relapsing, start = timeline("live@0"), 0
    while start < 4 * 3_600:
        relapsing.see(f"errored@{start + 1} errored@{start + 20}")
        start += 20
        relapsing.see(f"live@{start + 1} live@{start + live_for / 2} live@{start + live_for + 1}")
        start += live_for + 1

    assert str(relapsing).startswith("live@0 errored:1@20 ")
    assert len(relapsing.changes) <= 12
    relapsing.see(" ".join(f"live@{start + 15 * calm}" for calm in range(1, 70)))
    assert relapsing.changes[-1].kind == "back"


def test_errors_hours_apart_are_each_announced_soon() -> None:
    seen = timeline("live@0")
    hours = range(3_600, 6 * 3_600, 3_600)
    for hour in hours:
        seen.see(f"errored@{hour} errored@{hour + 15} live@{hour + 30} live@{hour + 90}")

    expected = [f"errored:{hour}@{hour + 15} back:{hour + 30}@{hour + 90}" for hour in hours]
    assert str(seen) == f"live@0 {' '.join(expected)} [1 live]"


@pytest.mark.parametrize("drop", ["", "off@100"])
def test_unknown_session_after_an_outage_is_decided_when_its_start_is_known(drop: str) -> None:
    course = f"live@0 {drop} failed@115 live?@900 live?@915"
    unknown, same, other = timeline(course), timeline(f"{course} live@930"), timeline(f"{course} live:600@930")

    assert str(unknown) == str(same) == "live@0 [1 live]"
    assert (unknown.episode.last_seen_live, unknown.episode.session_is_certain) == (at(0), False)
    assert (same.episode.last_seen_live, same.episode.session_is_certain) == (at(930), True)
    assert str(other) == "live@0 ended:0@930 | live:600@930 [2 live]"
    assert other.episode.live_since == at(600)


@pytest.mark.parametrize("drop", ["", "off@100"])
def test_session_is_the_next_one_when_its_start_was_unknown_at_first(drop: str) -> None:
    """On a slow clock the start of a new session is in the future, so only its ID is known."""
    seen = timeline(f"live#a@0 {drop} failed@115 live?#b@900")
    assert str(seen) == "live@0 [1 live]"

    assert str(seen.see("live:890#b@920")).endswith("@920 | live:890@920 [2 live]")


def test_playback_url_does_not_distinguish_sessions() -> None:
    url, other_url, later = live(playback_url=STREAM), live(playback_url=OTHER_STREAM), live(500, playback_url=STREAM)

    assert str(timeline("url@0 other_url@600", url=url, other_url=other_url)) == "live@0 [1 live]"
    assert timeline("url@0 later@600", url=url, later=later).episode.number == 2


def test_last_known_name_and_url_are_kept() -> None:
    """The next episode inherits the name."""
    seen = timeline("keynote@20 live@30", keynote=KEYNOTE)
    assert (seen.episode.name, seen.episode.playback_url) == ("Keynote", STREAM)

    seen.see("off@40 off@100 starting@120")
    assert (seen.episode.number, seen.episode.name, seen.episode.playback_url) == (2, "Keynote", None)


@pytest.mark.parametrize("off_air", ["", "gone@25"])
def test_replacement_livestream_clears_the_playback_url(off_air: str) -> None:
    """A response about the same livestream, or about none, does not."""
    named = {
        "first": live(playback_url=STREAM, livestream_id="l1"),
        "again": live(livestream_id="l1"),
        "gone": dataclasses.replace(GONE, livestream_id="l2"),
        "other": live(livestream_id="l2"),
        "known": live(livestream_id="l2", playback_url=OTHER_STREAM),
    }

    same = timeline("first@0 again@10 off@15 again@20", **named)
    other = timeline(f"first@0 again@10 off@15 again@20 {off_air} other@30", **named)
    known = timeline("first@0 other@30 known@40", **named)

    assert same.episode.playback_url == STREAM
    assert (str(other), other.episode.playback_url) == ("live@0 [1 live]", None)
    assert known.episode.playback_url == OTHER_STREAM


def test_replacement_livestream_clears_the_error_reason() -> None:
    """An end after it still has it."""
    failed = Observation(Status.ERRORED, session_started_at=T0)
    named = {
        "first": dataclasses.replace(failed, livestream_id="l1", error_reason="No ingest"),
        "again": dataclasses.replace(failed, livestream_id="l1"),
        "other": dataclasses.replace(failed, livestream_id="l2"),
        "gone": dataclasses.replace(GONE, livestream_id="l2"),
    }

    ended = timeline("first@0 first@20 gone@30 gone@95", **named)

    assert timeline("first@0 again@10", **named).episode.error_reason == "No ingest"
    assert timeline("first@0 other@10", **named).episode.error_reason is None
    assert (ended.episode.phase, ended.changes[-1].error_reason) == (Phase.ENDED, "No ingest")


def test_livestream_name_does_not_replace_an_unread_title() -> None:
    """It is used only until the meeting has been read once."""
    unread, read = live(name="all-hands-42", name_is_certain=False), live(name="All hands")
    seen = Timeline(initial(unread, T0))
    names = [seen.episode.name]
    for check in ("read@0", "unread@0", "untitled@0"):
        seen.see(check, read=read, unread=unread, untitled=live(name="all-hands-42"))
        names.append(seen.episode.name)

    assert names == ["all-hands-42", "All hands", "All hands", "all-hands-42"]


@pytest.mark.parametrize("check", ["off", "starting", "live:-600", "live?", "errored:-600/0!", "unknown", "failed"])
def test_current_state_is_not_announced_on_following(check: str) -> None:
    first = initial(*parse(f"{check}@0"))

    seen = Timeline(first).see(f"{check}@300 {check}@600")

    assert str(seen) == f"[1 {first.phase}]"


def test_only_changes_after_the_first_observation_are_announced() -> None:
    followed = Timeline(initial(live(-600), T0)).see("live:-600@10 errored:-600@20 errored:-600@35")
    followed.see("live:-600@50 live:-600@110")

    assert [(change.seq, change.kind) for change in followed.changes] == [(2, "errored"), (3, "back")]


def test_since_depends_on_the_phase() -> None:
    """It is when the livestream went live or ended, or when another phase was first seen."""
    seen = timeline("starting@10")
    assert seen.episode.since == at(10)
    assert seen.see("live:25@30").episode.since == at(25)
    assert seen.see("off@90").episode.since == at(90)
    assert seen.see("off@150").episode.since == at(90)


@pytest.mark.parametrize("course", ["live@15", "off@30 live@45", " ".join(["failed@60"] * (STALE_AFTER - 1))])
def test_card_is_not_edited_without_a_visible_change(course: str) -> None:
    seen = timeline("live@0")
    shown = seen.card

    assert seen.see(course).card == shown


@pytest.mark.parametrize("check", ["off@10", "errored@10", "renamed@10", "moved@10", "unknown@10", "live:500@600"])
def test_card_is_edited_for_each_visible_change(check: str) -> None:
    seen = timeline("live@0")
    shown = seen.card

    assert seen.see(check, renamed=live(name="Keynote"), moved=live(playback_url=STREAM)).card != shown


def test_card_is_edited_when_checks_fail_but_not_for_each() -> None:
    seen, failures = timeline("live@0"), " ".join(["failed@60"] * STALE_AFTER)
    fresh = seen.card

    stale = seen.see(failures).card
    assert stale != fresh
    assert seen.see("failed@90").card == stale
    assert seen.see("live@120").card == fresh
    assert seen.see(failures).card not in (stale, fresh)


def test_card_without_any_response_shows_the_outage() -> None:
    assert timeline(" ".join(["failed@60"] * STALE_AFTER)).card != card_key(Episode.waiting(T0))


def test_card_of_an_ended_episode_is_not_edited_again() -> None:
    named = {"keynote": live(name="Keynote"), "renamed": dataclasses.replace(GONE, name="Renamed")}
    over = timeline("keynote@0 off@100 off@160", **named)
    shown, announced = over.card, str(over)

    over.see("renamed@200 unknown@300 " + " ".join(["failed@400"] * STALE_AFTER), **named)

    assert (over.card, str(over), over.episode.is_stale) == (shown, announced, False)


@pytest.mark.parametrize(
    ("course", "field"),
    [
        ("live@0 off@100 off@160", {"live_since": at(10)}),
        ("live@0 off@100 off@160", {"error_reason": "No ingest"}),
        ("starting@0", {"number": 2}),
        ("starting@0", {"phase": Phase.ERRORED}),
        ("starting@0", {"phase_since": at(30)}),
    ],
)
def test_card_depends_on_each_fact_that_it_shows(course: str, field: dict[str, Any]) -> None:
    seen = timeline(course)

    assert card_key(dataclasses.replace(seen.episode, **field)) != seen.card


def test_episode_and_changes_survive_json_in_utc() -> None:
    seen = timeline("errored:-60/0!@0 keynote@10", keynote=KEYNOTE)

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
