"""A few cycles of `make chaos`, so that it keeps working."""

from pathlib import Path

import pytest

from tests.chaos.environment import Plan
from tests.chaos.faults import FAULTS
from tests.chaos.report import run


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_announcements_are_correct_after_kills_and_faults(tmp_path: Path) -> None:
    plan = Plan(cycles=2, seed=7, meetings=2, cycle_seconds=1.5, calm_seconds=0.5, faults=FAULTS)

    outcome = await run(plan, tmp_path)

    assert outcome.passed, outcome.table() + outcome.details()
    assert outcome.counts["kills"] > 0
    assert outcome.replies
    assert all(each.asked for each in outcome.broadcasts)
