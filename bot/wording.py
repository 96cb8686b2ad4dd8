"""The slash command's and the bot's names in messages, which differ between workspaces."""

from dataclasses import dataclass

DEFAULT_COMMAND = "/livestream"
DEFAULT_BOT = "Livestream"


@dataclass(frozen=True, slots=True)
class Wording:
    """The names of the command and the bot in this workspace."""

    command: str = DEFAULT_COMMAND
    bot: str = DEFAULT_BOT

    def fill(self, template: str) -> str:
        """Replace `{command}` and `{bot}` in one of the bot's own sentences."""
        return template.replace("{command}", self.command).replace("{bot}", self.bot)


DEFAULT = Wording()
