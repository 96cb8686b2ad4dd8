"""What `make soak` judges by: trends, losses, and what the idle bot still holds; and a short run."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from bench.soak import report
from bench.soak.answers import Answers
from bench.soak.people import Tally
from bench.soak.sampling import ResourceUsage
from bench.soak.stage import Outcome, Plan, run
from bench.soak.trend import trend
from sandbox.slack import ANN, BEN, BOT, GENERAL, Message, Slack

REST = ResourceUsage(rss=110, uss=90, files=30, sockets=5, threads=11, tasks=14)


def make_outcome(**changes: object) -> Outcome:
    level = [(2.0 * number, REST) for number in range(100)]
    level_outcome = Outcome(
        tally=Tally(done=Counter(help=5), acknowledged=5, answered=5),
        events=Counter(drop=1),
        samples=level,
        idle_before=REST,
        idle_after=REST,
        sessions=(1, 1),
        pending=0,
        own=(48, 50),
    )
    return replace(level_outcome, **changes)  # type: ignore[arg-type]


def outcome_with_a_leak(name: str, per_sample: float) -> Outcome:
    """One more figure that rises all the time, and stays high when the bot is idle."""
    samples = [(2.0 * n, replace(REST, **{name: getattr(REST, name) + n * per_sample})) for n in range(100)]
    return make_outcome(samples=samples, idle_after=samples[-1][1])


def test_trend_of_a_line_is_its_slope_after_the_warm_up() -> None:
    course = trend([(seconds, 10 + seconds / 60) for seconds in range(601)])

    assert course.per_hour == pytest.approx(60)
    assert course.rise == pytest.approx(8)
    assert (course.start, course.middle, course.end) == pytest.approx((10.5, 15, 19.5))


def test_rise_during_the_warm_up_is_no_trend() -> None:
    course = trend([(seconds, min(seconds, 100)) for seconds in range(1001)])

    assert course.rise == pytest.approx(0, abs=1)
    assert course.end == 100


def test_noise_has_no_rise() -> None:
    assert trend([(seconds, seconds % 7) for seconds in range(700)]).rise == pytest.approx(0, abs=0.1)


def test_level_figures_without_losses_are_no_problem() -> None:
    assert report.problems(make_outcome()) == []
    assert report.verdict(make_outcome()).startswith("Level")


@pytest.mark.parametrize(("name", "per_sample"), [("uss", 0.1), ("rss", 0.1), ("sockets", 0.1), ("tasks", 0.1)])
def test_small_leak_is_reported_as_growing(name: str, per_sample: float) -> None:
    [problem] = report.problems(outcome_with_a_leak(name, per_sample))

    assert problem.endswith("growing")
    assert report.verdict(outcome_with_a_leak(name, per_sample)).startswith("NOT GOOD")


def test_rise_that_is_gone_when_idle_is_no_leak() -> None:
    assert report.problems(replace(outcome_with_a_leak("sockets", 0.1), idle_after=REST)) == []


def test_memory_of_a_traced_bot_is_not_judged() -> None:
    assert report.problems(replace(outcome_with_a_leak("uss", 1), traces="...")) == []


def test_losses_connections_and_pending_announcements_are_reported() -> None:
    tally = Tally(done=Counter(help=5), acknowledged=4, answered=4, lost=Counter({"help: dispatch_failed": 1}))

    assert report.problems(make_outcome(tally=tally, sessions=(1, 2), pending=3)) == [
        "1 lost: help: dispatch_failed",
        "2 Socket Mode connections, 1 before",
        "3 announcements not sent",
    ]


def test_table_has_a_row_per_figure() -> None:
    table = report.table(outcome_with_a_leak("uss", 0.1))

    assert len(table.rows) == len(report.FIGURES)
    [row] = [row for row in table.rows if row[0] == "memory, private"]
    assert (row[1], row[5]) == ("90.0 MB", "99.9 MB")
    assert row[-1] == "4"


async def test_answer_is_the_bots_message_to_or_for_the_person() -> None:
    slack = Slack()
    answers = Answers(slack)
    with answers.listening():
        ann, ben = answers.expect(ANN), answers.expect(BEN)
        slack.workspace.post(Message(GENERAL, "1.0", "USLACKBOT", "failed", ephemeral_to=ANN))
        assert not ann.done()
        slack.workspace.post(Message(GENERAL, "2.0", BOT, "yes", ephemeral_to=ANN))
        assert (await ann).text == "yes"
        assert not ben.done()
        slack.workspace.post(Message(GENERAL, "3.0", BOT, "card", ({"text": f"Posted by <@{BEN}>"},)))
        assert (await asyncio.wait_for(ben, 15)).text == "card"


async def test_short_soak_answers_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.soak.people.THINK_SECONDS", 0.2)
    monkeypatch.setattr("bench.soak.stage._REST_SECONDS", 0.0)
    monkeypatch.setattr("bench.soak.stage.DISCONNECT_SECONDS", 0.5)
    monkeypatch.setattr("sandbox.slack.delivery.ACK_SECONDS", 15.0)  # nothing is lost, however slow the machine
    seen = await run(Plan("socket", minutes=0.07))

    assert seen.tally.asked > 20
    assert seen.tally.answered == seen.tally.asked
    assert seen.events["disconnects"] > 0
    assert len(seen.samples) >= 2
