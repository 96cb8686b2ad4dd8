"""The names that messages use: the slash command's and the bot's own, which differ from workspace to workspace."""

from dataclasses import dataclass

DEFAULT_COMMAND = "/livestream"
DEFAULT_BOT = "Livestream"


@dataclass(frozen=True, slots=True)
class Wording:
    """What this workspace calls the command and the bot."""

    command: str = DEFAULT_COMMAND
    bot: str = DEFAULT_BOT

    def fill(self, template: str) -> str:
        """Put the names into a sentence of this program that has `{command}` or `{bot}` in it."""
        return template.replace("{command}", self.command).replace("{bot}", self.bot)


DEFAULT = Wording()
