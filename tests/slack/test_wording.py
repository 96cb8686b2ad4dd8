"""What the command and the bot are called in a workspace."""

import json

import pytest

from bot.errors import ConfigurationError
from bot.settings import CommandSettings, load
from bot.slack.manifest import manifest_text
from sandbox.realtimekit import seeds
from sandbox.slack import ANN, RANDOM
from tests.conftest import World

NAME = "/broadcast"


async def test_every_message_uses_the_configured_command(world: World) -> None:
    """No message, button or private notice names another command than the one that people have."""
    world.slack.commands.add(NAME)
    async with world.bot(slack_command=NAME):
        for text in ("", "help", "launch week", "follow", "unfollow", "following", f"stop {seeds.LIVE}"):
            answer = await world.answer(await world.slack.command(text, command=NAME))
            assert f"{NAME} " in answer.text
            assert "/livestream" not in json.dumps([answer.text, answer.blocks])
        answer = await world.answer(await world.slack.command(f"unfollow {seeds.LIVE}", command=NAME))
        pasted = await world.answer(await world.slack.command(f"{NAME} {seeds.LIVE}", command=NAME))

    assert answer.text == f"This channel isn't following that meeting. `{NAME} following` lists the ones it follows."
    assert pasted.text.startswith("Launch keynote is live")


async def test_the_bot_is_invited_by_the_name_that_slack_knows(world: World) -> None:
    """It may have another name in this workspace than in the manifest."""
    bot = world.slack.workspace.users[world.slack.app.user_id]
    world.slack.workspace.users[bot.id] = type(bot)(bot.id, "showtime", "Showtime", is_bot=True)
    async with world.bot():
        answer = await world.answer(await world.slack.command(f"follow {seeds.LIVE}", user=ANN, channel=RANDOM))

    assert answer.text == "I'm not in this channel yet. Type `/invite @showtime`, then try again."


@pytest.mark.parametrize("name", ["livestream", "/Livestream", "/live stream", "/", "/" + "x" * 32, "/live/stream"])
def test_a_name_that_slack_does_not_take_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack takes a slash and at most 31 lower-case letters, digits, hyphens and underscores."""
    monkeypatch.setenv("SLACK_COMMAND", name)

    with pytest.raises(ConfigurationError, match="SLACK_COMMAND is not a valid slash command"):
        load(CommandSettings)


def test_the_manifest_registers_that_name() -> None:
    """In both modes, and no other."""
    for text in (manifest_text("socket", command=NAME), manifest_text("http", "https://bot.example.com", NAME)):
        assert f"    - command: {NAME}\n" in text
        assert "/livestream\n" not in text
