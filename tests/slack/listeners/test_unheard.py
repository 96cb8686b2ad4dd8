"""What no listener is for."""

import io

from bot.sandbox.bot_process import Mode
from tests.conftest import World


async def test_refused(connected: World, mode: Mode, log: io.StringIO) -> None:
    """Another command is refused with one line in the log, without its text."""
    connected.slack.commands.add("/other")

    delivery = await connected.slack.command("my secret plans", command="/other")

    assert not delivery.acked
    assert delivery.status == (404 if mode == "http" else None)
    assert "my secret plans" not in log.getvalue()
    assert log.getvalue().count("unheard") == 2  # the event, and the logger's name
