"""The bot by a fast clock, with its patience towards Slack and Cloudflare shortened as time is.

    python -m tests.chaos.mortal_bot SANDBOX_TIME REAL_TIME SPEED

What hangs is given up after real seconds. By a clock that runs thirty times as fast, ten of them are five minutes, in
which every lease would end; so here they are fewer.
"""

import asyncio
import sys

import bot.realtimekit.client as cloudflare
import bot.slack.client as slack
from bot.errors import ConfigurationError
from bot.realtimekit import lookup
from tests.scenarios.fast_bot import main

SHORTER = 15.0
"""Half of the usual speed, since a machine has to keep up with it."""


def be_impatient() -> None:
    """Shorten what is counted in real seconds."""
    answer = cloudflare.ANSWER_SECONDS / SHORTER
    defaults = cloudflare.RealtimeKit.__init__.__kwdefaults__ or {}
    if "answer_seconds" not in defaults:
        raise LookupError("the client of RealtimeKit has another name for its patience now")
    defaults["answer_seconds"] = answer
    for module, name in (
        (cloudflare, "ATTEMPT_SECONDS"),
        (cloudflare, "CONNECT_SECONDS"),
        (lookup, "ANSWER_SECONDS"),
        (lookup, "_DETAIL_SECONDS"),
        (slack, "SECONDS"),
    ):
        setattr(module, name, getattr(module, name) / SHORTER)


if __name__ == "__main__":
    be_impatient()
    try:
        asyncio.run(main(*map(float, sys.argv[1:4])))
    except ConfigurationError as error:  # as `livestream-bot run` does, where its database is away
        sys.exit(str(error))
