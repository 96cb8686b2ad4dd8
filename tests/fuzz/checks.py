"""What must show nowhere, whatever comes in."""

import json
import sys
from collections.abc import Iterator

from tests.conftest import World
from tests.fuzz.strategies import EXAMPLES, PINGS

_LOOKED_AT_EVERY = 250
"""Examples. The sandbox keeps the last 5,000 bodies that were sent."""


def secrets_of(world: World) -> list[str]:
    """Everything that the bot knows, or may be told, and must not tell."""
    credentials = world.slack.credentials
    ours = (credentials.bot_token, credentials.app_token, credentials.signing_secret, world.kit.api_token)
    return [*ours, *world.kit.secrets]


def assert_tells_nothing(world: World, text: str) -> None:
    """No secret and no traceback is in it."""
    found = [line for line in text.splitlines() if "Traceback" in line]
    assert not found, found
    found = [secret for secret in secrets_of(world) if secret in text]
    assert not found, found


def assert_harmless(world: World) -> None:
    """Nothing in Slack or in the log is what it must not be."""
    said = json.dumps([[message.text, message.blocks] for message in world.slack.workspace.every_message()])
    found = [ping for ping in PINGS if ping in said]
    assert not found, found
    for text in (said, " ".join(str(body) for body in world.slack.sent), world.log.getvalue()):
        assert_tells_nothing(world, text)


def examples(world: World, count: int = EXAMPLES) -> Iterator[int]:
    """Count to `count`; nothing of what is said in Slack meanwhile is forgotten before it was looked at."""
    world.slack.workspace.messages_per_channel = sys.maxsize
    for number in range(max(1, count)):
        if number % _LOOKED_AT_EVERY == _LOOKED_AT_EVERY - 1:
            assert_harmless(world)
        yield number
