"""What must never appear, whatever the input."""

import json
import sys
from collections.abc import Iterator

from tests.conftest import World
from tests.fuzz.strategies import EXAMPLES, PINGS

_CHECK_INTERVAL = 250
"""Examples. The sandbox keeps the last 5,000 bodies that were sent."""


def secrets_of(world: World) -> list[str]:
    """Return every secret that the bot knows or may receive."""
    credentials = world.slack.credentials
    ours = (credentials.bot_token, credentials.app_token, credentials.signing_secret, world.kit.api_token)
    return [*ours, *world.kit.secrets]


def assert_no_secrets(world: World, text: str) -> None:
    """Assert that the text contains no secret and no traceback."""
    found = [line for line in text.splitlines() if "Traceback" in line]
    assert not found, found
    found = [secret for secret in secrets_of(world) if secret in text]
    assert not found, found


def assert_harmless(world: World) -> None:
    """Assert that nothing in Slack or in the log is unescaped or secret."""
    messages = json.dumps([[message.text, message.blocks] for message in world.slack.workspace.every_message()])
    found = [ping for ping in PINGS if ping in messages]
    assert not found, found
    for text in (messages, " ".join(str(body) for body in world.slack.sent), world.log.getvalue()):
        assert_no_secrets(world, text)


def examples(world: World, count: int = EXAMPLES) -> Iterator[int]:
    """Count to `count`, and check from time to time; Slack keeps all messages meanwhile."""
    world.slack.workspace.messages_per_channel = sys.maxsize
    for number in range(max(1, count)):
        if number % _CHECK_INTERVAL == _CHECK_INTERVAL - 1:
            assert_harmless(world)
        yield number
