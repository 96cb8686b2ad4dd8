"""What counts as a failure in a bot's log."""

import json
from collections import Counter
from pathlib import Path

from sandbox.clock import Clock
from tests.chaos.fleet import Bot

CUT = "Future exception was never retrieved\nfuture: <Future finished exception={}>"


def test_connection_cut_while_it_is_being_set_up_is_no_failure(tmp_path: Path) -> None:
    """The future that is abandoned then is asyncpg's. Any other is a fault of the bot."""
    cut = CUT.format("ConnectionError('unexpected connection_lost() call')")
    other = CUT.format("ConnectionError('another call')")
    bot = Bot(0, {}, Clock(), tmp_path, 0.0)
    lines = [{"event": event, "level": "error"} for event in (cut, other, "check_failed")]
    bot.log.write_text("\n".join(json.dumps(line) for line in lines))

    assert bot.failures() == Counter([other, "check_failed"])
