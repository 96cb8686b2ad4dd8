"""A few cycles of `make chaos`, so that it is there when it is wanted."""

from pathlib import Path

import pytest

from tests.chaos.environment import Plan
from tests.chaos.faults import WEATHERS
from tests.chaos.report import run


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_some_chaos(tmp_path: Path) -> None:
    """Killed, with everything else going wrong, the bot tells the truth."""
    weather = WEATHERS
    plan = Plan(cycles=2, seed=7, meetings=2, cycle_seconds=1.5, calm_seconds=0.5, weather=weather)

    outcome = await run(plan, tmp_path)

    assert outcome.right, outcome.table() + outcome.story()
    assert outcome.counts["kills"] > 0
    assert outcome.told
