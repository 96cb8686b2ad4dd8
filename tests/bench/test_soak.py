"""What `make soak` judges by: trends, what was lost, what the idle bot still holds; and that a short run works."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from bench.soak import report
from bench.soak.answers import Answers
from bench.soak.people import Tally
from bench.soak.sampling import Held
from bench.soak.stage import Outcome, Plan, run
from bench.soak.trend import trend
from sandbox.slack import ANN, BEN, BOT, GENERAL, Message, Slack

REST = Held(rss=110, uss=90, files=30, sockets=5, threads=11, tasks=14)


def outcome(**changes: object) -> Outcome:
    level = [(2.0 * number, REST) for number in range(100)]
    whole = Outcome(
        tally=Tally(done=Counter(help=5), acknowledged=5, answered=5),
        events=Counter(drop=1),
        samples=level,
        rest_before=REST,
        rest_after=REST,
        sessions=(1, 1),
        unsent=0,
        own=(48, 50),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def leaking(name: str, per_sample: float) -> Outcome:
    """One more figure that rises all the time, and stays when the bot is idle."""
    samples = [(2.0 * n, replace(REST, **{name: getattr(REST, name) + n * per_sample})) for n in range(100)]
    return outcome(samples=samples, rest_after=samples[-1][1])


def test_trend_of_a_line() -> None:
    """A straight line is found again, in units an hour; it rises after the warm-up only."""
    went = trend([(seconds, 10 + seconds / 60) for seconds in range(601)])

    assert went.per_hour == pytest.approx(60)
    assert went.rise == pytest.approx(8)
    assert (went.start, went.middle, went.end) == pytest.approx((10.5, 15, 19.5))


def test_warm_up_tells_no_trend() -> None:
    """What rises in the first fifth of the time and is level then does not grow."""
    went = trend([(seconds, min(seconds, 100)) for seconds in range(1001)])

    assert went.rise == pytest.approx(0, abs=1)
    assert went.end == 100


def test_noise() -> None:
    """A figure that goes up and down is level."""
    assert trend([(seconds, seconds % 7) for seconds in range(700)]).rise == pytest.approx(0, abs=0.1)


def test_level() -> None:
    """Nothing grew and nothing was lost."""
    assert report.problems(outcome()) == []
    assert report.verdict(outcome()).startswith("Level")


@pytest.mark.parametrize(("name", "per_sample"), [("uss", 0.1), ("rss", 0.1), ("sockets", 0.1), ("tasks", 0.1)])
def test_growing(name: str, per_sample: float) -> None:
    """A small leak at each sample is seen."""
    [problem] = report.problems(leaking(name, per_sample))

    assert problem.endswith("growing")
    assert report.verdict(leaking(name, per_sample)).startswith("NOT GOOD")


def test_higher_load_is_no_leak() -> None:
    """What rises under load and is gone when the bot is idle does not grow."""
    assert report.problems(replace(leaking("sockets", 0.1), rest_after=REST)) == []


def test_traced_memory_is_not_judged() -> None:
    """A traced bot's memory is its tracer's."""
    assert report.problems(replace(leaking("uss", 1), traces="...")) == []


def test_lost() -> None:
    """Lost commands, a connection too many and unsent announcements are each told."""
    tally = Tally(done=Counter(help=5), acknowledged=4, answered=4, lost=Counter({"help: dispatch_failed": 1}))

    assert report.problems(outcome(tally=tally, sessions=(1, 2), unsent=3)) == [
        "1 lost: help: dispatch_failed",
        "2 Socket Mode connections, 1 before",
        "3 announcements not sent",
    ]


def test_table() -> None:
    """A row for each figure, the same in both forms."""
    table = report.table(leaking("uss", 0.1))

    assert len(table.rows) == len(report.FIGURES)
    [row] = [row for row in table.rows if row[0] == "memory, private"]
    assert (row[1], row[5]) == ("90.0 MB", "99.9 MB")
    assert row[-1] == "4"


async def test_answers() -> None:
    """An answer is whatever the bot tells the one who waits: privately, or in their name; nobody else's, and no other's
    word."""
    slack = Slack()
    answers = Answers(slack)
    with answers.heard():
        ann, ben = answers.expect(ANN), answers.expect(BEN)
        slack.workspace.post(Message(GENERAL, "1.0", "USLACKBOT", "failed", ephemeral_to=ANN))
        assert not ann.done()
        slack.workspace.post(Message(GENERAL, "2.0", BOT, "yes", ephemeral_to=ANN))
        assert (await ann).text == "yes"
        assert not ben.done()
        slack.workspace.post(Message(GENERAL, "3.0", BOT, "card", ({"text": f"Posted by <@{BEN}>"},)))
        assert (await asyncio.wait_for(ben, 15)).text == "card"


async def test_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real bot in its process by Socket Mode, for some seconds: all that people do is answered."""
    monkeypatch.setattr("bench.soak.people.THINK_SECONDS", 0.2)
    monkeypatch.setattr("bench.soak.stage._REST_SECONDS", 0.0)
    monkeypatch.setattr("bench.soak.stage.DISCONNECT_SECONDS", 0.5)
    monkeypatch.setattr("sandbox.slack.delivery.ACK_SECONDS", 15.0)  # nothing is lost, however slow the machine
    seen = await run(Plan("socket", minutes=0.07))

    assert seen.tally.asked > 20
    assert seen.tally.answered == seen.tally.asked
    assert seen.events["disconnects"] > 0
    assert len(seen.samples) >= 2
